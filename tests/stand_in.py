"""A model of fixed answers and pictures with structure, for tests of what reports say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.types import Sample
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.bundle import Bundle
from photovision.tasks.classify.recognizer import ModelOutputs


class StandIn:
    """Gives the same answer for the same sample id, whatever the order of the pictures."""

    def __init__(
        self,
        classes: tuple[str, ...],
        answers: dict[str, np.ndarray],
        *,
        multilabel: bool = False,
        thresholds: np.ndarray | None = None,
        info: dict[str, Any] | None = None,
    ) -> None:
        self.classes = classes
        self.answers = answers
        self.multilabel = multilabel
        self.thresholds = thresholds
        self.bundle = Bundle(Path("stand_in"), {"task": "classify", **(info or {})})
        self.doubt = None

    def respond(self, dataset: Dataset, progress: Any = None, *, embeddings: bool = False) -> ModelOutputs:
        found = ModelOutputs.blank(len(dataset), len(self.classes))
        for row, sample in enumerate(dataset.samples):
            if sample.id in self.answers:
                found.probs[row] = self.answers[sample.id]
            else:
                found.problems.append(Problem(sample.id, "unreadable", "the file is truncated"))
            if progress:
                progress(row + 1, len(dataset))
        return found


def stripes(seed: int) -> np.ndarray:
    """A picture uint8 (24, 32, 3) of coloured stripes."""
    rng = np.random.default_rng(seed)
    columns = rng.integers(0, 255, (1, 4, 3)).repeat(8, axis=1)
    return np.ascontiguousarray(columns.repeat(24, axis=0).astype(np.uint8))


def labelled(labels: list[str], classes: tuple[str, ...]) -> Dataset:
    samples = tuple(Sample(f"{i:03d}.png", stripes(i % 5), (label,)) for i, label in enumerate(labels))
    return Dataset(samples, classes)


def answering(dataset: Dataset, classes: tuple[str, ...], right: np.ndarray, sure: float = 0.9) -> StandIn:
    """A model that names the true class where `right`, else the next one, with probability `sure`."""
    answers = {}
    for sample, good in zip(dataset.samples, right, strict=True):
        assert sample.target is not None
        best = (classes.index(sample.target[0]) + (not good)) % len(classes)
        probs = np.full(len(classes), (1 - sure) / (len(classes) - 1), np.float32)
        probs[best] = sure
        answers[sample.id] = probs
    return StandIn(classes, answers)
