"""Contamination: bad pictures among the good ones, found by scores that left them out.

Bad pictures hide each other: of two alike, each lies near the other one's patches. So pictures are scored twice: the
second bank does without those that the first one finds the oddest, as concentration steps of robust covariances do
(Rousseeuw and Van Driessen, "A fast algorithm for the minimum covariance determinant estimator", 1999). The median and
the upper quartile of the pictures' own scores set the unit, so that a few bad ones cannot hide behind the spread that
they cause.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats, Ints
from photovision.tasks.anomaly.bank import build_bank
from photovision.tasks.anomaly.image_level import fit_pooled
from photovision.trust.metrics.statistics import Vector

FALSE_ALARMS = 0.2
"""Suspects that a clean set, whatever its size, has on average if its scores are normally spread."""

_UPPER_QUARTILE = 0.6744897501960817
_TRIMMED = 0.15  # of the pictures: more than are named as a rule
_MAX_SHARE = 0.2  # of the pictures; where more stand out, the good ones are of several kinds
_BANK = 600
_SHARES = (0.05, 0.2)
_LEAST = 1e-6


@dataclass(frozen=True, eq=False)
class PictureSamples:
    """Patches of N pictures, and which they come from.

    Attributes:
        patches: float32 (M, C) of each fold.
        owners: int64 (M,) of each fold, positions of the pictures that the patches come from.
        pooled: float32 (N, L), pooled features of the pictures.
        folds: int64 (N,).
    """

    patches: list[Floats]
    owners: list[Ints]
    pooled: Floats
    folds: Ints


def suspects(samples: PictureSamples, seed: int = 0) -> Ints:
    """Positions of pictures that are much farther from all others than pictures usually are, the farthest first.

    Args:
        samples: of pictures that are meant to be good.
        seed: of the choice of patches.

    Returns:
        int64 (M,), M at most a fifth of N.
    """
    from scipy.special import ndtri

    core = np.ones(len(samples.pooled), bool)
    for _ in range(2):
        score = _oddness(samples, core, seed)
        core = _without_the_oddest(score, samples.folds)
    limit = float(-ndtri(FALSE_ALARMS / len(score)))
    order = np.argsort(-score, kind="stable").astype(np.int64)
    found: Ints = order[score[order] > limit][: int(_MAX_SHARE * len(score))]
    return found


def _without_the_oddest(score: Vector, folds: Ints) -> np.ndarray:
    """Which pictures are not among the oddest, bool (N,); every fold keeps one."""
    core: np.ndarray = score <= np.quantile(score, 1 - _TRIMMED)
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        core[rows[score[rows].argmin()]] = True
    return core


def _oddness(samples: PictureSamples, core: np.ndarray, seed: int) -> Vector:
    """How far each picture is from the core pictures of other folds, in robust standard deviations: float64 (N,)."""
    kept = [patches[core[owners]] for patches, owners in zip(samples.patches, samples.owners, strict=True)]
    bank = build_bank(kept, _BANK, seed)
    statistics = np.zeros((len(core), len(_SHARES) + 1))
    for fold, (patches, owners) in enumerate(zip(samples.patches, samples.owners, strict=True)):
        distances = bank.without[fold].distances(patches)
        for picture in np.unique(owners):
            own = -np.sort(-distances[owners == picture])
            statistics[picture, :-1] = [own[: max(1, round(share * len(own)))].mean() for share in _SHARES]
        rows = samples.folds == fold
        statistics[rows, -1] = fit_pooled(samples.pooled[core & ~rows]).distances(samples.pooled[rows])
    # The mean over statistics: a bad picture is far by most of them, chance makes one far by few.
    return _standard(_standard(np.log(np.maximum(statistics, _LEAST))).mean(1))


def _standard(values: Vector) -> Vector:
    """Values (N, ...) in robust standard deviations above the median."""
    middle, upper = np.quantile(values, (0.5, 0.75), axis=0)
    standard: Vector = (values - middle) / np.maximum((upper - middle) / _UPPER_QUARTILE, 1e-3)
    return standard
