"""Promotion: may a changed classifier take the place of the one in use? One-sided paired tests, and limits of loss.

Many promotions over time are many tests. Each gets its own level by LORD++ (Ramdas, Yang, Wainwright and Jordan,
"Online control of the false discovery rate with decaying memory", 2017): of all promotions at most `level` are of
models that are no better, however many there are; a promotion earns later tests a higher level again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from photovision.core.drawing import percent
from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.trust.metrics.calibrate import ece, ece_by_chance, fit_temperature
from photovision.trust.metrics.statistics import (
    detectable_difference,
    mcnemar,
    paired_proportions,
)

MIN_OF_CLASS = 10
"""Pictures of a class, or of a group, below which its loss is not tested."""
_SIGNIFICANT = 0.05
_SPENT_FIRST = 0.8  # of the level is there before the first promotion earns any


@dataclass(frozen=True)
class PromotionLimits:
    """What a change may cost, as shares of 1.

    Attributes:
        loss: of accuracy on the golden set.
        class_loss: of the recall of a class, and of the accuracy of a group, on the golden set.
        floor: recall that every class must reach, on all judging pictures; 0 for none.
        calibration_loss: by how much the calibration error may rise.
        noise: of the new labels that may be wrong.
        level: of all promotions at most this share may be of models that are no better.
    """

    loss: float = 0.01
    class_loss: float = 0.1
    floor: float = 0.0
    calibration_loss: float = 0.03
    noise: float = 0.05
    level: float = 0.05


@dataclass(frozen=True)
class Condition:
    """One condition of a promotion: whether it holds, and the figures, as a sentence without its end."""

    name: str
    holds: bool
    text: str


@dataclass(frozen=True, eq=False)
class Trial:
    """What two models answer for N labelled pictures that neither learned from.

    Attributes:
        truth: int64 (N,), indices into `classes`.
        old, new: float32 (N, C), logits of the model in use and of the changed one; -inf for classes that one of them
            does not know.
        golden: bool (N,), pictures of the golden set; the others are held-out pictures of new data.
        fresh: bool (N,), held-out pictures of the newest data.
        classes: C names.
        groups: attribute -> N values, "" where a picture has none.
    """

    truth: Ints
    old: Floats
    new: Floats
    golden: np.ndarray
    fresh: np.ndarray
    classes: tuple[str, ...]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @cached_property
    def right(self) -> tuple[np.ndarray, np.ndarray]:
        """bool (N,) of each model."""
        first, second = (np.asarray(logits.argmax(1) == self.truth) for logits in (self.old, self.new))
        return first, second

    @property
    def better_p(self) -> float:
        """One-sided p that the changed model is better: on all pictures, on the newest data, or on classes that are new
        to it (Bonferroni)."""
        unknown = np.asarray(np.isneginf(self.old).all(0))
        parts = [np.ones(len(self.truth), bool), self.fresh, unknown[self.truth]]
        found = [better_p(*(right[rows] for right in self.right)) for rows in parts if rows.any()]
        return min(1.0, len(found) * min(found))


@dataclass(frozen=True, eq=False)
class Promotion:
    """Whether a changed model may take the place of the one in use.

    Attributes:
        conditions: all that were looked at.
        p: of the one-sided test that the changed model is better.
        alpha: the level that this test had.
        metrics: name -> Metric.
    """

    conditions: tuple[Condition, ...]
    p: float
    alpha: float
    metrics: Mapping[str, Metric]

    @property
    def granted(self) -> bool:
        """Whether all conditions hold."""
        return all(condition.holds for condition in self.conditions)


def judge(trial: Trial, limits: PromotionLimits, alpha: float) -> Promotion:
    """Judge a changed model.

    Args:
        trial: both models on the golden set and on held-out pictures of new data.
        limits: what the change may cost.
        alpha: level of the test that it is better, see `next_level`.
    """
    p = trial.better_p
    conditions = [
        Condition("better", p <= alpha, _better_text(trial, p, alpha)),
        _golden(trial, limits),
        _fresh(trial),
        _classes(trial, limits),
    ]
    if limits.floor:
        conditions.append(_floor(trial, limits.floor))
    conditions += _groups(trial, limits)
    if (gaps := calibration_errors(trial)) is not None:
        before, after, chance = gaps
        holds = after <= max(before, chance) + limits.calibration_loss
        text = f"calibration error {percent(before)} before, {percent(after)} after ({percent(chance)} by chance alone)"
        conditions.append(Condition("calibration", holds, text))
    return Promotion(tuple(conditions), p, alpha, _metrics(trial))


def better_p(old: np.ndarray, new: np.ndarray) -> float:
    """One-sided p of McNemar's exact test that `new` is right more often than `old`, bool (N,) of the same pictures.

    Example:
        >>> better_p(np.zeros(5, bool), np.ones(5, bool))
        0.03125
    """
    from scipy.special import bdtr

    flips = mcnemar(old, new)
    total = flips.only_a + flips.only_b
    return float(bdtr(flips.only_a, total, 0.5)) if total else 1.0


def next_level(promoted: Sequence[bool], level: float = 0.05) -> float:
    """The level of the next test (LORD++).

    Args:
        promoted: of all tests before it, in order, whether the changed model was promoted.
        level: of all promotions at most this share is of models that are no better.

    Example:
        >>> round(next_level([]), 4), round(next_level([False] * 9), 5), round(next_level([True]), 4)
        (0.0246, 0.00021, 0.011)
    """
    first = _SPENT_FIRST * level
    wins = [number for number, won in enumerate(promoted, 1) if won]
    now = len(promoted) + 1
    found = first * _share(now)
    if wins:
        found += (level - first) * _share(now - wins[0])
    return found + level * sum(_share(now - win) for win in wins[1:])


def _share(test: int) -> float:
    return float(_SHARES / (test * np.log(test + 1) ** 2))


_COUNTED = 1_000_000
_NUMBERS = np.arange(1, _COUNTED + 1)
# What follows the counted ones is bounded by the integral of 1 / (x log(x)^2).
_SHARES = 1 / float((1 / (_NUMBERS * np.log(_NUMBERS + 1) ** 2)).sum() + 1 / np.log(_COUNTED))


def calibration_errors(trial: Trial) -> tuple[float, float, float] | None:
    """Calibration errors of both models on the golden set, each half with the temperature of the other half, and the
    error that chance alone makes.

    None for fewer than 100 pictures of the classes that both know.
    """
    known = np.asarray(np.isfinite(trial.old).all(0) & np.isfinite(trial.new).all(0))
    rows = np.flatnonzero(trial.golden & known[trial.truth])
    if len(rows) < 100:
        return None
    truth = (np.cumsum(known) - 1)[trial.truth[rows]]
    half = np.arange(len(rows)) % 2 == 0
    found = []
    for logits in (trial.old[rows][:, known], trial.new[rows][:, known]):
        probs = np.empty(logits.shape, np.float32)
        for part in (half, ~half):
            probs[part] = softmax(logits[part] / fit_temperature(logits[~part], truth[~part]))
        found.append(ece(probs, truth))
    return found[0], found[1], ece_by_chance(probs, truth)


def softmax(logits: Floats) -> Floats:
    """Probabilities float32 (N, C); classes with the logit -inf get 0."""
    wide = logits.astype(np.float64)
    powers = np.exp(wide - wide.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float32)


def _better_text(trial: Trial, p: float, alpha: float) -> str:
    flips, fresh = mcnemar(*trial.right), mcnemar(*(right[trial.fresh] for right in trial.right))
    return (
        f"of {len(trial.truth):,} judging pictures only the new version has {flips.only_b:,} right, only the old one"
        f" {flips.only_a:,}; of new data {fresh.only_b:,} and {fresh.only_a:,} (one-sided p = {p:.2g}, needed:"
        f" {alpha:.2g})"
    )


def _golden(trial: Trial, limits: PromotionLimits) -> Condition:
    old, new = (right[trial.golden] for right in trial.right)
    lost, p = int(old.sum()) - int(new.sum()), better_p(new, old)
    least = detectable_difference(mcnemar(old, new), len(old))
    text = f"{percent(float(old.mean()))} before, {percent(float(new.mean()))} after (n = {len(old):,};"
    text += f" {percent(limits.loss)} may be lost; a loss of {percent(least)} would be noticed in 4 of 5 cases)"
    may_be = max(1, int(limits.loss * len(old) + 1e-9))  # of few pictures one is more than the share
    return Condition("golden set", lost <= may_be and p > _SIGNIFICANT, text)


def _fresh(trial: Trial) -> Condition:
    old, new = (right[trial.fresh] for right in trial.right)
    if not len(old):
        return Condition("new data", True, "no picture of it was held out")
    text = f"{percent(float(old.mean()))} before, {percent(float(new.mean()))} after (n = {len(old):,})"
    return Condition("new data", better_p(new, old) > _SIGNIFICANT, text)


def _classes(trial: Trial, limits: PromotionLimits) -> Condition:
    names = {name: trial.truth == number for number, name in enumerate(trial.classes)}
    lost = _losers(trial, {name: rows & trial.golden for name, rows in names.items()}, limits)
    return Condition("classes", not lost, "; ".join(lost) or "none lost much on the golden set")


def _floor(trial: Trial, floor: float) -> Condition:
    low = []
    for number, name in enumerate(trial.classes):
        found = trial.right[1][trial.truth == number]
        if len(found) >= MIN_OF_CLASS and found.mean() < floor:
            low.append(f"{name}: recall {percent(float(found.mean()))} (n = {len(found):,})")
    return Condition("floor", not low, "; ".join(low) or f"every class reaches {percent(floor)}")


def _groups(trial: Trial, limits: PromotionLimits) -> list[Condition]:
    found = []
    for attribute, values in trial.groups.items():
        column = np.asarray(values)
        parts = {str(value): (column == value) & trial.golden for value in sorted(set(values) - {""})}
        lost = _losers(trial, parts, limits)
        found.append(Condition(f"groups by {attribute}", not lost, "; ".join(lost) or "none lost much"))
    return found


def _losers(trial: Trial, parts: Mapping[str, np.ndarray], limits: PromotionLimits) -> list[str]:
    """Parts that lost more than a class may and not by chance, or that lost significantly with the level shared."""
    able = {name: rows for name, rows in parts.items() if rows.sum() >= MIN_OF_CLASS}
    found = []
    for name, rows in able.items():
        old, new = (right[rows] for right in trial.right)
        loss, p = float(old.mean() - new.mean()), better_p(new, old)
        level = _SIGNIFICANT if loss > limits.class_loss else _SIGNIFICANT / len(able)
        if loss > limits.loss and p < level:
            before, after = percent(float(old.mean())), percent(float(new.mean()))
            found.append(f"{name}: {before} before, {after} after (n = {len(old):,})")
    return found


def _metrics(trial: Trial) -> dict[str, Metric]:
    parts = {"golden": trial.golden, "new_data": trial.fresh, "all": np.ones(len(trial.truth), bool)}
    titles = {"golden": "golden set", "new_data": "new data", "all": "all judging pictures"}
    hint = "accuracy of the new version less that of the old one, paired"
    found = {}
    for name, rows in parts.items():
        old, new = (right[rows] for right in trial.right)
        if len(old):
            gain = paired_proportions(old, new)
            found[f"{name}_gain"] = Metric(*gain, len(old), "points", f"Gain, {titles[name]}", hint)
    return found
