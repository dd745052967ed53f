"""Evaluation of a classifier: probabilities beside the true classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Protocol

import numpy as np

from photovision.core import phrases
from photovision.core.errors import DataError, UsageError
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric
from photovision.core.types import Floats, Ints, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import HeldOut
from photovision.runtime.uncertainty import Uncertainty
from photovision.tasks.classify.recognizer import ModelOutputs
from photovision.trust.metrics.paired_tests import Gains
from photovision.trust.metrics.rates import Rate
from photovision.trust.metrics.scores import class_areas, multi_label, single_label
from photovision.trust.metrics.statistics import (
    Estimate,
    Vector,
    Z,
    average_precision,
    paired_bootstrap,
    paired_proportions,
)
from photovision.trust.robustness.trivial_predictors import MACRO

_LEAST_PROB = float(np.finfo(np.float32).eps)


class Predictor(Protocol):
    """What evaluation needs of a model; `Recognizer` has it."""

    classes: tuple[str, ...]
    multilabel: bool
    thresholds: Floats | None

    @property
    def bundle(self) -> Bundle:
        """Where it lives."""

    @property
    def doubt(self) -> Uncertainty | None:
        """Prediction sets and gate; None where the model has none."""

    def respond(
        self, dataset: Dataset, progress: ProgressCallback | None = None, *, embeddings: bool = False
    ) -> ModelOutputs:
        """Probabilities, logits, novelty of all pictures, and the problems of unreadable ones."""


@dataclass(frozen=True, eq=False)
class ClassifyEvaluation:
    """Probabilities beside the true classes of N images that could be read; an `engine.evaluation.Evaluation`.

    Attributes:
        samples: these images.
        positions: where they stand in the dataset, int64 (N,).
        classes: C names, in the model's order.
        probs: float32 (N, C), in that order.
        truth: int64 (N,) class indices, or 0/1 float32 (N, C) for a multi-label model.
        thresholds: float32 (C,) for a multi-label model, else None.
        problems: images that could not be read.
        novelty: float32 (N,); NaN where the model does not detect novelty.
        similarity: float32 (N,), to the nearest training image; NaN where the model does not know it.
        embeddings: float32 (N, D), where they were asked for.
        doubt: prediction sets and novelty detection of the model; None where it has none.
        strangers: what images of something else show -> their novelty, float32 (M,).
    """

    samples: tuple[Sample, ...]
    positions: Ints
    classes: tuple[str, ...]
    probs: Floats
    truth: np.ndarray
    thresholds: Floats | None
    problems: tuple[Problem, ...]
    novelty: Floats
    similarity: Floats
    embeddings: Floats | None = None
    doubt: Uncertainty | None = None
    strangers: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def multilabel(self) -> bool:
        """Whether several classes may be true at once."""
        return self.truth.ndim == 2

    @property
    def predicted(self) -> np.ndarray:
        """bool (N, C): which classes the model predicts for every image."""
        return self._stated(self.probs)

    @property
    def right(self) -> np.ndarray:
        """bool (N,): whether the image's label, or every label of it, is right."""
        return self.right_of(self.probs)

    def right_of(self, probs: Floats) -> np.ndarray:
        """`right` for other probabilities (N, C) of the same images."""
        if not self.multilabel:
            return np.asarray(probs.argmax(1) == self.truth)
        return np.asarray((self._stated(probs) == (self.truth > 0)).all(1))

    def _stated(self, probs: Floats) -> np.ndarray:
        if not self.multilabel:
            return np.asarray(np.arange(len(self.classes)) == probs.argmax(1)[:, None])
        limits = np.full(len(self.classes), 0.5, np.float32) if self.thresholds is None else self.thresholds
        return np.asarray(probs >= limits)

    @property
    def least(self) -> Floats:
        """From which probability on a class is in the prediction set, float32 (C,) or (N, C); needs `doubt`."""
        assert self.doubt is not None
        if not np.isfinite(self.similarity).all():
            return self.doubt.thresholds()
        return self.doubt.thresholds(self.similarity, self.predicted & (self.novelty <= self.doubt.limit)[:, None])

    def at(self, rows: Ints) -> ClassifyEvaluation:
        """See `Evaluation`."""
        return replace(
            self,
            samples=tuple(self.samples[int(row)] for row in rows),
            positions=self.positions[rows],
            probs=self.probs[rows],
            truth=self.truth[rows],
            novelty=self.novelty[rows],
            similarity=self.similarity[rows],
            embeddings=None if self.embeddings is None else self.embeddings[rows],
        )

    def metrics(self) -> dict[str, Metric]:
        """See `Evaluation`; those of `trust.metrics.scores`."""
        return self._metrics

    @cached_property
    def _metrics(self) -> dict[str, Metric]:
        if self.multilabel:
            return multi_label(self.probs, self.truth, self.thresholds)
        return single_label(self.probs, self.truth)

    @cached_property
    def answers(self) -> HeldOut:
        """See `Evaluation`."""
        novelty = None if self.doubt is None else self.novelty
        return HeldOut.of(self.probs, novelty, self.embeddings, self.positions)

    @property
    def score_name(self) -> str:
        """See `Evaluation`."""
        return "exact match" if self.multilabel else "accuracy"

    def score(self) -> Vector:
        """See `Evaluation`; 1 where the label, or every label, is right, else 0."""
        return self.right.astype(np.float64)

    def rates(self) -> list[Rate]:
        """See `Evaluation`: the accuracy, with the classes held equal where there is one an image."""
        right, ones = self.score(), np.ones(len(self.samples))
        expected = ones * right.mean()
        if not self.multilabel:
            expected = (np.bincount(self.truth, right) / np.maximum(np.bincount(self.truth), 1))[self.truth]
        return [Rate("accuracy", "right", right, ones, expected)]

    def gains(self, other: ClassifyEvaluation) -> Gains:
        """See `Evaluation`: accuracy (Bonett & Price) and log-loss, or mAP and exact match of multi-label models."""
        n = len(self.samples)
        right = Metric(*paired_proportions(self.right, other.right), n, "points")
        if self.multilabel:
            return Gains({"map": Metric(*_map_gain(self, other), n, "points"), "exact_match": right}, {})
        losses = paired_bootstrap(_log_losses(self), _log_losses(other))
        return Gains({"accuracy": right, "log_loss": Metric(*losses, n, "")}, {})


