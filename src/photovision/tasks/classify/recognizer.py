"""Recognizer: a trained model with all that it needs, ready to answer. It runs without torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from photovision.core.errors import ModelError, UnreadableImage
from photovision.core.inputs import Source, name_of
from photovision.core.progress import ProgressCallback
from photovision.core.result import Result, Size
from photovision.core.types import Classes, Floats
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.bundle import Bundle
from photovision.runtime.model import OnnxModel
from photovision.runtime.neighbours import NeighbourIndex, read_references
from photovision.runtime.session import Engine, Precision, Session
from photovision.runtime.similarity import ExpectedAccuracy, read_expected
from photovision.runtime.stream import loader, stream
from photovision.runtime.uncertainty import NoveltySession, read_doubt

NOTHING = "nothing like this"
"""The class of pictures that show none of the others, of a classifier that was made of class names."""


@dataclass(eq=False)
class ModelOutputs:
    """What a model says of N pictures; NaN in the rows of unreadable ones.

    Attributes:
        probs: float32 (N, C).
        logits: float32 (N, C).
        novelty: float32 (N,); NaN throughout for a model without a gate.
        similarity: float32 (N,), to the nearest training picture; NaN throughout where the model does not know it.
        embeddings: float32 (N, D) where they were asked for, else None.
        problems: the unreadable pictures.
    """

    probs: Floats
    logits: Floats
    novelty: Floats
    similarity: Floats
    embeddings: Floats | None = None
    problems: list[Problem] = field(default_factory=list)

    @classmethod
    def blank(cls, count: int, classes: int) -> ModelOutputs:
        """Of pictures without predictions."""
        probs, logits = (np.full((count, classes), np.nan, dtype=np.float32) for _ in range(2))
        novelty, similarity = (np.full(count, np.nan, dtype=np.float32) for _ in range(2))
        return cls(probs, logits, novelty, similarity)

    def keep(self, row: int, outputs: dict[str, np.ndarray], embeddings: bool) -> None:
        """Take in the graph's outputs for one picture."""
        self.probs[row], self.logits[row] = outputs["probs"], outputs["logits"]
        for name in ("novelty", "similarity"):
            if name in outputs:
                getattr(self, name)[row] = outputs[name]
        if embeddings:
            if self.embeddings is None:
                self.embeddings = np.full((len(self.probs), len(outputs["embedding"])), np.nan, dtype=np.float32)
            self.embeddings[row] = outputs["embedding"]


class Recognizer(OnnxModel[Classes]):
    """A trained classifier.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.
        coverage: target coverage of the prediction sets; None: the bundle's, 0.95.
        false_alarms: share of pictures like the training ones that may be called unknown; None: the bundle's, 0.02.

    Example (see the README for one with its output):

        model = photovision.load("flowers-model")
        model.predict("rose.jpg").label
    """

    task = "classify"
    batch_size = 32
    sized = False  # the size of a picture says nothing about its class

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: Engine = "auto",
        precision: Precision | None = None,
        coverage: float | None = None,
        false_alarms: float | None = None,
    ) -> None:
        super().__init__(bundle, engine=engine, precision=precision)
        self.multilabel = bundle.multilabel
        self.thresholds = bundle.thresholds
        self.doubt = bundle.still(read_doubt(bundle, coverage, false_alarms))
        self.top = 5

    def with_options(self, *, top: int | None = None) -> Recognizer:
        """The same model, whose answers list `top` classes in JSON; the loaded graph is shared."""
        other = self.with_session(self.session)
        other.top = self.top if top is None else top
        return other

    def _open_session(self) -> Session:
        session = super()._open_session()
        if self.doubt is None:
            return session
        known = None if self.doubt.sets.similarity is None or self.references is None else self.references.similarity
        return NoveltySession(session, self.doubt.gate, known)

    @cached_property
    def references(self) -> NeighbourIndex | None:
        """Training pictures that the bundle remembers; None for bundles that were made without."""
        return self.bundle.still(read_references(self.bundle.path))

    @cached_property
    def expected(self) -> ExpectedAccuracy | None:
        """Accuracy by similarity and confidence; None for bundles that were made without."""
        return read_expected(self.bundle.info)

    def decode(self, outputs: dict[str, np.ndarray], size: Size = (0, 0)) -> Classes:
        """What the graph's outputs for one picture mean: `probs` float (C,), and `novelty` where there is a gate."""
        probs = self._checked(outputs)
        if self.doubt is None:
            return Classes(probs, self.classes, self.multilabel, self.thresholds, shown=self.top)
        novelty, low = float(outputs["novelty"]), self.doubt.sets.low
        known = novelty <= self.doubt.limit
        similarity = float(outputs["similarity"]) if "similarity" in outputs else None
        found = Classes(
            probs,
            self.classes,
            self.multilabel,
            self.thresholds,
            known=known,
            novelty=novelty,
            shown=self.top,
            similarity=similarity,
            confidence=self._confidence(float(probs.max()), similarity) if known else None,
            elsewhere=None if similarity is None or low is None else known and similarity < low,
        )
        named = np.isin(self.classes, found.labels)[None]
        near = None if similarity is None else np.array([similarity], np.float32)
        least = np.broadcast_to(self.doubt.thresholds(near, named), (1, len(self.classes)))[0]
        order = np.argsort(-probs, kind="stable")
        return replace(found, prediction_set=tuple(self.classes[i] for i in order[(probs >= least)[order]]))

    def _confidence(self, prob: float, similarity: float | None) -> float | None:
        if self.expected is None or similarity is None:
            return None
        return float(self.expected.of(np.array([prob], np.float32), np.array([similarity], np.float32))[0])

    def _result(
        self, source: Source | UnreadableImage, size: Size, value: Classes | UnreadableImage
    ) -> Result[Classes]:
        file = name_of(source)
        named = replace(value, file=file) if file is not None and isinstance(value, Classes) else value
        return super()._result(source, size, named)

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
