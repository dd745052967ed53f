"""Preference: which units of a network tell classes apart, and which classes excite one unit more than chance explains.

Units are chosen by the same pictures on which their preference is then counted, so chance is judged as if every unit
and every class had been tried.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import hypergeom

from photovision.core.types import Floats, Ints

STRONGEST = 10
"""How many of the pictures that excite a unit most are counted by class."""
_ALIKE = 0.6
_ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Activity:
    """What N pictures do to C units.

    Attributes:
        peaks: float32 (N, C), the strongest response of each picture.
        rest: float32 (C,), the mean response over all pictures and places.
        gain: float32 (C,), how far the strongest picture raises a unit above its rest.
        alive: bool (C,), whether that is at least a hundredth of what the middle unit gains.
    """

    peaks: Floats
    rest: Floats
    gain: Floats
    alive: np.ndarray

    @classmethod
    def of(cls, peaks: Floats, means: Floats) -> Activity:
        """From peaks and mean responses of each picture, float32 (N, C)."""
        rest = means.mean(0)
        gain = peaks.max(0) - rest
        return cls(peaks, rest, gain, gain > max(1e-6, 0.01 * float(np.median(gain))))

    def exciting(self, unit: int) -> int:
        """How many pictures raise a unit at least half as far as the strongest one does."""
        return int((self.peaks[:, unit] >= self.rest[unit] + 0.5 * self.gain[unit]).sum())

    def strongest(self, unit: int) -> Ints:
        """Positions of the pictures that excite a unit most, strongest first; equal ones in their order."""
        return np.argsort(-self.peaks[:, unit], kind="stable").astype(np.int64)


def telling(activity: Activity, membership: np.ndarray | None) -> tuple[Floats, str]:
    """How telling each unit is, float32 (C,) from 0 to 1, and what that means in words.

    With classes: the share of the variance of its peaks that the classes explain. Without, or with fewer than twice as
    many pictures as classes: how sparse its peaks are (Treves & Rolls 1991), 1 where a single picture excites it.

    Args:
        activity: of N pictures.
        membership: bool (N, K), which classes are true of each picture, or None.
    """
    peaks = activity.peaks.astype(np.float64)
    present = membership[:, membership.any(0)] if membership is not None else np.zeros((len(peaks), 0))
    if 1 < present.shape[1] <= len(peaks) // 2:
        design = np.column_stack([np.ones(len(peaks)), present])
        centred = peaks - peaks.mean(0)
        fitted = design @ np.linalg.lstsq(design, centred, rcond=None)[0]
        spread = np.maximum((centred**2).sum(0), 1e-12)
        return np.clip((fitted**2).sum(0) / spread, 0, 1).astype(np.float32), "differ most between the classes"
    raised = np.maximum(peaks - activity.rest, 0)
    dense = raised.mean(0) ** 2 / np.maximum((raised**2).mean(0), 1e-12)
    return np.clip(1 - dense, 0, 1).astype(np.float32), "answer strongly to few pictures"


def choose_units(activity: Activity, scores: Floats, count: int) -> list[int]:
    """The most telling units that are alive, no two of which answer alike while there is another choice.

    Args:
        activity: of N pictures.
        scores: float32 (C,), from `telling`; equal ones are taken in their order.
        count: how many at most.

    Example:
        >>> peaks = np.float32([[9, 9, 0, 0], [0, 0, 5, 0], [0, 0, 0, 0], [0, 0, 0, 0], [8, 8, 5, 0]])
        >>> choose_units(Activity.of(peaks, peaks / 4), np.float32([0.9, 0.8, 0.7, 1]), 2)
        [0, 2]
    """
    ranked = [int(unit) for unit in np.argsort(-scores, kind="stable") if activity.alive[unit]]
    centred = activity.peaks - activity.peaks.mean(0)
    unit_length = centred / np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    chosen: list[int] = []
    for unit in ranked:
        if len(chosen) < count and all(abs(unit_length[:, unit] @ unit_length[:, one]) < _ALIKE for one in chosen):
            chosen.append(unit)
    rest = [unit for unit in ranked if unit not in chosen]
    return chosen + rest[: count - len(chosen)]


def preferred(activity: Activity, unit: int, membership: np.ndarray) -> list[tuple[int, int, bool]]:
    """Classes of the pictures that excite a unit most: (class, how many of the ten, more than chance), most first.

    More than chance: so many or more among ten pictures drawn blindly would come up with a probability
    (hypergeometric) of at most 0.05, divided by the number of units times the number of classes (Bonferroni).

    Args:
        activity: of N pictures.
        unit: position among the units.
        membership: bool (N, K), which classes are true of each picture.
    """
    top = activity.strongest(unit)[:STRONGEST]
    counts, totals = membership[top].sum(0), membership.sum(0)
    limit = _ALPHA / max(1, activity.peaks.shape[1] * int((totals > 0).sum()))
    p = hypergeom.sf(counts - 1, len(membership), totals, len(top))
    order = [int(c) for c in np.argsort(-counts, kind="stable") if counts[c]]
    return [(c, int(counts[c]), bool(p[c] <= limit)) for c in order]
