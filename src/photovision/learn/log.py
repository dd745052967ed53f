"""Metric trackers: the figures of a run in TensorBoard or MLflow."""

from __future__ import annotations

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
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise MissingExtra("tensorboard", "--track tensorboard") from None
        self._writer: Any = SummaryWriter(str(folder))

    def log(self, stage: str, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{stage}/{name}", value, step)

    def close(self) -> None:
        self._writer.close()


class _MLflow:
    def __init__(self, folder: Path) -> None:
        try:
            import mlflow
        except ImportError:
            raise MissingExtra("mlflow", "--track mlflow") from None
        self._mlflow = mlflow
        if not mlflow.is_tracking_uri_set():  # the user's own server or file store goes first
            mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
        mlflow.start_run()

    def log(self, stage: str, step: int, values: dict[str, float]) -> None:
        self._mlflow.log_metrics({f"{stage}/{name}": value for name, value in values.items()}, step=step)

    def close(self) -> None:
        self._mlflow.end_run()


def open_trackers(names: tuple[str, ...], folder: Path) -> list[MetricTracker]:
    """Open "tensorboard" or "mlflow" trackers that write into `folder`; raises MissingExtra where not installed."""
    kinds: dict[str, Callable[[Path], MetricTracker]] = {"tensorboard": _TensorBoard, "mlflow": _MLflow}
    for name in names:
        if name not in kinds:
            raise UsageError(f"--track should be tensorboard or mlflow, got '{name}'")
    return [kinds[name](folder) for name in names]
