"""Doubt: when a model does not know. Prediction sets with a stated coverage, and a gate for pictures of something else.

Both are learned after training (`photovision.trust.metrics.conformal`, `photovision.trust.metrics.novelty`), lie in
the bundle, and run here on what the graph gives, without torch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ModelError, UsageError
from photovision.core.types import Floats, Image
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Session

GATE_FILE = "doubt.safetensors"
COVERAGE, FALSE_ALARMS = 0.95, 0.02
_PARTS = ("means", "axes", "weights")


@dataclass(frozen=True, eq=False)
class ConformalSets:
    """Class-conditional conformal prediction sets (Vovk 2012, conditional validity of conformal predictors).

    A class belongs to a picture's set where its probability is at least the class's threshold. Of pictures like the
    validation pictures, a set holds the true class with at least the coverage asked for, class by class. Classes with
    too few validation pictures for a threshold of their own share one (Ding et al. 2023). A set may be empty.

    Attributes:
        scores: for each of the C classes the probabilities that the model gave it where it was true, ascending.
    """

    scores: tuple[Floats, ...]

    def thresholds(self, coverage: float) -> Floats:
        """float32 (C,): the least probability at which a class is in the set, for a coverage above 0 and below 1.

        Example:
            >>> ConformalSets((np.linspace(0, 1, 99, dtype=np.float32),) * 2).thresholds(0.9).round(2)
            array([0.09, 0.09], dtype=float32)
        """
        _check("coverage", coverage)
        missed = 1 - coverage
        rare = [own for own in self.scores if not _rank(len(own), missed)]
        shared = np.sort(np.concatenate([np.empty(0, np.float32), *rare]))
        found = [own if _rank(len(own), missed) else shared for own in self.scores]
        return np.array([_smallest(scores, missed) for scores in found], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class NoveltyDetector:
    """Whether a picture resembles what the model learned from.

    Novelty grows with the distance of the embedding to the nearest class mean (Mahalanobis distance with one
    covariance for all classes: Lee et al. 2018; on unit embeddings: Mueller & Hein 2025), and with free energy, which
    is high where no class stands out (Liu et al. 2020). Energy counts half, and only where it is higher than usual:
    networks are sure of many strange pictures, so low energy proves nothing.

    Attributes:
        means: float32 (K, D), the centres.
        axes: float32 (R, D), the directions in which embeddings of one class vary most, orthonormal.
        weights: float32 (R,), how much a squared step along each axis counts beyond `rest`.
        rest: how much a squared step in any other direction counts.
        distance, energy: (median, 95% point) on validation pictures; novelty 1 means as far as the second.
        multilabel: whether energy is summed over labels.
        scores: float32 (M,), novelty of the validation pictures, ascending.
    """

    means: Floats
    axes: Floats
    weights: Floats
    rest: float
    distance: tuple[float, float]
    energy: tuple[float, float]
    multilabel: bool
    scores: Floats

    def novelty(self, embedding: Floats, logits: Floats) -> Floats:
        """float32 (N,): how unlike the training pictures each is, from embeddings (N, D) and logits (N, C)."""
        far = _standard(self.distances(embedding), self.distance)
        unsure = np.maximum(_standard(energies(logits, self.multilabel), self.energy), 0)
        return np.asarray(far + 0.5 * unsure, dtype=np.float32)

    def distances(self, embedding: Floats) -> Floats:
        """float32 (N,): squared Mahalanobis distance to the nearest centre."""
        plain = (embedding**2).sum(1)[:, None] - 2 * embedding @ self.means.T + self._lengths
        along = embedding @ self.axes.T
        weighted = (along**2) @ self.weights
        inner = weighted[:, None] - 2 * (along * self.weights) @ self._centres.T + self._weighted
        return np.asarray((self.rest * plain + inner).min(1), dtype=np.float32)

    def limit(self, false_alarms: float) -> float:
        """The novelty above which a picture is unknown, so that of pictures like the validation ones this share is."""
        _check("false_alarms", false_alarms)
        rank = math.ceil((len(self.scores) + 1) * (1 - false_alarms))
        return float(self.scores[min(rank, len(self.scores)) - 1])

    @cached_property
    def _lengths(self) -> Floats:
        return np.asarray((self.means**2).sum(1))

    @cached_property
    def _centres(self) -> Floats:
        return self.means @ self.axes.T

    @cached_property
    def _weighted(self) -> Floats:
        return np.asarray((self._centres**2) @ self.weights)


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """What a bundle knows of its own limits.

    Attributes:
        sets: of prediction sets.
        gate: of unknown pictures.
        coverage: share of pictures whose set should hold the truth.
        false_alarms: share of pictures like the training ones that may be called unknown.
    """

    sets: ConformalSets
    gate: NoveltyDetector
    coverage: float = COVERAGE
    false_alarms: float = FALSE_ALARMS

    def __post_init__(self) -> None:
        _check("coverage", self.coverage)
        _check("false_alarms", self.false_alarms)

    @cached_property
    def thresholds(self) -> Floats:
        """float32 (C,): from which probability on a class is in the prediction set."""
        return self.sets.thresholds(self.coverage)

    @cached_property
    def limit(self) -> float:
        """The novelty above which a picture is unknown."""
        return self.gate.limit(self.false_alarms)


class NoveltySession:
    """A session that adds the output `novelty` float32 (N,)."""

    def __init__(self, session: Session, gate: NoveltyDetector) -> None:
        self._session, self._gate = session, gate
        self.engine, self.precision = session.engine, session.precision

    def run(self, images: Image) -> dict[str, np.ndarray]:
        """All outputs by name for uint8 RGB pictures (N, H, W, 3)."""
        outputs = self._session.run(images)
        embedding, logits = outputs.get("embedding"), outputs.get("logits")
        if embedding is None or logits is None or embedding.shape[1:] != self._gate.means.shape[1:]:
            raise ModelError(f"{GATE_FILE} does not fit the graph beside it: copy or train the bundle again")
        return {**outputs, "novelty": self._gate.novelty(outputs["embedding"], outputs["logits"])}


def energies(logits: Floats, multilabel: bool) -> Floats:
    """Free energy float32 (N,) of logits (N, C): -log sum exp; for multi-label -sum log(1 + exp) (Wang et al. 2021).

    Example:
        >>> energies(np.zeros((1, 4), np.float32), False).round(3)
        array([-1.386], dtype=float32)
    """
    if multilabel:
        return np.asarray(-np.logaddexp(0, logits).sum(1), dtype=np.float32)
    top = logits.max(1)
    return np.asarray(-(top + np.log(np.exp(logits - top[:, None]).sum(1))), dtype=np.float32)


def write_doubt(sets: ConformalSets, gate: NoveltyDetector, folder: Path) -> dict[str, Any]:
    """Write the gate's arrays into a bundle's folder, and return what bundle.json says, JSON-ready."""
    from safetensors.numpy import save_file

    arrays = {"means": gate.means, "axes": gate.axes, "weights": gate.weights}
    save_file({name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}, folder / GATE_FILE)
    return {
        "coverage": COVERAGE,
        "false_alarms": FALSE_ALARMS,
        "set_scores": [[_short(score) for score in own] for own in sets.scores],
        "gate": {
            "rest": gate.rest,
            "distance": list(gate.distance),
            "energy": list(gate.energy),
            "scores": [_short(score) for score in gate.scores],
        },
    }


def read_doubt(bundle: Bundle, coverage: float | None = None, false_alarms: float | None = None) -> Uncertainty | None:
    """What the bundle knows of its limits; None for bundles that were made without.

    Raises:
        ModelError: it is damaged.
        UsageError: a share is not between 0 and 1, or is asked of a bundle that was made without.
    """
    stored = bundle.info.get("doubt")
    if not stored:
        if coverage is not None or false_alarms is not None:
            name = "coverage" if coverage is not None else "false_alarms"
            raise UsageError(
                f"'{name}' (--{name.replace('_', '-')}) needs prediction sets and a gate, and {bundle.path} was made"
                " without them: leave it out, or train it again"
            )
        return None
    try:
        means, axes, weights = _arrays(bundle.path / GATE_FILE)
        sets = ConformalSets(tuple(_ascending(own) for own in stored["set_scores"]))
        facts = stored["gate"]
        pairs = [(float(facts[name][0]), float(facts[name][1])) for name in ("distance", "energy")]
        scores = _ascending(facts["scores"])
        gate = NoveltyDetector(
            means, axes, weights, float(facts["rest"]), pairs[0], pairs[1], bundle.multilabel, scores
        )
        if len(sets.scores) != len(bundle.classes) or not len(scores):
            raise ValueError("it does not fit the classes")
        asked = [
            float(stored[name]) if share is None else share
            for name, share in (("coverage", coverage), ("false_alarms", false_alarms))
        ]
    except (KeyError, TypeError, ValueError, IndexError, OSError) as error:
        raise ModelError(f"{bundle.path}: what it knows of its limits is damaged ({error}); copy it again") from None
    return Uncertainty(sets, gate, *asked)


def _arrays(path: Path) -> tuple[Floats, Floats, Floats]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        found = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path.name}: {error}") from None
    means, axes, weights = (np.asarray(found[name], np.float32) for name in _PARTS)
    arrays = means, axes, weights
    if means.ndim != 2 or axes.shape != (len(weights), means.shape[1]) or not all(np.isfinite(a).all() for a in arrays):
        raise ValueError(f"{path.name} has arrays that do not fit together")
    return arrays


def _ascending(values: Sequence[float]) -> Floats:
    return np.sort(np.asarray(values, dtype=np.float32))


def _rank(count: int, missed: float) -> int:
    """The k for which at most the share `missed` of new scores lies below the k-th smallest of `count`; 0 for none."""
    return math.floor((count + 1) * missed + 1e-9)


def _smallest(scores: Floats, missed: float) -> float:
    rank = _rank(len(scores), missed)
    return float(scores[rank - 1]) if rank else 0.0


def _standard(values: Floats, known: tuple[float, float]) -> Floats:
    middle, edge = known
    # Where validation pictures hardly differ, tiny differences must not count without end.
    return np.asarray((values - middle) / max(edge - middle, 0.01 * abs(middle), 1e-6))


def _short(value: float) -> float:
    return float(f"{float(value):.6g}")


def _check(name: str, share: float) -> None:
    if not isinstance(share, int | float | np.number) or not 0 < share < 1:
        raise UsageError(f"{name} should be above 0 and below 1, such as 0.95, got {share}")
