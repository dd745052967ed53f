"""Accuracy by similarity of a finished model of any task: fitted to what its own graph predicts for held-out images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.report import Finding, Report
from photovision.core.task import Task
from photovision.core.types import Floats, Ints
from photovision.data.dataset import Dataset
from photovision.engine.evaluation import Evaluation
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import HeldOut, read_held_out
from photovision.runtime.neighbours import read_references
from photovision.runtime.similarity import (
    NAME,
    VERSION,
    ExpectedAccuracy,
    SimilarityIndex,
    read_expected,
    why_missing,
)
from photovision.trust.metrics.statistics import Vector
from photovision.trust.similarity import MIN_PICTURES, estimate, fit_expected_accuracy
from photovision.trust.similarity_text import ScoredPictures, expected_score, finding, headline

MAX_IMAGES = 2000
"""Held-out images that it is fitted to at most, so that it costs no more than a pass over a few of them."""
MAX_COMPARED = 500
"""Labelled images of which, at most, an evaluation compares the measured score with the expected one."""


def accuracy_by_similarity(
    row: Task, bundle: Bundle, held_out: Dataset, component: Ints | None = None, seed: int = 0
) -> dict[str, Any]:
    """What bundle.json holds as "accuracy_by_similarity".

    Args:
        row: of the task.
        bundle: complete but for this.
        held_out: N labelled images that it did not learn from, of several degrees of similarity to those that it did.
        component: int (N,): held-out images of one number belong together; None: each alone.
        seed: which images are taken where there are very many.

    Returns:
        the fit, JSON-ready, or under "missing" a sentence why there is none.
    """
    index = similarity_index(bundle)
    if index is None or not (row.has("drift") and row.has("evaluate")):
        return _missing(
            f"Accuracy by similarity needs embeddings of training pictures, and {row.text.a_noun} kept none."
        )
    model = row.part("model")(bundle)
    rows = np.sort(np.random.default_rng(seed).permutation(len(held_out))[:MAX_IMAGES])
    try:
        part = held_out.subset(rows)
        evaluation: Evaluation = row.part("evaluate")(model, part)
        one = _scored(row, model, index, part, evaluation)
    except DataError as error:
        return _missing(f"Accuracy by similarity could not be measured: {error}.")
    together = None if component is None else component[rows[one.positions]]
    name = evaluation.score_name
    found = fit_expected_accuracy(one.confidence, one.similarity, one.score, together, name=name)
    if found is None:
        n = len(one.score)
        return _missing(f"Accuracy by similarity needs at least {MIN_PICTURES} held-out pictures, and there are {n}.")
    return with_usual(found.to_json(), bundle)


def with_usual(fitted: Mapping[str, Any], bundle: Bundle) -> dict[str, Any]:
    """The same accuracy by similarity, with the similarity of the held-out images of a bundle as the usual one.

    Args:
        fitted: what `accuracy_by_similarity` gives.
        bundle: whose graph predicted them: test images, where there are enough.
    """
    answers, index = read_held_out(bundle.path), similarity_index(bundle)
    if "n" not in fitted or index is None or answers is None or answers.embedding is None or not len(answers):
        return dict(fitted)
    return {**fitted, "usual": float(np.median(index.of(answers.embedding)))}


def headed(row: Task, info: Mapping[str, Any], report: Report) -> Report:
    """The report of a training, headed by the images that its leading metric holds for.

    Args:
        row: of the task.
        info: the contents of bundle.json.
        report: of the training; its metrics were measured on test.
    """
    expected, lead = read_expected(info), row.leading(report.metrics)
    if lead is None:
        return report
    if expected is None:
        why = why_missing(info)
        return replace(report, summary=(*report.summary, why), data={**report.data, NAME: {"missing": why}})
    found = finding(expected)
    first = headline(expected, report.metrics[lead], row.lead[lead])
    return replace(
        report.including(found),
        summary=(first, *report.summary),
        data={**report.data, NAME: shown(expected)},
    )


def shown(expected: ExpectedAccuracy) -> dict[str, Any]:
    """What reports hold of it in JSON: all but the coefficients."""
    return {name: value for name, value in expected.to_json().items() if name not in ("coefficients", "resampled")}


def compared(model: Any, dataset: Dataset, evaluation: Evaluation, seed: int = 0) -> Finding:
    """The measured score of labelled images beside the one to be expected of them, by similarity.

    Args:
        model: an opened model; nothing is found for one without accuracy by similarity.
        dataset: labelled images, of which at most 500 are compared.
        evaluation: of them.
        seed: which.
    """
    expected, index = read_expected(model.bundle.info), similarity_index(model.bundle)
    if expected is None or index is None:
        return Finding()
    n = len(evaluation.positions)
    rows = np.sort(np.random.default_rng(seed).permutation(n)[:MAX_COMPARED])
    found = _scored(model.bundle.row, model, index, dataset.subset(evaluation.positions[rows]), evaluation.at(rows))
    if not len(found.score):
        return Finding()
    pictures = ScoredPictures(found.score, expected.of(found.confidence, found.similarity), found.similarity)
    metric = estimate(expected, found.confidence, found.similarity, seed=seed)
    own = finding(expected, {"these pictures": found.similarity}, pictures)
    return replace(own, metrics=expected_score(expected.score, metric), data={**own.data, NAME: shown(expected)})


def similarity_index(bundle: Bundle) -> SimilarityIndex | None:
    """Of the training images that a bundle remembers; None where it remembers none; ModelError where damaged."""
    references = bundle.still(read_references(bundle.path))
    return None if references is None else references.similarity


@dataclass(frozen=True, eq=False)
class _Scored:
    """Labelled images that could be predicted, (N,) each, and where they stand in their data set."""

    positions: Ints
    confidence: Floats
    similarity: Floats
    score: Vector


def _scored(row: Task, model: Any, index: SimilarityIndex, dataset: Dataset, evaluation: Evaluation) -> _Scored:
    """Of the images of a data set that were evaluated, row by row or at positions of their own."""
    answers: HeldOut = row.part("drift")(model).predict(dataset)
    if answers.embedding is None:
        raise DataError("the graph gives no embeddings")
    readable = np.arange(len(answers)) if answers.positions is None else answers.positions
    ids = {sample.id: place for place, sample in enumerate(evaluation.samples)}
    pairs = [
        (place, ids[dataset.samples[position].id])
        for place, position in enumerate(readable.tolist())
        if dataset.samples[position].id in ids
    ]
    mine, theirs = np.array(pairs, np.int64).reshape(-1, 2).T
    similarity = index.of(answers.embedding[mine])
    return _Scored(readable[mine].astype(np.int64), answers.prob[mine], similarity, evaluation.score()[theirs])


def _missing(why: str) -> dict[str, Any]:
    return {"version": VERSION, "missing": why}
