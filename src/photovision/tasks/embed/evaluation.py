"""Evaluation of an embedding model: every image is searched for, and what is found is compared with its class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from photovision.core.errors import DataError
from photovision.core.phrases import count
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric
from photovision.core.types import Floats, Ints, Sample
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.held_out import HeldOut
from photovision.tasks.embed.drift import held_out
from photovision.tasks.embed.model import EmbeddingModel
from photovision.tasks.embed.retrieval import KEPT, Ranking, rank
from photovision.trust.metrics.paired_tests import Gains
from photovision.trust.metrics.rates import Rate
from photovision.trust.metrics.statistics import Vector, bootstrap, paired_bootstrap, paired_proportions, proportion

_TITLES = {
    "recall_at_1": ("Recall@1", "share of queries whose most similar image is of their class"),
    f"recall_at_{KEPT}": (f"Recall@{KEPT}", f"share of queries with an image of their class among the first {KEPT}"),
    "map_at_r": ("mAP@R", "mean average precision among the first R, R being how many there are of the class"),
}
"""Metric -> its heading, and what it means."""


@dataclass(frozen=True, eq=False)
class SearchedImages:
    """The images that are searched.

    Attributes:
        ids: their names.
        labels: their classes.
        samples: themselves, where they are the evaluated images; empty where they are training images of the model.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    samples: tuple[Sample, ...] = ()

    @property
    def learned(self) -> bool:
        """Whether they are training images of the model."""
        return not self.samples


@dataclass(frozen=True, eq=False)
class RetrievalEvaluation:
    """What a model finds for N queries; see `engine.evaluation.Evaluation`.

    Attributes:
        model: the embedding model.
        samples: the queries.
        positions: where they stand in the data set, int64 (N,).
        problems: images that could not be read, or of whose class there is nothing to find.
        labels: N classes.
        vectors: float32 (N, K), their embeddings.
        gallery: what is searched.
        ranking: what was found.
    """

    model: EmbeddingModel
    samples: tuple[Sample, ...]
    positions: Ints
    problems: tuple[Problem, ...]
    labels: tuple[str, ...]
    vectors: Floats
    gallery: SearchedImages
    ranking: Ranking

    @property
    def right(self) -> np.ndarray:
        """bool (N,): whether the most similar image is of the query's class."""
        return np.asarray(self.ranking.first == 0)

    def metrics(self) -> dict[str, Metric]:
        """See `Evaluation`: "recall_at_1", "recall_at_10" (Wilson's interval) and "map_at_r" (bootstrap)."""
        return self._metrics

    @cached_property
    def _metrics(self) -> dict[str, Metric]:
        n, first = len(self.samples), self.ranking.first
        found = {f"recall_at_{k}": Metric(*proportion(int((first < k).sum()), n), n) for k in (1, KEPT)}
        found["map_at_r"] = Metric(*bootstrap(np.mean, [self.ranking.precision]), n)
        return {name: replace(one, title=_TITLES[name][0], hint=_TITLES[name][1]) for name, one in found.items()}

    @property
    def score_name(self) -> str:
        """See `Evaluation`."""
        return "recall@1"

    def score(self) -> Vector:
        """See `Evaluation`: 1 where the most similar image is of the query's class, else 0."""
        return self.right.astype(np.float64)

    def rates(self) -> list[Rate]:
        """See `Evaluation`: recall@1, with the classes held equal."""
        right, ones = self.score(), np.ones(len(self.samples))
        classes = np.unique(self.labels, return_inverse=True)[1]
        expected = (np.bincount(classes, right) / np.bincount(classes))[classes]
        return [Rate("recall@1", "found", right, ones, expected)]

    def gains(self, other: RetrievalEvaluation) -> Gains:
        """See `Evaluation`: recall@1 (Bonett & Price), then mAP@R by a paired bootstrap."""
        n = len(self.samples)
        precision = paired_bootstrap(self.ranking.precision, other.ranking.precision)
        return Gains(
            {
                "recall_at_1": Metric(*paired_proportions(self.right, other.right), n, "points"),
                "map_at_r": Metric(*precision, n, "points"),
            },
            {},
        )

    @property
    def answers(self) -> HeldOut:
        """See `Evaluation`."""
        return replace(held_out(self.model, self.vectors), positions=self.positions)

    def at(self, rows: Ints) -> RetrievalEvaluation:
        """See `Evaluation`; the gallery stays."""
        some = [int(row) for row in rows]
        return replace(
            self,
            samples=tuple(self.samples[row] for row in some),
            labels=tuple(self.labels[row] for row in some),
            positions=self.positions[rows],
            vectors=self.vectors[rows],
            ranking=self.ranking.at(rows),
        )


