"""Novelty: the gate that tells pictures of something else, learned after training, and what it lets through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from photovision.core.drawing import Bar, bars, percent
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.types import Floats, Ints
from photovision.runtime.quantile_regression import quantile_slope
from photovision.runtime.uncertainty import NoveltyDetector, energies
from photovision.trust.metrics.statistics import proportion, roc_area

MIN_PICTURES = 20
"""Validation pictures below which no gate is made."""
_ENOUGH = 50  # pictures, from which on novelty is fitted to similarity
_LOWEST = 0.02
_AXES = 128
_SHRINKAGE = 0.1
_EDGE = 0.95


def fit_gate(
    embeddings: Floats,
    labels: Ints,
    val_embeddings: Floats,
    val_logits: Floats,
    *,
    multilabel: bool = False,
    similarity: Floats | None = None,
) -> NoveltyDetector | None:
    """Learn where the classes lie, and how far pictures of them usually are from there.

    Args:
        embeddings: float32 (N, D) of training pictures, unit norm.
        labels: int64 (N,): their class, or for multi-label pictures the most probable one.
        val_embeddings, val_logits: float32 (M, D) and (M, C) of pictures that took no part in learning.
        multilabel: whether several classes may be true at once.
        similarity: float32 (M,) of the latter, to the nearest training picture. With it, what novelty usually is at a
            similarity is taken from it, so that familiar pictures of another place are not unknown either.

    Returns:
        None for fewer than 20 validation pictures.
    """
    if len(val_embeddings) < MIN_PICTURES:
        return None
    gate = centred_gate(embeddings, labels, multilabel)
    return refit_gate(gate, gate.distances(val_embeddings), val_logits, similarity)


def centred_gate(embeddings: Floats, labels: Ints, multilabel: bool) -> NoveltyDetector:
    """The centres and the spread of training pictures, of which nothing is usual yet; arguments as for `fit_gate`."""
    present, codes = np.unique(labels, return_inverse=True)
    means = np.stack([embeddings[codes == c].mean(0) for c in range(len(present))])
    axes, weights, rest = _spread(embeddings - means[codes])
    return NoveltyDetector(means, axes, weights, rest, (0.0, 1.0), (0.0, 1.0), multilabel, np.zeros(1, np.float32))


def refit_gate(
    gate: NoveltyDetector, distances: Floats, val_logits: Floats, similarity: Floats | None = None
) -> NoveltyDetector:
    """The same centres and spread, with what is usual learned from other pictures.

    Args:
        gate: whose centres and spread are kept.
        distances: float32 (M,) of these pictures, as its method `distances` gives them.
        val_logits, similarity: as for `fit_gate`.
    """
    energy = _usual(energies(val_logits, gate.multilabel))
    ready = replace(gate, distance=_usual(distances), energy=energy, fall=0.0)
    if similarity is not None and len(similarity) >= _ENOUGH:
        plain = ready.novelty_at(distances, val_logits)
        usual, lowest = np.quantile(similarity, [0.5, _LOWEST]).tolist()
        # Below the lowest similarity that was measured the line is followed as far again as it was measured.
        least = max(-1.0, 2 * lowest - usual)
        ready = replace(ready, fall=quantile_slope(plain, similarity, 0.5), usual=usual, least=least)
    return replace(ready, scores=np.sort(ready.novelty_at(distances, val_logits, similarity)))


def moved_gate(
    gate: NoveltyDetector, centred: NoveltyDetector, before: tuple[Floats, Floats], after: tuple[Floats, Floats]
) -> NoveltyDetector:
    """A gate for a network that was changed: what is usual is moved as far as the same pictures moved.

    Args:
        gate: of the network before.
        centred: centres and spread of the changed one.
        before, after: embeddings (N, D) and logits (N, C) of the same pictures, of both networks.
    """

    def moved(pair: tuple[float, float], old: Floats, new: Floats) -> tuple[float, float]:
        (middle, edge), (middle_now, edge_now) = _usual(old), _usual(new)
        ratio = (edge_now - middle_now) / max(edge - middle, 1e-9)
        low, high = (middle_now + ratio * (value - middle) for value in pair)
        return low, high

    distance = moved(gate.distance, gate.distances(before[0]), centred.distances(after[0]))
    energy = moved(gate.energy, *(energies(logits, gate.multilabel) for _, logits in (before, after)))
    return with_centres(replace(gate, distance=distance, energy=energy), centred)


def with_centres(gate: NoveltyDetector, centred: NoveltyDetector) -> NoveltyDetector:
    """What one gate knows to be usual, about the centres and the spread of another."""
    return replace(gate, means=centred.means, axes=centred.axes, weights=centred.weights, rest=centred.rest)


def novelty_finding(
    known: Floats, gate_limit: float, asked: float, others: Mapping[str, Floats] | None = None
) -> Finding:
    """How often pictures of the model's own kind are called unknown, and how often others are.

    Args:
        known: float32 (N,), novelty of pictures of the model's classes that took no part in anything.
        gate_limit: of `Gate.limit`.
        asked: the share of false alarms asked for, 0 to 1.
        others: name -> novelty of pictures of something else; none measured where empty.

    Returns:
        metrics `false_alarms`, and with others `novelty_auroc` and `detected_unknown` over all of them.
    """
    alarms = Metric(*proportion(int((known > gate_limit).sum()), len(known)), len(known))
    metrics = {"false_alarms": alarms}
    sentences = [
        f"{percent(alarms.value)} of {len(known):,} pictures of its own kind are called unknown"
        f" (asked: {percent(asked)})."
    ]
    warnings = []
    if alarms.low is not None and alarms.low > asked:
        warnings.append(
            f"Novelty detection calls {percent(alarms.value)} of these pictures unknown, not {percent(asked)}: they"
            " differ from the pictures that it learned from. Train with pictures of this kind, or learn what is usual"
            " here with 'photovision calibrate'."
        )
    others = {name: scores for name, scores in (others or {}).items() if len(scores)}
    if not others:
        return Finding(
            (*sentences, "How well it tells pictures of something else is not measured: give some with --unknown."),
            metrics,
            warnings=warnings,
            data={"false_alarms_asked": asked},
        )
    every = np.concatenate(list(others.values()))
    metrics["novelty_auroc"] = _area(known, every)
    metrics["detected_unknown"] = Metric(*proportion(int((every > gate_limit).sum()), len(every)), len(every))
    sentences.append(
        f"Of {len(every):,} pictures of something else it calls {percent(metrics['detected_unknown'].value)} unknown"
        f" (AUROC {metrics['novelty_auroc'].value:.3f})."
    )
    rows = tuple(
        (name, len(s), _area(known, s), Metric(*proportion(int((s > gate_limit).sum()), len(s)), len(s)))
        for name, s in others.items()
    )
    table = Table("Pictures of something else", ("pictures", "n", "AUROC", "called unknown"), rows)
    shown = {name: [Bar(row[3].value, row[3].low, row[3].high)] for name, row in zip(others, rows, strict=True)}
    shown["pictures of its own kind"] = [Bar(alarms.value, alarms.low, alarms.high, 1)]
    figure = Figure("Pictures of something else", svg=bars(shown, "Share called unknown"), note="Share called unknown.")
    return Finding(tuple(sentences), metrics, [table], [figure], warnings, {"false_alarms_asked": asked})


def _spread(residuals: Floats) -> tuple[Floats, Floats, float]:
    """Axes of largest variance within classes, the precision along each beyond the rest's, and the rest's."""
    _, singular, axes = np.linalg.svd(residuals.astype(np.float64), full_matrices=False)
    variance = np.zeros(residuals.shape[1])
    variance[: len(singular)] = singular**2 / len(residuals)
    # Directions in which the few training pictures do not vary at all would count without end.
    variance += _SHRINKAGE * variance.mean() + 1e-12
    kept = min(_AXES, len(singular), residuals.shape[1] - 1)
    rest = float(1 / variance[kept:].mean())
    return axes[:kept].astype(np.float32), (1 / variance[:kept] - rest).astype(np.float32), rest


def _usual(values: Floats) -> tuple[float, float]:
    middle, edge = np.quantile(values, [0.5, _EDGE]).tolist()
    return middle, edge


def _area(known: Floats, others: Floats) -> Metric:
    scores = np.concatenate([known, others])
    truth = np.arange(len(scores)) >= len(known)
    return Metric(*roc_area(scores, truth), len(scores))
