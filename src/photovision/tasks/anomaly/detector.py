"""AnomalyDetector: a model that learned what good images look like, ready to predict. It runs without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from photovision.core.errors import ModelError, UsageError
from photovision.core.result import Size
from photovision.core.types import Floats
from photovision.runtime.bundle import Bundle
from photovision.runtime.model import OnnxModel, Outputs
from photovision.runtime.session import Engine, Precision
from photovision.tasks.anomaly.heatmap import hot_regions
from photovision.tasks.anomaly.prediction import Anomaly
from photovision.tasks.anomaly.threshold import GoodScores, Promise, Verdict, least_pictures, promise

CLASSES = ("good", "anomalous")
_RATES = (0.01, 0.02, 0.05, 0.1, 0.2)
_LARGEST = float(np.finfo(np.float32).max)


class AnomalyDetector(OnnxModel[Anomaly]):
    """A trained anomaly detector.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.
        false_alarms: promised rate of good images called anomalous, above 0 and below 1; None: the bundle's.

    Attributes:
        good: the scores of held-out good images behind the promise.
        promises: group -> what its threshold promises.

    Raises:
        ModelError: the bundle is another task's, or damaged.
        UsageError: too few good images carry the promise.

    Example: `photovision.load("cookie-model").predict("cookie.jpg").verdict`.
    """

    task: ClassVar[str] = "anomaly"

    def __init__(
        self,
        bundle: Bundle,
        *,
        engine: Engine = "auto",
        precision: Precision | None = None,
        false_alarms: float | None = None,
    ) -> None:
        super().__init__(bundle, engine=engine, precision=precision)
        facts = _checked(bundle)
        scores = {name: np.sort(np.array(values, np.float64)) for name, values in facts["good_scores"].items()}
        self.good = GoodScores(scores, {name: int(facts["independent"][name]) for name in scores})
        self.heat = np.sort(np.array(facts["heat"], dtype=np.float64))
        rate = float(facts["false_alarms"])
        self.false_alarms = rate if false_alarms is None else false_alarms
        self.promises = promise(self.good, self.false_alarms)

    def with_options(self, *, false_alarms: float | None = None) -> AnomalyDetector:
        """The same model with another promised rate of false alarms, None: as before; the loaded graph is shared.

        Raises:
            UsageError: too few good images carry the promise.
        """
        if false_alarms is None:
            return self.with_session(self.session)
        other = AnomalyDetector(self.bundle, engine=self._engine, precision=self._precision, false_alarms=false_alarms)
        return other.with_session(self.session)

    @property
    def heat_limit(self) -> float:
        """Heat that at most the promised share of good images reaches anywhere: 1 in heatmaps."""
        allowed = max(1, int(self.false_alarms * (len(self.heat) + 1) + 1e-9))
        return float(self.heat[max(0, len(self.heat) - allowed)])

    def promised(self, group: str | None = None) -> Promise:
        """The promise for an image of a group; of no known group, that of the group with the highest threshold."""
        if group in self.promises:
            return self.promises[str(group)]
        return max(self.promises.values(), key=lambda one: one.threshold)

    def decode(self, outputs: Outputs, size: Size, group: str | None = None) -> Anomaly:
        """The prediction that the graph's outputs mean: "score" float () and "heatmap" float32 (h, w).

        Args:
            outputs: of one image.
            size: (H, W) of the upright image.
            group: that it belongs to; None: each group keeps its promise.
        """
        score, heat = self._outputs(outputs)
        p, verdict = self.judged(score, group)
        limit = self.heat_limit
        regions = () if verdict == "good" else tuple(hot_regions(heat, limit, size))
        return Anomaly(score, p, verdict, (heat / max(limit, 1e-12)).astype(np.float32), regions)

    def judged(self, score: float, group: str | None = None) -> tuple[float, Verdict]:
        """The p-value and the verdict of a score; group as for `decode`."""
        return float(self.good.p_values(np.array([score]), group)[0]), self.promised(group).verdict(score)

    def _outputs(self, outputs: Outputs) -> tuple[float, Floats]:
        score, heat = outputs.get("score"), outputs.get("heatmap")
        if score is None or heat is None or np.size(score) != 1 or heat.ndim != 2:
            raise ModelError(
                f"{self.bundle.graph} should give a score (N,) and a heatmap (N, h, w), but does not: copy or train the"
                " bundle again"
            )
        if not (np.isfinite(score).all() and np.isfinite(heat).all()):
            raise ModelError(f"{self.bundle.graph} gives scores that are no numbers: train it again")
        return float(np.asarray(score).reshape(())), heat.astype(np.float32)


def default_rate(good: GoodScores) -> float:
    """The lowest usual rate of false alarms that every group carries; raises UsageError where none does."""
    smallest = min(good.independent.values())
    for rate in _RATES:
        if rate * (smallest + 1) >= 1:
            return rate
    promise(good, _RATES[-1])
    raise UsageError(f"{smallest} good images are too few to promise a rate of false alarms: give more")


def facts_of(good: GoodScores, heat: np.ndarray, false_alarms: float | None) -> dict[str, Any]:
    """What bundle.json holds of the promise; raises UsageError where too few good images carry it."""
    rate = default_rate(good) if false_alarms is None else false_alarms
    promise(good, rate)
    return {
        "good_scores": {name: [round(float(v), 6) for v in scores] for name, scores in good.groups.items()},
        "independent": dict(good.independent),
        "heat": [round(float(value), 6) for value in heat],
        "false_alarms": rate,
    }


def _checked(bundle: Bundle) -> Mapping[str, Any]:
    facts = bundle.info.get("anomaly")
    if not isinstance(facts, dict) or not (_promise_holds(facts) and _notes_hold(facts)):
        raise ModelError(f"{bundle.path}: bundle.json should hold scores of good images ('anomaly'): train it again")
    return facts


def _promise_holds(facts: Mapping[str, Any]) -> bool:
    """Whether scores, counts and rate are what `facts_of` writes, and the counts carry the rate."""
    groups, counts, rate = (facts.get(name) for name in ("good_scores", "independent", "false_alarms"))
    if not (isinstance(groups, dict) and groups and isinstance(counts, dict) and isinstance(rate, float)):
        return False
    if not (0 < rate < 1 and all(map(_numbers, [*groups.values(), facts.get("heat")]))):
        return False
    least = least_pictures(rate)
    return all(_is_count(counts.get(name), least, len(scores)) for name, scores in groups.items())


def _is_count(value: object, least: int, greatest: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= greatest


def _numbers(values: object) -> bool:
    """Whether these are numbers, one at least; float32 bounds them, which the graph gives."""
    return isinstance(values, list) and bool(values) and all(_is_number(value) for value in values)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _notes_hold(facts: Mapping[str, Any]) -> bool:
    """Whether what reports print of the learning has its type."""
    names = all(isinstance(facts.get(name), str | None) for name in ("good_class", "statistic", "group_by"))
    suspects = facts.get("suspects", [])
    return names and isinstance(suspects, list) and all(isinstance(name, str) for name in suspects)