def evaluate(
    model: EmbeddingModel, dataset: Dataset, *, progress: ProgressCallback | None = None, embeddings: bool = False
) -> RetrievalEvaluation:
    """Search for every image, and see whether others of its class are found.

    The training images that the model remembers are searched, where every class is among them. Classes that are new
    to the model are searched for among the images themselves, of which none is its own result.

    Args:
        model: the embedding model.
        dataset: images with one class each, in any number of classes.
        progress: called with (images done, N).
        embeddings: these are kept in any case.

    Raises:
        DataError: an image has several classes, none has any, nothing could be read, or nothing is there to be found.
    """
    positions = np.array([row for row, sample in enumerate(dataset.samples) if sample.target is not None], np.int64)
    labelled = dataset.subset(positions)
    _check_labels(labelled)
    vectors, problems = model.vectors(labelled, progress)
    readable = np.flatnonzero(np.isfinite(vectors).all(1)) if vectors.size else np.empty(0, np.int64)
    if not len(readable):
        raise DataError(f"none of the {count(len(labelled), 'picture')} could be read: check the files")
    samples = tuple(labelled.samples[int(row)] for row in readable)
    labels, vectors = tuple(_label(sample) for sample in samples), vectors[readable]
    gallery, among = _gallery(model, samples, labels, vectors)
    ranking = rank(vectors, labels, among, gallery.labels, own=not gallery.learned)
    found = RetrievalEvaluation(model, samples, positions[readable], tuple(problems), labels, vectors, gallery, ranking)
    return _with_something_to_find(found)


def _check_labels(labelled: Dataset) -> None:
    if not len(labelled):
        raise DataError("the data has no labels: an evaluation needs a class for every picture")
    several = next((sample for sample in labelled.samples if len(sample.target or ()) != 1), None)
    if several is not None:
        raise DataError(
            f"an embedding model needs exactly one class a picture, and {several.id} has"
            f" {count(len(several.target or ()), 'class', 'classes')}"
        )


def _label(sample: Sample) -> str:
    return sample.target[0] if sample.target else ""


def _gallery(
    model: EmbeddingModel, samples: tuple[Sample, ...], labels: tuple[str, ...], vectors: Floats
) -> tuple[SearchedImages, Floats]:
    """What is searched, and its embeddings."""
    known = model.references
    if known is not None and known.ids and set(labels) <= set(known.labels):
        return SearchedImages(known.ids, known.labels), known.embeddings.astype(np.float32)
    return SearchedImages(tuple(sample.id for sample in samples), labels, samples), vectors


def _with_something_to_find(found: RetrievalEvaluation) -> RetrievalEvaluation:
    """The evaluation without queries of whose class no other image is there."""
    alone = np.flatnonzero(found.ranking.relevant == 0)
    if not len(alone):
        return found
    if len(alone) == len(found.samples):
        raise DataError("every picture is the only one of its class, so there is nothing to find: give more of each")
    problems = [
        Problem(found.samples[row].id, "alone", "is the only picture of its class, so there is nothing to find")
        for row in alone.tolist()
    ]
    kept = found.at(np.flatnonzero(found.ranking.relevant > 0))
    return replace(kept, problems=(*found.problems, *problems))
