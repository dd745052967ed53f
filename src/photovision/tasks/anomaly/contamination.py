"""Contamination: bad pictures among the good ones, found by scores that left them out.

The rule is robust: the median and the upper quartile of the good pictures' own scores set the unit, so that a few bad
ones cannot hide behind the spread that they cause. A clean set, whatever its size, has 0.05 suspects on average if its
scores are normally spread, so leaving suspects out hardly touches what a threshold promises.
"""

from __future__ import annotations

import numpy as np

from photovision.core.types import Floats, Ints

FALSE_ALARMS = 0.05
"""Suspects that a clean set has on average, if its scores are normally spread."""

_UPPER_QUARTILE = 0.6744897501960817
_LEAST = 1e-6
_MOST = 0.2  # of the pictures; where more stand out, the good ones are of several kinds


def suspects(statistics: Floats) -> Ints:
    """Positions of pictures that are much farther from all others than pictures usually are, the farthest first.

    Args:
        statistics: float32 (N, K), held-out statistics of pictures that are meant to be good.

    Returns:
        int64 (M,), M at most a fifth of N.
    """
    from scipy.special import ndtri

    logarithms = np.log(np.maximum(statistics, _LEAST)).astype(np.float64)
    middle, upper = np.quantile(logarithms, (0.5, 0.75), axis=0)
    units = (logarithms - middle) / np.maximum((upper - middle) / _UPPER_QUARTILE, 1e-3)
    # The mean over statistics: a bad picture is far by most of them, chance makes one far by few.
    score = units.mean(1)
    limit = float(-ndtri(FALSE_ALARMS / len(score)))
    order = np.argsort(-score, kind="stable").astype(np.int64)
    found: Ints = order[score[order] > limit][: int(_MOST * len(score))]
    return found
