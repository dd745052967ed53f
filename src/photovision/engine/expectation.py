"""Expectation: what score to expect of images that a model has answered, of any task; labels are not needed.

How alike images are to the training images and how sure the model is of them tell how often it is right on such images
(`photovision.trust.similarity`), as far as what changed shows in either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import ModelError
from photovision.core.phrases import spoken
from photovision.core.report import Finding, Metric
from photovision.core.types import Floats, Sample
from photovision.data.dataset import Dataset
from photovision.engine.drift import DriftModel
from photovision.engine.evaluation import Evaluation
from photovision.engine.similarity import shown, similarity_index
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import HeldOut
from photovision.runtime.similarity import NAME, ExpectedAccuracy, SimilarityIndex, read_expected
from photovision.trust import similarity as statistics
from photovision.trust.similarity_text import MIN_OF_BIN, ScoredPictures, expected_score, finding

MOST_UNKNOWN = 0.5
"""Share of unknown images above which an estimate is not to be relied on."""
UNTESTED = "less alike than any that were tested when the model was made"
MAX_EMBEDDED = 20_000
"""Labelled images of which, at most, an evaluation keeps embeddings: 100 MB of 1,280 numbers each."""
_DRAWN = 2000


@dataclass(frozen=True, eq=False)
class Estimator:
    """What a model needs to estimate its own score: the fit, and the training images that it remembers."""

    expected: ExpectedAccuracy
    index: SimilarityIndex

    @classmethod
    def of(cls, bundle: Bundle) -> Estimator | None:
        """Of a bundle; None where it keeps too little."""
        expected = read_expected(bundle.info)
        index = None if expected is None else similarity_index(bundle)
        return None if expected is None or index is None else cls(expected, index)


@dataclass(frozen=True, eq=False)
class Expectation:
    """What to expect of N images.

    Attributes:
        metric: their mean score, with its interval.
        each: float32 (N,), 0 to 1: the score to expect of every image.
        similarity: float32 (N,), -1 to 1: how alike each is to the nearest training image.
        answers: the predictions.
        samples: the images; () where they are not known.
        unknown: bool (N,), which are called unknown; without novelty detection those that are less alike
            than any that were tested.
        gated: whether the model detects novelty.
    """

    metric: Metric
    each: Floats
    similarity: Floats
    answers: HeldOut
    samples: tuple[Sample, ...]
    unknown: np.ndarray
    gated: bool

    @property
    def unknown_share(self) -> float:
        """How many of them nothing is known about, 0 to 1."""
        return float(self.unknown.mean())

    @property
    def unknown_because(self) -> str:
        """What these are, as the end of a sentence on them."""
        return "called unknown by the model" if self.gated else UNTESTED

    @property
    def reliable(self) -> bool:
        """Whether most of the images are of the kind that the model learned."""
        return self.unknown_share <= MOST_UNKNOWN

    def in_short(self, score: str) -> Finding:
        """One sentence, and the metric where it can be relied on, for reports on something else."""
        if not self.reliable:
            share = percent(self.unknown_share)
            return Finding((f"There is no reliable estimate: {share} of these pictures are {self.unknown_because}.",))
        sentence = f"Expected {score}: {spoken(self.metric)}, from similarity and confidence, without labels."
        return Finding((sentence,), expected_score(score, self.metric))


def expectation(
    known: Estimator, compared: DriftModel, answers: HeldOut, samples: Sequence[Sample] = (), seed: int = 0
) -> Expectation:
    """What to expect of images that were answered; ModelError where the answers lack embeddings.

    Args:
        known: of the model.
        compared: its part "drift".
        answers: for the images, at least one.
        samples: of the data set whose positions the answers have.
        seed: of the interval.
    """
    if answers.embedding is None:
        raise ModelError("the model gives no embeddings of images: train it again")
    similarity = known.index.of(answers.embedding)
    rows = range(len(answers)) if answers.positions is None else answers.positions.tolist()
    unknown = _unknown(known.expected, compared, answers, similarity)
    metric = statistics.estimate(known.expected, answers.prob, similarity, seed=seed)
    return Expectation(
        _allowing(metric, compared, unknown),
        known.expected.of(answers.prob, similarity),
        similarity,
        answers,
        tuple(samples[row] for row in rows) if len(samples) else (),
        unknown,
        compared.limit is not None,
    )


def expected_of(model: Any, answers: HeldOut, seed: int = 0) -> Finding:
    """The score to expect of images that were answered already; nothing where the model or the answers do not tell."""
    known = Estimator.of(model.bundle)
    if known is None or answers.embedding is None or not len(answers):
        return Finding()
    found = expectation(known, model.bundle.row.part("drift")(model), answers, seed=seed)
    return found.in_short(known.expected.score)


def compared(model: Any, dataset: Dataset, evaluation: Evaluation, seed: int = 0) -> Finding:
    """The measured score of labelled images beside the one to be expected of them, by similarity.

    Args:
        model: an opened model; nothing is found for one without accuracy by similarity.
        dataset: labelled images.
        evaluation: of them; where it kept no embeddings, 2,000 of them at most are evaluated again.
        seed: of the interval.
    """
    known, row = Estimator.of(model.bundle), model.bundle.row
    if known is None:
        return Finding()
    if evaluation.answers.embedding is None:
        drawn = np.sort(np.random.default_rng(seed).permutation(evaluation.positions)[:_DRAWN])
        evaluation = row.part("evaluate")(model, dataset.subset(drawn), embeddings=True)
    if evaluation.answers.embedding is None:
        return Finding()
    found = expectation(known, row.part("drift")(model), evaluation.answers, seed=seed)
    pictures = ScoredPictures(evaluation.score(), found.each, found.similarity)
    own = finding(known.expected, {"these pictures": found.similarity}, pictures)
    short = found.in_short(known.expected.score)
    summary = own.summary if found.reliable else (*short.summary, *own.summary)
    return replace(own, summary=summary, metrics=short.metrics, data={**own.data, NAME: shown(known.expected)})


def _unknown(expected: ExpectedAccuracy, compared: DriftModel, answers: HeldOut, similarity: Floats) -> np.ndarray:
    """bool (N,): images whose like were not held out, so that nothing tells how often the model is right on them."""
    if answers.novelty is not None and compared.limit is not None:
        return np.asarray(answers.novelty > compared.limit)
    if compared.limit is not None:
        return np.zeros(len(answers), bool)
    tested = [one.start for one in expected.curve if one.n >= MIN_OF_BIN]
    return np.asarray(similarity < min(tested, default=np.inf))


def _allowing(metric: Metric, compared: DriftModel, unknown: np.ndarray) -> Metric:
    """The interval, whose lower bound allows for every prediction on something else to be wrong.

    Neither similarity nor confidence says how often a model is right on images of which none like them were held out.
    So many of them as are familiar by the rate of false alarms are taken for familiar.
    """
    if metric.low is None:
        return metric
    beyond = max(0.0, float(unknown.mean()) - (compared.false_alarms or 0.0))
    return replace(metric, low=metric.low * (1 - beyond))
