"""Pointing: does a map lie where the thing is that it explains?

The energy-based pointing game (Wang et al. 2020, "Score-CAM") with two changes: only heat above half of the way from
the map's median to its maximum counts, for random masks leave noise everywhere; and a margin around the thing belongs
to it, which is as fine as masks can tell places apart. A map that lies outside is not wrong for that: it says that the
model decides by the surroundings.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from photovision.core.regions import Bools
from photovision.core.types import Floats

MARGIN = 0.035
"""Width of the margin, by the longer side of what the network sees."""


class PointingGame(NamedTuple):
    """Share of the heat in the thing with its margin, and share of the picture that these are; both 0 to 1."""

    heat: float
    area: float


def pointing(heatmap: Floats, inside: Bools) -> PointingGame:
    """Where the heat of a map lies.

    Args:
        heatmap: float32 (H, W).
        inside: bool (H, W), the pixels of the thing.

    Example:
        >>> heat, box = np.zeros((40, 40), np.float32), np.zeros((40, 40), bool)
        >>> heat[10:20, 10:20] = 1; box[10:20, 10:15] = True
        >>> pointing(heat, box).heat
        0.6
    """
    from scipy.ndimage import distance_transform_edt

    near = inside | (distance_transform_edt(~inside) <= MARGIN * max(heatmap.shape)) if inside.any() else inside
    hot = np.clip(heatmap - (np.median(heatmap) + heatmap.max()) / 2, 0, None)
    whole = float(hot.sum())
    return PointingGame(round(float(hot[near].sum()) / whole, 6) if whole > 0 else 0.0, round(float(near.mean()), 6))
