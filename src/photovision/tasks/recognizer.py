"""Recognizer: a trained model with all that it needs, ready to answer. It runs without torch."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np

from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.files import new_folder
from photovision.core.types import Classes, Floats, Image, check_image
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.bundle import Bundle, read_bundle
from photovision.runtime.session import ANSWER, Engine, Precision, Session, open_session
from photovision.runtime.stream import Source, loader, stream

Progress = Callable[[int, int], None]


class Recognizer:
    """A trained classifier.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.

    Example (see the README for one with its output):

        model = photovision.load("flowers-model")
        model.predict("rose.jpg").label
    """

    def __init__(self, bundle: Bundle, *, engine: Engine = "auto", precision: Precision | None = None) -> None:
        self.bundle = bundle
        self.classes = bundle.classes
        self.multilabel = bundle.multilabel
        self.thresholds = bundle.thresholds
        self.preprocess = bundle.preprocess
        self._engine: Engine = engine
        self._precision = precision

    @property
    def info(self) -> dict[str, Any]:
        """The whole of bundle.json: classes, figures, training arguments, licences."""
        return self.bundle.info

    @cached_property
    def session(self) -> Session:
        """The loaded graph; opened at first use."""
        precision = self._precision or cast("Precision | None", self.bundle.precision)
        return open_session(self.bundle.graph, engine=self._engine, precision=precision, outputs=ANSWER)

    def predict(self, images: Source | Sequence[Source]) -> Classes | list[Classes]:
        """Answer one picture, or a list of pictures in order.

        Args:
            images: a path, the bytes of a picture file, a uint8 RGB array (H, W, 3), or a list of such; an array
                (N, H, W, 3) counts as a list.

        Raises:
            UnreadableImage: a picture cannot be decoded; use `stream` to go on over such files.
        """
        single = isinstance(images, (str, Path, bytes)) or (isinstance(images, np.ndarray) and images.ndim == 3)
        sources = cast("list[Source]", [images] if single else list(cast("Sequence[Source]", images)))
        for source in sources:
            if not isinstance(source, (str, Path, bytes)):
                check_image(source, "predict")
        answers = list(self.stream(sources))
        for answer in answers:
            if isinstance(answer, UnreadableImage):
                raise answer
        found = cast("list[Classes]", answers)
        return found[0] if single else found

    def stream(self, sources: Iterable[Source], *, batch_size: int = 32) -> Iterator[Classes | UnreadableImage]:
        """Answer any number of pictures in order with flat memory; unreadable ones come as UnreadableImage values."""
        for answer in stream(sources, loader(self.preprocess), self.session, batch_size=batch_size):
            if answer.error is not None:
                yield answer.error
                continue
            file = str(answer.item) if isinstance(answer.item, (str, Path)) else None
            probs = answer.outputs["probs"].astype(np.float32)
            yield Classes(probs, self.classes, self.multilabel, self.thresholds, file)

    def probabilities(self, dataset: Dataset, progress: Progress | None = None) -> tuple[Floats, list[Problem]]:
        """Probabilities for a whole dataset.

        Returns:
            float32 (N, C) in the dataset's order, NaN in the rows of unreadable pictures, and those pictures' problems.
        """
        probs = np.full((len(dataset), len(self.classes)), np.nan, dtype=np.float32)
        problems: list[Problem] = []
        answers = stream((sample.image for sample in dataset.samples), loader(self.preprocess), self.session)
        for row, (sample, answer) in enumerate(zip(dataset.samples, answers, strict=True)):
            if answer.error is None:
                probs[row] = answer.outputs["probs"]
            else:
                problems.append(Problem(sample.id, "unreadable", str(answer.error)))
            if progress and (row % 32 == 31 or row + 1 == len(dataset)):
                progress(row + 1, len(dataset))
        return probs, problems

    def save(self, path: str | Path) -> None:
        """Copy the bundle to another folder, atomically."""
        target = Path(path)
        if target.resolve() == self.bundle.path.resolve():
            raise UsageError(f"{target} is where this model already is; choose another folder")
        with new_folder(target) as folder:
            shutil.copytree(self.bundle.path, folder, dirs_exist_ok=True)

    def __repr__(self) -> str:
        return f"Recognizer({str(self.bundle.path)!r}, {len(self.classes)} classes)"

    def _repr_html_(self) -> str:
        """The name, the classes and the proof in a few lines, for notebooks."""
        from html import escape

        metrics = self.info.get("metrics", {})
        figures = "".join(f"<li>{escape(k)}: {v['value']:.3f}</li>" for k, v in metrics.items())
        return f"<b>{escape(repr(self))}</b><ul>{figures}</ul>"


def load(path: str | Path, *, engine: Engine = "auto", precision: Precision | None = None) -> Recognizer:
    """Open a bundle; raises ModelError where it is missing, foreign, damaged or too new."""
    return Recognizer(read_bundle(path), engine=engine, precision=precision)


__all__ = ["Image", "Recognizer", "load"]
