"""Accuracy by similarity of a finished model of any task: fitted to what its own graph predicts for held-out images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.report import Report
from photovision.core.task import Task
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.engine.elsewhere import SECONDS, evaluated_elsewhere
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
from photovision.trust.similarity import MIN_PICTURES, fit_expected_accuracy
from photovision.trust.similarity_text import finding, headline

MAX_IMAGES = 2000
"""Held-out images that it is fitted to at most, so that it costs no more than a pass over a few of them."""
_LOW = 0.25  # of held-out images are less alike than where changed ones tell more


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
    if similarity_index(bundle) is None or not row.has("evaluate"):
        return no_embeddings(row)
    found, _ = held_out_similarity(row.part("model")(bundle), held_out, component, seed)
    return with_usual(found, bundle)


def held_out_similarity(
    model: Any, held_out: Dataset, component: Ints | None = None, seed: int = 0, seconds: float = SECONDS
) -> tuple[dict[str, Any], HeldOut | None]:
    """`accuracy_by_similarity` without the usual similarity, and the answers for the images that it was fitted to.

    Args:
        model: an opened model that remembers training images.
        held_out, component, seed: as there.
        seconds: that may be spent on the same images as they might look elsewhere.
    """
    row: Task = model.bundle.row
    if similarity_index(model.bundle) is None:
        return no_embeddings(row), None
    rows = np.sort(np.random.default_rng(seed).permutation(len(held_out))[:MAX_IMAGES])
    try:
        evaluation: Evaluation = row.part("evaluate")(model, held_out.subset(rows), embeddings=True)
    except DataError as error:
        return _missing(f"Accuracy by similarity could not be measured: {error}."), None
    together = np.arange(len(held_out)) if component is None else component
    parts = [(evaluation, together[rows[evaluation.positions]], np.zeros(len(evaluation.positions), np.int64))]
    # A detector or segmenter is as sure of what it still finds elsewhere, and knows nothing of what it misses.
    if row.part("drift")(model).has_found and len(rows) >= MIN_PICTURES // 3:
        changed = evaluated_elsewhere(model, held_out, seed, seconds)
        parts += [(part.evaluation, together[part.positions], 1 + part.change) for part in changed]
    return _fitted(model.bundle, parts), evaluation.answers


def fitted(bundle: Bundle, evaluation: Evaluation, component: Ints | None = None, seed: int = 0) -> dict[str, Any]:
    """The same, fitted to an evaluation of held-out images that kept their embeddings.

    Args:
        bundle: complete but for this.
        evaluation: of N images.
        component: int (N,), as there.
        seed: which images are taken where there are very many.
    """
    together = np.arange(len(evaluation.answers)) if component is None else component
    rows = np.sort(np.random.default_rng(seed).permutation(len(together))[:MAX_IMAGES])
    return _fitted(bundle, [(evaluation.at(rows), together[rows], np.zeros(len(rows), np.int64))])


def _fitted(bundle: Bundle, parts: Sequence[tuple[Evaluation, Ints, Ints]]) -> dict[str, Any]:
    """Fitted to the evaluation of held-out images, and to those of changed ones that are less alike than most of them.

    Changed images tell of a similarity that held-out ones do not have; where these tell themselves, they are believed.

    Args:
        bundle: complete but for this.
        parts: evaluations, with the components of their images and what changed these, 0 for nothing.
    """
    index = similarity_index(bundle)
    answers = [evaluation.answers for evaluation, _, _ in parts]
    embeddings = [one.embedding for one in answers if one.embedding is not None]
    if index is None or len(embeddings) < len(parts):
        return no_embeddings(bundle.row)
    first, own = parts[0][0], len(answers[0])
    similarity = index.of(np.concatenate(embeddings))
    edge = np.quantile(similarity[:own], _LOW) if own else 0.0
    rows = np.flatnonzero((np.arange(len(similarity)) < own) | (similarity < edge))
    found = fit_expected_accuracy(
        np.concatenate([one.prob for one in answers])[rows],
        similarity[rows],
        np.concatenate([evaluation.score() for evaluation, _, _ in parts])[rows],
        np.concatenate([together for _, together, _ in parts])[rows],
        name=first.score_name,
        change=np.concatenate([change for _, _, change in parts])[rows],
    )
    if found is None:
        n = len(rows)
        return _missing(f"Accuracy by similarity needs at least {MIN_PICTURES} held-out pictures, and there are {n}.")
    return found.to_json()


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


def similarity_index(bundle: Bundle) -> SimilarityIndex | None:
    """Of the training images that a bundle remembers; None where it remembers none; ModelError where damaged."""
    references = bundle.still(read_references(bundle.path))
    return None if references is None else references.similarity


def no_embeddings(row: Task) -> dict[str, Any]:
    """What bundle.json holds of a model of a task that remembers no training images."""
    return _missing(f"Accuracy by similarity needs embeddings of training pictures, and {row.text.a_noun} kept none.")


def _missing(why: str) -> dict[str, Any]:
    return {"version": VERSION, "missing": why}
