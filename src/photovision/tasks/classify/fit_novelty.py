"""Remember: what a finished model keeps of its pictures, so that it can doubt, and show what a new picture is like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.engine.remember import chosen, names_of
from photovision.runtime.held_out import MAX_IMAGES as HELD_OUT
from photovision.runtime.held_out import HeldOut, write_held_out
from photovision.runtime.neighbours import NeighbourIndex, write_references
from photovision.runtime.similarity import SimilarityIndex
from photovision.runtime.uncertainty import NoveltyDetector, write_doubt
from photovision.runtime.validation import ValidationOutputs, write_validation
from photovision.tasks.classify.recognizer import ModelOutputs, Recognizer
from photovision.trust.metrics.conformal import fit_sets
from photovision.trust.metrics.novelty import fit_gate

_ENOUGH = 100  # test pictures, from which on they stand for the usual ones


def remember(
    model: Recognizer,
    train: Dataset,
    val: Dataset,
    folder: Path,
    seed: int,
    test: Dataset | None = None,
    component: Ints | None = None,
) -> dict[str, Any] | None:
    """Write a bundle's references, its predictions for held-out pictures, and what it knows of its limits.

    Everything is computed by the very graph that will answer, in its arithmetic.

    Args:
        model: the bundle as far as it is written, without doubt.
        train: pictures that it learned from; at most 2,048 of them are remembered, every class among them.
        val: pictures that it did not learn from.
        folder: of the bundle.
        seed: of the choice.
        test: pictures that chose nothing either: their predictions stand for the usual, where there are enough.
        component: int64 (N,), equal for pictures of `val` that belong together; None: each alone.

    Returns:
        what bundle.json says under "doubt"; None for too few validation pictures.
    """
    known = train.subset(chosen(train, seed))
    said, held_out = (_readable(model.respond(part, embeddings=True)) for part in (known, val))
    rows, responses = said
    if responses.embeddings is None:
        return None
    samples = [known.samples[int(row)] for row in rows]
    names = tuple(sample.id for sample in samples), tuple(" + ".join(names_of(sample)) for sample in samples)
    references = NeighbourIndex(responses.embeddings.astype(np.float16), *names)
    write_references(references, folder)
    val_rows, calibrating = held_out
    if calibrating.embeddings is None:
        return None
    truth = val.truth[val_rows]
    together = np.arange(len(truth)) if component is None else component[val_rows]
    kept = ValidationOutputs(calibrating.logits, truth.astype(np.int64), calibrating.embeddings, together)
    write_validation(kept, folder, seed)
    labels = responses.probs.argmax(1) if known.multilabel else known.labels[rows]
    similarity = references.similarity.of(calibrating.embeddings)
    gate = fit_gate(
        responses.embeddings,
        labels,
        calibrating.embeddings,
        calibrating.logits,
        multilabel=known.multilabel,
        similarity=similarity,
    )
    usual = calibrating if test is None else _unseen(model, test, seed, calibrating)
    write_held_out(_answers(usual, gate, references.similarity), folder, seed)
    sets = fit_sets(calibrating.probs, truth, similarity)
    return None if gate is None or sets is None else write_doubt(sets, gate, folder)


def _unseen(model: Recognizer, test: Dataset, seed: int, calibrating: ModelOutputs) -> ModelOutputs:
    """Answers for test pictures: training stopped where validation pictures were answered best, which flatters them."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(test))[:HELD_OUT])
    _, said = _readable(model.respond(test.subset(rows), embeddings=True))
    return said if len(said.probs) >= min(_ENOUGH, len(calibrating.probs)) else calibrating


def _answers(said: ModelOutputs, gate: NoveltyDetector | None, index: SimilarityIndex) -> HeldOut:
    if gate is None or said.embeddings is None:
        return HeldOut.of(said.probs, None, said.embeddings)
    novelty = gate.novelty(said.embeddings, said.logits, index.of(said.embeddings))
    return HeldOut.of(said.probs, novelty, said.embeddings)


def _readable(responses: ModelOutputs) -> tuple[np.ndarray, ModelOutputs]:
    """Rows of the pictures that could be read, and the responses for them."""
    rows = np.flatnonzero(np.isfinite(responses.probs).all(1))
    embeddings = None if responses.embeddings is None else responses.embeddings[rows]
    probs, logits = responses.probs[rows], responses.logits[rows]
    return rows, ModelOutputs(probs, logits, responses.novelty[rows], responses.similarity[rows], embeddings)
