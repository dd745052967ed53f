"""Recognizer: a trained model with all that it needs, ready to answer. It runs without torch."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ModelError, UnreadableImage
from photovision.core.folder import new_folder
from photovision.core.inputs import Given, Source, as_sources, name_of, placed
from photovision.core.progress import ProgressCallback
from photovision.core.types import Classes, Floats
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.bundle import Bundle, lasting, read_bundle
from photovision.runtime.neighbours import NeighbourIndex, read_references
from photovision.runtime.session import ANSWER, Engine, Precision, Session
from photovision.runtime.stream import loader, stream
from photovision.runtime.uncertainty import NoveltySession, read_doubt


@dataclass(eq=False)
class ModelOutputs:
    """What a model says of N pictures; NaN in the rows of unreadable ones.

    Attributes:
        probs: float32 (N, C).
        logits: float32 (N, C).
        novelty: float32 (N,); NaN throughout for a model without a gate.
        embeddings: float32 (N, D) where they were asked for, else None.
        problems: the unreadable pictures.
    """

    probs: Floats
    logits: Floats
    novelty: Floats
    embeddings: Floats | None = None
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def blank(cls, count: int, classes: int) -> ModelOutputs:
        """Of pictures that nothing has been said of yet."""
        probs, logits = (np.full((count, classes), np.nan, dtype=np.float32) for _ in range(2))
        return cls(probs, logits, np.full(count, np.nan, dtype=np.float32))

    def keep(self, row: int, outputs: dict[str, np.ndarray], embeddings: bool) -> None:
        """Take in the graph's outputs for one picture."""
        self.probs[row], self.logits[row] = outputs["probs"], outputs["logits"]
        if "novelty" in outputs:
            self.novelty[row] = outputs["novelty"]
        if embeddings:
            if self.embeddings is None:
                self.embeddings = np.full((len(self.probs), len(outputs["embedding"])), np.nan, dtype=np.float32)
            self.embeddings[row] = outputs["embedding"]


