"""Is B really better than A? Two detectors, or two segmenters, on the same pictures.

Average precision and overlap are no means over pictures, so both models are averaged over the same resamples of the
pictures, and the differences give the interval (paired bootstrap; Efron 1979). What pictures have in common, that some
are hard for both, drops out of it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.report import Metric
from photovision.trust.metrics.detection import FEW, N_BOOT, Matches, Vector
from photovision.trust.metrics.segmentation import mean_over_classes, shares_of
from photovision.trust.metrics.statistics import Estimate, bootstrap_sums


class Gains(NamedTuple):
    """How much better B is than A, unit "points": name -> difference, of all classes together and of every class."""

    figures: dict[str, Metric]
    by_class: dict[str, Metric]


def box_gains(a: Matches, b: Matches, *, n_boot: int = N_BOOT, seed: int = 0) -> Gains:
    """Differences of average precision, B less A.

    Args:
        a, b: of the same pictures in the same order, with the same classes in any order.
        n_boot, seed: of the bootstrap.

    Returns:
        "map", "map50", "map75"; and by class the average precision, with an interval where it has at least 10 objects.
    """
    if a.pictures != b.pictures or set(a.classes) != set(b.classes):
        raise UsageError("two detectors are compared on the same pictures and classes")
    rng = np.random.default_rng(seed)
    weights = np.ones((1 + n_boot, a.pictures))
    for row in weights[1:]:
        row[:] = np.bincount(rng.integers(a.pictures, size=a.pictures), minlength=a.pictures)
    order = [b.classes.index(name) for name in a.classes]
    there = [number for number, one in enumerate(a.by["all"]) if one.objects.any()]
    # (C, 1 + B, 10): the first resample is the data as they are.
    change = np.stack([b.by["all"][order[c]].precisions(weights) - a.by["all"][c].precisions(weights) for c in there])
    parts = {"map": change.mean(2), "map50": change[:, :, 0], "map75": change[:, :, 5]}
    figures = {name: np.nanmean(values, axis=0) for name, values in parts.items()}
    by_class = {}
    for number, label in enumerate(there):
        objects = a.by["all"][label].objects
        values = change[number].mean(1)
        enough = int(objects.sum()) >= FEW
        by_class[a.classes[label]] = _metric(values if enough else values[:1], int((objects > 0).sum()))
    return Gains({name: _metric(values, a.pictures) for name, values in figures.items()}, by_class)


def mask_gains(
    a: np.ndarray, b: np.ndarray, classes: tuple[str, ...], background: int | None = 0, *, seed: int = 0
) -> Gains:
    """Differences of overlap, B less A.

    Args:
        a, b: int64 (N, C, C) of `trust.metrics.segmentation.confusion_of`, of the same pictures.
        classes: C names.
        background: the class that "dice" leaves out; None counts all.
        seed: of the bootstrap.

    Returns:
        "miou" and "dice"; and by class the IoU.
    """
    if a.shape != b.shape:
        raise UsageError(f"two segmenters are compared on the same pictures and classes, got {a.shape} and {b.shape}")
    pictures, count = a.shape[:2]
    foreground = [number for number in range(count) if number != background]
    cells = count * count

    def shares(sums: Vector, dice: bool = False) -> tuple[Vector, Vector]:
        return shares_of(sums[:, :cells], count, dice), shares_of(sums[:, cells:], count, dice)

    def gain(sums: Vector, dice: bool = False) -> Vector:
        first, second = shares(sums, dice)
        kept = foreground if dice else list(range(count))
        return mean_over_classes(second[:, kept]) - mean_over_classes(first[:, kept])

    def of_class(sums: Vector, label: int) -> Vector:
        first, second = shares(sums)
        return second[:, label] - first[:, label]

    finish = {"miou": gain, "dice": lambda sums: gain(sums, True)}
    there = [number for number in range(count) if a[:, number].any()]
    finish |= {f"class {label}": lambda sums, label=label: of_class(sums, label) for label in there}  # type: ignore[misc]
    both = np.concatenate([a.reshape(pictures, -1), b.reshape(pictures, -1)], axis=1).astype(np.float64)
    found = {name: _points(estimate, pictures) for name, estimate in bootstrap_sums(both, finish, seed=seed).items()}
    figures = {name: found[name] for name in ("miou", "dice")}
    return Gains(figures, {classes[label]: found[f"class {label}"] for label in there})


def _metric(values: Vector, n: int) -> Metric:
    """The first value with the interval of the others, moved back by their bias, as `trust.metrics.detection.scores`
    does."""
    value, rest = float(values[0]), values[1:][np.isfinite(values[1:])]
    if not len(rest):
        return Metric(value, n=n, unit="points")
    low, high = np.quantile(rest, [0.025, 0.975]) - (rest.mean() - value)
    return Metric(value, float(low), float(high), n, "points")


def _points(estimate: Estimate, n: int) -> Metric:
    return Metric(*estimate, n, "points")