def evaluate(
    model: Predictor,
    dataset: Dataset,
    *,
    progress: ProgressCallback | None = None,
    embeddings: bool = False,
    unknown: Dataset | None = None,
) -> ClassifyEvaluation:
    """Predict every labelled image.

    Args:
        model: the classifier.
        dataset: labelled images; their classes must be among the model's, in any order.
        progress: called with (images done, N).
        embeddings: whether embeddings are kept.
        unknown: images of something else, their classes being what they show, to evaluate novelty detection with.

    Raises:
        DataError: a class is unknown to the model, nothing is labelled, or nothing could be read.
        UsageError: `unknown` is given for a model that does not detect novelty.
    """
    if unknown is not None and model.doubt is None:
        raise UsageError(
            f"{model.bundle.path} was made without novelty detection, so there is nothing to evaluate with pictures of"
            f" something else ('unknown'): leave them out, or {model.bundle.origin.remedy}"
        )
    check_classes(model, dataset)
    labelled = np.array([i for i, s in enumerate(dataset.samples) if s.target is not None], dtype=np.int64)
    if not len(labelled):
        raise DataError(
            "the data has no labelled pictures: an evaluation needs the truth, in folders or a label column"
        )
    part = dataset.subset(labelled)
    found = model.respond(part, progress, embeddings=embeddings)
    evaluation = evaluation_of(model, part, found)
    strangers = {} if unknown is None else _novelty_by_class(model, unknown)
    return replace(evaluation, positions=labelled[evaluation.positions], strangers=strangers)


