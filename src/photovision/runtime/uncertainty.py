"""Uncertainty: when a model does not know. Prediction sets with a stated coverage, and novelty detection.

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
from photovision.runtime.quantile_regression import STEEPEST, cross_fitted, quantile_slope
from photovision.runtime.session import Session
from photovision.runtime.similarity import SimilarityIndex

GATE_FILE = "doubt.safetensors"
COVERAGE, FALSE_ALARMS = 0.95, 0.02
_PARTS = ("means", "axes", "weights")
_LEAST_PROB = 1e-7
_CERTAINTY = 0.9


@dataclass(frozen=True, eq=False)
class ConformalSets:
    """Class-conditional conformal prediction sets (Vovk 2012, conditional validity of conformal predictors).

    A class belongs to a picture's set where its probability is at least the class's threshold. Of pictures like the
    validation pictures, a set holds the true class with at least the coverage asked for, class by class. Classes with
    too few validation pictures for a threshold of their own share one (Ding et al. 2023).

    Where the similarity of the validation pictures is known, thresholds fall with it: a linear quantile regression of
    -log p of the true class, made conformal (Romano et al. 2019), so that sets grow and never shrink with the distance
    from the training pictures.

    Attributes:
        scores: for each of the C classes the probabilities that the model gave it where it was true, ascending.
        similarity: how alike the same pictures were to the nearest training picture; None in older bundles.
    """

    scores: tuple[Floats, ...]
    similarity: tuple[Floats, ...] | None = None

    def thresholds(self, coverage: float) -> Floats:
        """float32 (C,): the least probability at which a class is in the set, for a coverage above 0 and below 1.

        Whatever the similarity; see `line` for those that follow it.

        Example:
            >>> ConformalSets((np.linspace(0, 1, 99, dtype=np.float32),) * 2).thresholds(0.9).round(2)
            array([0.09, 0.09], dtype=float32)
        """
        _check("coverage", coverage)
        return _thresholds(self.scores, coverage)

    def line(self, coverage: float) -> tuple[Floats, float]:
        """Thresholds at similarity 0, float32 (C,), and how fast their logarithm rises with it, from 0 on."""
        _check("coverage", coverage)
        if self.similarity is None:
            return self.thresholds(coverage), 0.0
        scores, alike = np.concatenate(self.scores), np.concatenate(self.similarity)
        cost = -np.log(np.maximum(scores, _LEAST_PROB))
        rise, middle = quantile_slope(cost, alike, coverage), float(np.median(alike)) if len(alike) else 0.0
        flat = scores * np.exp(-cross_fitted(cost, alike, coverage) * (alike - middle) - rise * middle)
        ends = np.cumsum([len(own) for own in self.scores])[:-1]
        level = tuple(np.sort(own).astype(np.float32) for own in np.split(flat, ends))
        return _thresholds(level, coverage), rise

    @cached_property
    def low(self) -> float | None:
        """The similarity that 19 of 20 validation pictures exceed; None where it is not known."""
        every = np.concatenate(self.similarity) if self.similarity else np.empty(0)
        return float(np.quantile(every, 0.05)) if len(every) else None


@dataclass(frozen=True, eq=False)
class NoveltyDetector:
    """Whether a picture resembles what the model learned from.

    Novelty grows with the distance of the embedding to the nearest class mean (Mahalanobis distance with one
    covariance for all classes: Lee et al. 2018; on unit embeddings: Mueller & Hein 2025), and with free energy, which
    is high where no class stands out (Liu et al. 2020). Energy counts half, and only where it is higher than usual:
    networks are sure of many strange pictures, so low energy proves nothing.

    Familiar pictures of another place lie farther off as well, and how much farther follows from their similarity to
    the nearest training picture. Where that is known, only what novelty exceeds this by counts.

    Attributes:
        means: float32 (K, D), the centres.
        axes: float32 (R, D), the directions in which embeddings of one class vary most, orthonormal.
        weights: float32 (R,), how much a squared step along each axis counts beyond `rest`.
        rest: how much a squared step in any other direction counts.
        distance, energy: (median, 95% point) on validation pictures; novelty 1 means as far as the second.
        multilabel: whether energy is summed over labels.
        scores: float32 (M,), novelty of validation pictures, ascending.
        fall: how fast novelty falls with similarity on validation pictures, from 0 on; 0 where it is not known.
        usual: their median similarity, at which nothing is taken from novelty.
        least: the similarity below which no more is taken from it, since nothing was measured there.
    """

    means: Floats
    axes: Floats
    weights: Floats
    rest: float
    distance: tuple[float, float]
    energy: tuple[float, float]
    multilabel: bool
    scores: Floats
    fall: float = 0.0
    usual: float = 0.0
    least: float = -1.0

    def novelty(self, embedding: Floats, logits: Floats, similarity: Floats | None = None) -> Floats:
        """How unlike the training pictures each is.

        Args:
            embedding: float32 (N, D), of unit norm.
            logits: float32 (N, C).
            similarity: float (N,), to the nearest training picture; None takes nothing away for it.

        Returns:
            float32 (N,).
        """
        return self.novelty_at(self.distances(embedding), logits, similarity)

    def novelty_at(self, distances: Floats, logits: Floats, similarity: Floats | None = None) -> Floats:
        """`novelty` of pictures with these `distances`, float32 (N,)."""
        far = _standard(distances, self.distance)
        unsure = np.maximum(_standard(energies(logits, self.multilabel), self.energy), 0)
        expected = 0.0 if similarity is None else self.fall * (self.usual - np.maximum(similarity, self.least))
        return np.asarray(far + 0.5 * unsure - expected, dtype=np.float32)

    def distances(self, embedding: Floats) -> Floats:
        """float32 (N,): squared Mahalanobis distance to the nearest centre."""
        plain = (embedding**2).sum(1)[:, None] - 2 * embedding @ self.means.T + self._lengths
        along = embedding @ self.axes.T
        weighted = (along**2) @ self.weights
        inner = weighted[:, None] - 2 * (along * self.weights) @ self._centres.T + self._weighted
        return np.asarray((self.rest * plain + inner).min(1), dtype=np.float32)

    def limit(self, false_alarms: float) -> float:
        """The novelty above which a picture is unknown, so that of pictures like the validation ones this share is.

        At most this share, with 90% certainty: which of few validation pictures is the least familiar is chance, and
        with a share that holds on average every other model would call more unknown than was asked (a tolerance
        limit: Wilks 1941; Vovk 2012). With too few pictures for that, it is the highest novelty among them.
        """
        _check("false_alarms", false_alarms)
        return float(self.scores[len(self.scores) - 1 - _above(len(self.scores), false_alarms)])

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

    def thresholds(self, similarity: Floats | None = None, named: np.ndarray | None = None) -> Floats:
        """From which probability on a class is in the prediction set of each of N pictures.

        Args:
            similarity: float (N,), to the nearest training picture; None takes thresholds that do not follow it.
            named: bool (N, C), classes that the model names, which are in the set whatever their probability: so no
                set is empty beside an answer. Only for bundles whose thresholds follow similarity.

        Returns:
            float32 (N, C), or (C,) without similarity.
        """
        if similarity is None or self.sets.similarity is None:
            return self._plain
        base, rise = self._line
        found = base * np.exp(rise * np.asarray(similarity, np.float32))[:, None]
        return np.asarray(found if named is None else np.where(named, 0, found), np.float32)

    @cached_property
    def _plain(self) -> Floats:
        return self.sets.thresholds(self.coverage)

    @cached_property
    def _line(self) -> tuple[Floats, float]:
        return self.sets.line(self.coverage)

    @cached_property
    def limit(self) -> float:
        """The novelty above which a picture is unknown."""
        return self.gate.limit(self.false_alarms)


class NoveltySession:
    """A session that adds the outputs `novelty` and, where training pictures are known, `similarity`, float32 (N,)."""

    def __init__(self, session: Session, gate: NoveltyDetector, known: SimilarityIndex | None = None) -> None:
        self._session, self._gate, self._known = session, gate, known
        self.engine, self.precision = session.engine, session.precision

    def run(self, images: Image) -> dict[str, np.ndarray]:
        """All outputs by name for uint8 RGB pictures (N, H, W, 3)."""
        outputs = self._session.run(images)
        embedding, logits = outputs.get("embedding"), outputs.get("logits")
        if embedding is None or logits is None or embedding.shape[1:] != self._gate.means.shape[1:]:
            raise ModelError(f"{GATE_FILE} does not fit the graph beside it: copy or train the bundle again")
        similarity = None if self._known is None else self._known.of(embedding)
        found = {**outputs, "novelty": self._gate.novelty(embedding, logits, similarity)}
        return found if similarity is None else {**found, "similarity": similarity}


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
        **(
            {}
            if sets.similarity is None
            else {"set_similarity": [[_short(one) for one in own] for own in sets.similarity]}
        ),
        "gate": {
            "rest": gate.rest,
            "distance": list(gate.distance),
            "energy": list(gate.energy),
            "similarity": [_short(value) for value in (gate.fall, gate.usual, gate.least)],
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
                f"'{name}' (--{name.replace('_', '-')}) needs prediction sets and novelty detection, and {bundle.path}"
                f" was made without them: leave it out, or {bundle.origin.remedy}"
            )
        return None
    try:
        means, axes, weights = _arrays(bundle.path / GATE_FILE)
        sets = _sets(stored["set_scores"], stored.get("set_similarity"))
        facts = stored["gate"]
        pairs = [(float(facts[name][0]), float(facts[name][1])) for name in ("distance", "energy")]
        scores = _ascending(facts["scores"])
        line = _line(facts.get("similarity", (0.0, 0.0, -1.0)))  # older bundles know none
        gate = NoveltyDetector(
            means, axes, weights, float(facts["rest"]), pairs[0], pairs[1], bundle.multilabel, scores, *line
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


def _line(stored: Sequence[float]) -> tuple[float, float, float]:
    fall, usual, least = (float(value) for value in stored)
    if not (0 <= fall <= STEEPEST and -1 <= usual <= 1 and -1 <= least <= 1):
        raise ValueError("novelty does not fall with similarity")
    return fall, usual, least


def _sets(scores: Sequence[Sequence[float]], similarity: Sequence[Sequence[float]] | None) -> ConformalSets:
    if similarity is None:
        return ConformalSets(tuple(_ascending(own) for own in scores))
    orders = [np.argsort(own, kind="stable") for own in scores]
    if [len(own) for own in scores] != [len(own) for own in similarity]:
        raise ValueError("not every score has its similarity")
    kept, alike = (
        tuple(np.asarray(own, np.float32)[order] for own, order in zip(values, orders, strict=True))
        for values in (scores, similarity)
    )
    return ConformalSets(kept, alike)


def _thresholds(scores: Sequence[Floats], coverage: float) -> Floats:
    missed = 1 - coverage
    rare = [own for own in scores if not _rank(len(own), missed)]
    shared = np.sort(np.concatenate([np.empty(0, np.float32), *rare]))
    found = [own if _rank(len(own), missed) else shared for own in scores]
    return np.array([_smallest(own, missed) for own in found], dtype=np.float32)


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


def _above(n: int, share: float) -> int:
    """How many of n pictures may lie above a limit, so that with enough certainty at most this share of all do."""
    rows = np.arange(n)
    steps = np.log(n - rows) - np.log(rows + 1) + math.log(share / (1 - share))  # from one probability to the next
    below = np.cumsum(np.exp(n * math.log1p(-share) + np.concatenate([[0.0], np.cumsum(steps)])))  # binomial
    return max(0, int((below <= 1 - _CERTAINTY).sum()) - 1)


def _check(name: str, share: float) -> None:
    if not isinstance(share, int | float | np.number) or not 0 < share < 1:
        raise UsageError(f"{name} should be above 0 and below 1, such as 0.95, got {share}")
