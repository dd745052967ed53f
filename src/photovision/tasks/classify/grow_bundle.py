"""The bundle of a grown classifier: its graph with the new layer, and what it knows of its limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ExportError
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.engine.bundle_writer import BundleDraft
from photovision.engine.graph_head import replace_head
from photovision.runtime.bundle import Bundle
from photovision.runtime.held_out import HeldOut, write_held_out
from photovision.runtime.neighbours import MAX_IMAGES, NeighbourIndex, write_references
from photovision.runtime.similarity import NAME as EXPECTED
from photovision.runtime.uncertainty import write_doubt
from photovision.runtime.validation import ValidationOutputs, write_validation
from photovision.tasks.classify.exemplars import Exemplars, HeadVersion
from photovision.tasks.classify.grow import Golden, counts_of
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.metrics.conformal import fit_sets
from photovision.trust.metrics.novelty import fit_gate
from photovision.trust.metrics.scores import single_label
from photovision.trust.promotion import softmax
from photovision.trust.similarity import fit_expected_accuracy

CHOSEN = "updated"
_TOLERANCE, _COMPARED = 0.02, 32


def write_grown(
    draft: BundleDraft, model: Recognizer, version: HeadVersion, golden: Golden, dataset: Dataset, seed: int
) -> None:
    """Fill a copy of the record of the model's bundle.

    Args:
        draft: its info is that of the model so far.
        model: the version before.
        version: to be written.
        golden: the golden set, on which its figures are measured.
        dataset: new pictures, on some of which the graph is compared with what was learned.
        seed: of what is kept.

    Raises:
        ExportError: the graph does not predict what was learned.
        ModelError: the graph of the version before gives no embedding.
    """
    assert version.weight is not None
    assert version.bias is not None
    replace_head(model.bundle.graph, draft.folder / "model.onnx", version.weight, version.bias, version.temperature)
    judges = golden.exemplars
    probs = softmax(version.logits(judges) / version.temperature)
    found = single_label(probs, judges.label)
    draft.info |= {
        "classes": list(version.classes),
        "temperature": version.temperature,
        "thresholds": None,
        "chosen": CHOSEN,
        "learned_val": False,
        "metrics": {name: metric.to_json() for name, metric in found.items()},
        "data": {**draft.info.get("data", {}), "train_per_class": dict(counts_of(version))},
        **_limits(version, golden, draft.folder, seed),
    }
    _check(Recognizer(Bundle(draft.folder, {**draft.info, "doubt": None})), version, dataset)


def _limits(version: HeadVersion, golden: Golden, folder: Path, seed: int) -> Mapping[str, Any]:
    """Prediction sets, novelty detection and accuracy by similarity, fitted to all held-out pictures."""
    learned = version.learned.bounded(MAX_IMAGES, seed)
    names = tuple(version.classes[int(label)] for label in learned.label)
    references = NeighbourIndex(learned.embedding, learned.ids, names)
    write_references(references, folder)
    held = golden.exemplars.joined(version.held)
    logits, together = version.logits(held), _together(held)
    probs, similarity = softmax(logits / version.temperature), references.similarity.of(held.features)
    gate = fit_gate(learned.features, learned.label, held.features, logits, similarity=similarity)
    sets = fit_sets(probs, held.label, similarity)
    far = None if gate is None else gate.distances(held.features)
    write_validation(ValidationOutputs(logits, held.label, held.features, together, similarity, far), folder, seed)
    novelty = None if gate is None else gate.novelty(held.features, logits, similarity)
    write_held_out(HeldOut.of(probs, novelty, held.features), folder, seed)
    right = (probs.argmax(1) == held.label).astype(np.float64)
    expected = fit_expected_accuracy(probs.max(1), similarity, right, together, name="accuracy")
    return {
        "doubt": None if gate is None or sets is None else write_doubt(sets, gate, folder),
        EXPECTED: {"version": 1, "missing": "There are too few held-out pictures."}
        if expected is None
        else expected.to_json(),
    }


def _together(held: Exemplars) -> Ints:
    return np.arange(len(held), dtype=np.int64)


def _check(model: Recognizer, version: HeadVersion, dataset: Dataset) -> None:
    """Raise ExportError where the graph gives other probabilities than the layer that was learned."""
    rows = np.linspace(0, len(dataset) - 1, min(len(dataset), _COMPARED)).astype(int)
    found = model.respond(dataset.subset(rows), embeddings=True)
    assert found.embeddings is not None
    readable = np.flatnonzero(np.isfinite(found.probs).all(1))
    seen = Exemplars(found.embeddings[readable], np.zeros(len(readable), np.int64), ("",) * len(readable))
    expected = softmax(version.logits(seen) / version.temperature)
    difference = float(np.abs(found.probs[readable] - expected).max(1).mean()) if len(readable) else 0.0
    if not difference <= _TOLERANCE:
        raise ExportError(
            f"the graph of the new version does not predict what was learned: probabilities differ by {difference:.2g}"
            f" on average, more than {_TOLERANCE}; nothing was changed, report this"
        )
