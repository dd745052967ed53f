"""Metric trackers: the figures of a run in TensorBoard or MLflow."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from photovision.core.errors import MissingExtra, UsageError


class MetricTracker(Protocol):
    """Where figures go beside the terminal."""

    def log(self, stage: str, step: int, values: dict[str, float]) -> None:
        """Record figures of one epoch."""
        ...

    def close(self) -> None:
        """Flush and close."""
        ...


class _TensorBoard:
    def __init__(self, folder: Path) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder))

    def log(self, stage: str, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{stage}/{name}", value, step)

    def close(self) -> None:
        self._writer.close()


class _MLflow:
    def __init__(self, folder: Path) -> None:
        import mlflow

        self._mlflow = mlflow
        if not mlflow.is_tracking_uri_set():  # the user's own server or file store goes first
            mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        mlflow.start_run()

    def log(self, stage: str, step: int, values: dict[str, float]) -> None:
        self._mlflow.log_metrics({f"{stage}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        self._mlflow.end_run()


def check_trackers(names: tuple[str, ...]) -> None:
    """Raise UsageError for a tracker that there is not, MissingExtra for one that is not installed."""
    for name in names:
        if name not in _KINDS:
            raise UsageError(f"--track should be tensorboard or mlflow, got '{name}'")
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(name, f"--track {name}")


def open_trackers(names: tuple[str, ...], folder: Path) -> list[MetricTracker]:
    """Open "tensorboard" or "mlflow" trackers that write into `folder`; raises MissingExtra where not installed."""
    check_trackers(names)
    return [_KINDS[name](folder) for name in names]


_KINDS: dict[str, Callable[[Path], MetricTracker]] = {"tensorboard": _TensorBoard, "mlflow": _MLflow}