class Recognizer:
    """A trained classifier.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.
        coverage: share of pictures whose prediction set should hold the truth; None: the bundle's, 0.95.
        false_alarms: share of pictures like the training ones that may be called unknown; None: the bundle's, 0.02.

    Example (see the README for one with its output):

        model = photovision.load("flowers-model")
        model.predict("rose.jpg").label
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: Engine = "auto",
        precision: Precision | None = None,
        coverage: float | None = None,
        false_alarms: float | None = None,
    ) -> None:
        bundle.expect("classify")
        self.bundle = bundle
        self.classes = bundle.classes
        self.multilabel = bundle.multilabel
        self.thresholds = bundle.thresholds
        self.preprocess = bundle.preprocess
        self._engine: Engine = engine
        self._precision = precision
        self.doubt = bundle.still(read_doubt(bundle, coverage, false_alarms))

    @property
    def info(self) -> dict[str, Any]:
        """The whole of bundle.json: classes, figures, training arguments, licences."""
        return self.bundle.info

    @cached_property
    def session(self) -> Session:
        """The loaded graph; opened at first use."""
        session = self.bundle.open_session(self._engine, self._precision, ANSWER)
        return session if self.doubt is None else NoveltySession(session, self.doubt.gate)

    @cached_property
    def references(self) -> NeighbourIndex | None:
        """Training pictures that the bundle remembers; None for bundles that were made without."""
        return self.bundle.still(read_references(self.bundle.path))

    def predict(self, images: Given | Iterable[Given]) -> Classes | list[Classes]:
        """Answer one picture, or a list of pictures in order.

        Args:
            images: one picture, or any iterable of pictures, as `photovision.core.inputs.as_source` takes them; an
                array (N, H, W, 3) counts as a list.

        Raises:
            UnreadableImage: a picture cannot be decoded; use `stream` to go on over such files.
        """
        sources, single = as_sources(images)
        found: list[Classes] = []
        for number, answer in enumerate(self._answers(sources), 1):
            if isinstance(answer, UnreadableImage):
                raise answer if single else placed(answer, f"picture {number}")
            found.append(answer)
        return found[0] if single else found

    def stream(self, sources: Given | Iterable[Given], *, batch_size: int = 32) -> Iterator[Classes | UnreadableImage]:
        """Answer any number of pictures in order with flat memory; unreadable ones come as UnreadableImage values."""
        return self._answers(as_sources(sources)[0], batch_size)

    def _answers(
        self, sources: Iterable[Source | UnreadableImage], batch_size: int = 32
    ) -> Iterator[Classes | UnreadableImage]:
        for answer in stream(sources, loader(self.preprocess), self.session, batch_size=batch_size):
            if answer.error is not None:
                yield answer.error
                continue
            yield self.answer(answer.outputs, name_of(answer.item))

    def answer(self, outputs: dict[str, np.ndarray], file: str | None = None) -> Classes:
        """What the graph's outputs for one picture mean: `probs` float (C,), and `novelty` where there is a gate."""
        probs = self._checked(outputs)
        if self.doubt is None:
            return Classes(probs, self.classes, self.multilabel, self.thresholds, file)
        novelty = float(outputs["novelty"])
        order = np.argsort(-probs, kind="stable")
        within = tuple(self.classes[i] for i in order[(probs >= self.doubt.thresholds)[order]])
        known = novelty <= self.doubt.limit
        return Classes(probs, self.classes, self.multilabel, self.thresholds, file, known, novelty, within)

    def _checked(self, outputs: dict[str, np.ndarray]) -> Floats:
        """float32 (C,): the probabilities of a picture; raises ModelError where the graph gives something else."""
        probs, logits, shape = outputs.get("probs"), outputs.get("logits"), (len(self.classes),)
        if probs is None or probs.shape != shape or (logits is not None and logits.shape != shape):
            raise ModelError(
                f"{self.bundle.graph} should give probs and logits (N, {len(self.classes)}), but does not: copy or"
                " train the bundle again"
            )
        if not (probs.min() >= -0.01 and probs.max() <= 1.01):  # NaN, too
            raise ModelError(f"{self.bundle.graph} gives probabilities outside 0 to 1: train it again")
        return probs.astype(np.float32)

    def respond(
        self, dataset: Dataset, progress: ProgressCallback | None = None, *, embeddings: bool = False
    ) -> ModelOutputs:
        """Answer a whole dataset.

        Args:
            dataset: N pictures.
            progress: called with (pictures done, N).
            embeddings: whether embeddings are kept, 4 D bytes a picture.
        """
        found = ModelOutputs.blank(len(dataset), len(self.classes))
        answers = stream((sample.image for sample in dataset.samples), loader(self.preprocess), self.session)
        for row, (sample, answer) in enumerate(zip(dataset.samples, answers, strict=True)):
            if answer.error is None:
                self._checked(answer.outputs)
                found.keep(row, answer.outputs, embeddings)
            else:
                found.problems.append(Problem(sample.id, "unreadable", str(answer.error)))
            if progress and (row % 32 == 31 or row + 1 == len(dataset)):
                progress(row + 1, len(dataset))
        return found

    def save(self, path: str | Path) -> None:
        """Copy the bundle to another folder, atomically."""
        with new_folder(Path(path), "model", [self.bundle.path]) as folder:
            shutil.copytree(self.bundle.path, folder, dirs_exist_ok=True)

    __getstate__ = lasting

    def __repr__(self) -> str:
        return f"Recognizer({str(self.bundle.path)!r}, {len(self.classes)} classes)"

    def _repr_html_(self) -> str:
        """The name, the classes and the proof in a few lines, for notebooks."""
        from html import escape

        metrics = self.info.get("metrics") or {}
        figures = "".join(f"<li>{escape(k)}: {v['value']:.3f}</li>" for k, v in metrics.items())
        return f"<b>{escape(repr(self))}</b><ul>{figures}</ul>"


def load(
    path: str | Path,
    *,
    engine: Engine = "auto",
    precision: Precision | None = None,
    coverage: float | None = None,
    false_alarms: float | None = None,
) -> Recognizer:
    """Open a bundle; arguments as for `Recognizer`.

    Raises:
        ModelError: it is missing, foreign, damaged or too new.
        UsageError: coverage or false alarms are not between 0 and 1, or the bundle was made without.
    """
    return Recognizer(
        read_bundle(path), engine=engine, precision=precision, coverage=coverage, false_alarms=false_alarms
    )
