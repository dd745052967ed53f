"""Remember: what a finished model keeps of its pictures, so that it can doubt, and show what a new picture is like.

Where a network learned from its validation pictures, too, or was changed and none are left that it did not learn from,
what is usual was learned out-of-fold, by the network before; centres, spread and references are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.types import Floats, Ints
from photovision.data.dataset import Dataset
from photovision.engine.remember import chosen, names_of
from photovision.engine.similarity import fitted, no_embeddings
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import MAX_IMAGES as HELD_OUT
from photovision.runtime.held_out import HeldOut, write_held_out
from photovision.runtime.neighbours import NeighbourIndex, write_references
from photovision.runtime.similarity import NAME as EXPECTED
from photovision.runtime.similarity import SimilarityIndex
from photovision.runtime.uncertainty import NoveltyDetector, write_doubt
from photovision.runtime.validation import ValidationOutputs, read_validation, write_validation
from photovision.tasks.classify.evaluation import evaluation_of
from photovision.tasks.classify.recognizer import ModelOutputs, Recognizer
from photovision.trust.metrics.conformal import fit_sets
from photovision.trust.metrics.novelty import centred_gate, fit_gate, with_centres

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
    """`fit_limits` without accuracy by similarity: what bundle.json says under "doubt"."""
    found: dict[str, Any] | None = fit_limits(model, train, val, folder, seed, test, component)["doubt"]
    return found


def fit_limits(
    model: Recognizer,
    train: Dataset,
    val: Dataset,
    folder: Path,
    seed: int,
    test: Dataset | None = None,
    component: Ints | None = None,
) -> dict[str, Any]:
    """Write a bundle's references, its predictions for held-out pictures, and what it knows of its limits.

    Everything is computed by the very graph that will answer, in its arithmetic; every picture is answered once.

    Args:
        model: the bundle as far as it is written, without doubt.
        train: pictures that it learned from; at most 2,048 of them are remembered, every class among them.
        val: pictures that it did not learn from.
        folder: of the bundle.
        seed: of the choice.
        test: pictures that chose nothing either: their predictions stand for the usual, where there are enough.
        component: int64 (N,), equal for pictures of `val` that belong together; None: each alone.

    Returns:
        the entries "doubt", None for too few validation pictures, and "accuracy_by_similarity" of bundle.json.
    """
    known = _known(model, train, folder, seed)
    answers = model.respond(val, embeddings=True)
    val_rows, calibrating = _readable(answers)
    if known is None or calibrating.embeddings is None:
        return {"doubt": None, EXPECTED: no_embeddings(model.bundle.row)}
    truth = val.truth[val_rows]
    together = np.arange(len(truth)) if component is None else component[val_rows]
    similarity = known.similarity.of(calibrating.embeddings)
    gate = fit_gate(
        known.embeddings,
        known.labels,
        calibrating.embeddings,
        calibrating.logits,
        multilabel=train.multilabel,
        similarity=similarity,
    )
    far = None if gate is None else gate.distances(calibrating.embeddings)
    kept = calibrating.logits, truth.astype(np.int64), calibrating.embeddings, together
    write_validation(ValidationOutputs(*kept, similarity, far), folder, seed)
    usual = calibrating if test is None else _unseen(model, test, seed, calibrating)
    write_held_out(_answers(usual, gate, known.similarity), folder, seed)
    sets = fit_sets(calibrating.probs, truth, similarity)
    doubt = None if gate is None or sets is None else write_doubt(sets, gate, folder)
    written = Bundle(folder, model.info)
    return {"doubt": doubt, EXPECTED: fitted(written, evaluation_of(model, val, answers), together, seed)}


def remember_out_of_fold(
    model: Recognizer,
    learned: Dataset,
    before: Recognizer,
    folder: Path,
    seed: int,
    test: Dataset | None = None,
    *,
    scale: float = 1.0,
    gate_of: Callable[[NoveltyDetector, NoveltyDetector], NoveltyDetector] = with_centres,
) -> dict[str, Any] | None:
    """`remember` for a network that learned from its validation pictures, too.

    Args:
        model: the bundle as far as it is written, without doubt.
        learned: all pictures that it learned from.
        before: the model whose limits were fitted to what it gives for validation pictures: they are taken over.
        folder: of the bundle.
        seed: of the choice.
        test: pictures that it did not learn from, whose predictions stand for the usual; None: they are written later.
        scale: how many times as large its logits are as those of `before`.
        gate_of: from the gate of `before`, and the centres and spread of `model`, to the gate of `model`.

    Returns:
        as of `remember`; None where `before` has no limits.
    """
    known = _known(model, learned, folder, seed)
    kept = read_validation(before.bundle.path, len(model.classes))
    if known is None or kept is None:
        return None
    write_validation(replace(kept, logits=np.asarray(kept.logits * scale, np.float32)), folder, seed)
    gate = None
    if before.doubt is not None:
        gate = gate_of(before.doubt.gate, centred_gate(known.embeddings, known.labels, learned.multilabel))
    if test is not None:
        write_held_out(_answers(_answered(model, test, seed), gate, known.similarity), folder, seed)
    return None if gate is None or before.doubt is None else write_doubt(before.doubt.sets, gate, folder)


@dataclass(frozen=True, eq=False)
class _Known:
    """What is remembered of M pictures: embeddings float32 (M, D), labels int64 (M,), and how alike others are."""

    embeddings: Floats
    labels: Ints
    similarity: SimilarityIndex


def _known(model: Recognizer, learned: Dataset, folder: Path, seed: int) -> _Known | None:
    """Write the references of a bundle; None where its graph gives no embeddings."""
    known = learned.subset(chosen(learned, seed))
    rows, responses = _readable(model.respond(known, embeddings=True))
    if responses.embeddings is None:
        return None
    samples = [known.samples[int(row)] for row in rows]
    names = tuple(sample.id for sample in samples), tuple(" + ".join(names_of(sample)) for sample in samples)
    references = NeighbourIndex(responses.embeddings.astype(np.float16), *names)
    write_references(references, folder)
    labels = responses.probs.argmax(1) if known.multilabel else known.labels[rows]
    return _Known(responses.embeddings, labels, references.similarity)


def _unseen(model: Recognizer, test: Dataset, seed: int, calibrating: ModelOutputs) -> ModelOutputs:
    """Answers for test pictures: training stopped where validation pictures were answered best, which flatters them."""
    outputs = _answered(model, test, seed)
    return outputs if len(outputs.probs) >= min(_ENOUGH, len(calibrating.probs)) else calibrating


def _answered(model: Recognizer, test: Dataset, seed: int) -> ModelOutputs:
    """Answers for as many pictures as a bundle keeps."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(test))[:HELD_OUT])
    return _readable(model.respond(test.subset(rows), embeddings=True))[1]


def _answers(outputs: ModelOutputs, gate: NoveltyDetector | None, index: SimilarityIndex) -> HeldOut:
    if gate is None or outputs.embeddings is None:
        return HeldOut.of(outputs.probs, None, outputs.embeddings)
    novelty = gate.novelty(outputs.embeddings, outputs.logits, index.of(outputs.embeddings))
    return HeldOut.of(outputs.probs, novelty, outputs.embeddings)


def _readable(responses: ModelOutputs) -> tuple[np.ndarray, ModelOutputs]:
    """Rows of the pictures that could be read, and the responses for them."""
    rows = np.flatnonzero(np.isfinite(responses.probs).all(1))
    embeddings = None if responses.embeddings is None else responses.embeddings[rows]
    probs, logits = responses.probs[rows], responses.logits[rows]
    return rows, ModelOutputs(probs, logits, responses.novelty[rows], responses.similarity[rows], embeddings)
