"""Accuracy by similarity of a finished model of any task: fitted to what its own graph predicts for held-out images."""

from __future__ import annotations

from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.task import Task
from photovision.core.types import Floats, Ints
from photovision.data.dataset import Dataset
from photovision.engine.drift import DriftModel
from photovision.runtime.bundle import Bundle
from photovision.runtime.neighbours import read_references
from photovision.runtime.similarity import VERSION, SimilarityIndex
from photovision.trust.similarity import MIN_PICTURES, fit_expected_accuracy

MAX_IMAGES = 2000
"""Held-out images that it is fitted to at most, so that it costs no more than a pass over a few of them."""
_MAX_TEST = 500


def accuracy_by_similarity(
    row: Task, bundle: Bundle, held_out: Dataset, test: Dataset, component: Ints | None = None, seed: int = 0
) -> dict[str, Any]:
    """What bundle.json holds as "accuracy_by_similarity".

    Args:
        row: of the task.
        bundle: complete but for this.
        held_out: N labelled images that it did not learn from, of several degrees of similarity to those that it did.
        test: images on which its figures are measured.
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
        positions, confidence, similarity, score, name = _scored(row, model, index, held_out.subset(rows))
    except DataError as error:
        return _missing(f"Accuracy by similarity could not be measured: {error}.")
    together = None if component is None else component[rows[positions]]
    found = fit_expected_accuracy(confidence, similarity, score, together, name=name)
    if found is None:
        return _missing(
            f"Accuracy by similarity needs at least {MIN_PICTURES} held-out pictures, and there are {len(score)}."
        )
    usual = similarity_of(row, model, index, test.subset(np.arange(min(len(test), _MAX_TEST))))
    return {**found.to_json(), "usual": float(np.median(usual)) if len(usual) else None}


def similarity_index(bundle: Bundle) -> SimilarityIndex | None:
    """Of the training images that a bundle remembers; None where it remembers none; ModelError where damaged."""
    references = bundle.still(read_references(bundle.path))
    return None if references is None else references.similarity


def similarity_of(row: Task, model: Any, index: SimilarityIndex, dataset: Dataset) -> Floats:
    """float32 (M,): how alike the readable ones of some images are to the nearest training image; () if unknown."""
    if not len(dataset):
        return np.empty(0, np.float32)
    compared: DriftModel = row.part("drift")(model)
    embedding = compared.predict(dataset).embedding
    return np.empty(0, np.float32) if embedding is None else index.of(embedding)


def _scored(
    row: Task, model: Any, index: SimilarityIndex, dataset: Dataset
) -> tuple[Ints, Floats, Floats, np.ndarray, str]:
    """Positions, confidence, similarity and score of labelled images, (N,) each, and what the score is called."""
    compared: DriftModel = row.part("drift")(model)
    answers = compared.predict(dataset)
    evaluation = row.part("evaluate")(model, dataset)
    if answers.embedding is None:
        raise DataError("the graph gives no embeddings")
    positions = np.arange(len(answers)) if answers.positions is None else answers.positions
    both, mine, theirs = np.intersect1d(positions, evaluation.positions, return_indices=True)
    similarity = index.of(answers.embedding[mine])
    return both.astype(np.int64), answers.prob[mine], similarity, evaluation.score()[theirs], evaluation.score_name


def _missing(why: str) -> dict[str, Any]:
    return {"version": VERSION, "missing": why}