def areas(evaluation: ClassifyEvaluation) -> dict[str, Metric]:
    """Area under the ROC curve of each class, and the mean of all, of which trivial predictors are set beside."""
    found = class_areas(evaluation.probs, evaluation.truth, evaluation.classes)
    mean = evaluation.metrics().get("macro_auroc" if evaluation.multilabel else "auroc")
    return {} if mean is None else {MACRO: mean, **found}


def evaluation_of(model: Predictor, dataset: Dataset, found: ModelOutputs) -> ClassifyEvaluation:
    """What a model has answered for N labelled images, beside the truth; DataError where none could be read."""
    readable = np.flatnonzero(np.isfinite(found.probs).all(1))
    if not len(readable):
        first = f" ({found.problems[0].message})" if found.problems else ""
        raise DataError(f"none of the {len(dataset):,} pictures could be read{first}: check the files")
    samples = tuple(dataset.samples[int(row)] for row in readable)
    return ClassifyEvaluation(
        samples,
        readable.astype(np.int64),
        model.classes,
        found.probs[readable],
        _truth(samples, model),
        model.thresholds if model.multilabel else None,
        tuple(found.problems),
        found.novelty[readable],
        found.similarity[readable],
        None if found.embeddings is None else found.embeddings[readable],
        model.doubt,
    )


def check_comparable(a: Predictor, b: Predictor) -> None:
    """Raise DataError where one of two models gives one class an image, and the other any number."""
    if a.multilabel != b.multilabel:
        raise DataError("one of the models gives one class a picture, the other any number: they cannot be compared")


def check_classes(model: Predictor, dataset: Dataset) -> None:
    """Raise DataError where a data set has a class that the model does not know, or more classes an image than it."""
    known = model.classes
    unknown = sorted({name for sample in dataset.samples for name in sample.target or ()} - set(known))
    if unknown:
        raise DataError(
            f"the model does not know {phrases.listed(unknown)}: give data whose classes are among its {len(known)}"
            f" ({phrases.listed(known)})"
        )
    if not model.multilabel and any(len(s.target) != 1 for s in dataset.samples if s.target is not None):
        raise DataError(
            "the model gives every picture exactly one class, but the data has pictures with none or several"
        )


def _truth(samples: tuple[Sample, ...], model: Predictor) -> np.ndarray:
    """int64 (N,) class indices, or 0/1 float32 (N, C) for a multi-label model."""
    known = {name: i for i, name in enumerate(model.classes)}
    truth = np.zeros((len(samples), len(known)), np.float32)
    for row, sample in enumerate(samples):
        truth[row, [known[name] for name in sample.target or ()]] = 1
    return truth if model.multilabel else truth.argmax(1).astype(np.int64)


def _novelty_by_class(model: Predictor, unknown: Dataset) -> dict[str, Floats]:
    """Name of what is shown -> novelty of its readable images."""
    novelty = model.respond(unknown).novelty
    shown = np.array([(sample.target or ("pictures",))[0] for sample in unknown.samples])
    found = {str(name): novelty[(shown == name) & np.isfinite(novelty)] for name in np.unique(shown)}
    return {name: values for name, values in found.items() if len(values)}


def _log_losses(one: ClassifyEvaluation) -> np.ndarray:
    chosen = one.probs[np.arange(len(one.truth)), one.truth].astype(np.float64)
    return np.asarray(-np.log(np.clip(chosen, _LEAST_PROB, 1)))


def _map_gain(a: ClassifyEvaluation, b: ClassifyEvaluation) -> Estimate:
    """B minus A, from each image's influence on both figures (infinitesimal jackknife)."""
    names = [name for name in a.classes if a.truth[:, a.classes.index(name)].any()]
    if not names:
        return Estimate(0.0, -1.0, 1.0)
    value, influence = 0.0, np.zeros(len(a.samples))
    for name in names:
        for sign, one in ((-1, a), (1, b)):
            column = one.classes.index(name)
            found, each = average_precision(one.probs[:, column], one.truth[:, column] > 0)
            value, influence = value + sign * found, influence + sign * each
    value, error = value / len(names), float(np.sqrt((influence**2).sum())) / len(names)
    return Estimate(value, value - Z * error, value + Z * error)
