"""The Gaussian mechanism: how much noise hides one contribution, in closed form, and noise that nobody can repeat.

A sum to which anybody contributes a vector of norm C at most, released T times with noise of standard deviation s,
tells as much as one release with the ratio mu = sqrt(T) C / s between what is hidden and the noise. Balle and Wang,
"Improving the Gaussian Mechanism for Differential Privacy", ICML 2018, theorem 8; it is exact, and assumes no sampling.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.special import log_ndtr, ndtri

from photovision.core.errors import UsageError
from photovision.core.types import Floats

Noise = Callable[[tuple[int, ...]], Floats]
"""From a shape to standard normal numbers."""
SMALLEST, LARGEST = 0.01, 100.0
"""Values of epsilon that mean something: below, nothing can be learned; above, nothing is protected."""
_DRAWS = 4  # whose mean is taken: the pattern of rounding of a single draw could give a number away


def delta_of(mu: float, epsilon: float) -> float:
    """The least delta of a mechanism of ratio `mu` at an epsilon.

    Example:
        >>> round(delta_of(1.0, 0.0), 4)
        0.3829
    """
    first = math.exp(float(log_ndtr(mu / 2 - epsilon / mu)))
    return max(0.0, first - math.exp(epsilon + float(log_ndtr(-mu / 2 - epsilon / mu))))


def ratio_for(epsilon: float, delta: float) -> float:
    """The largest ratio `mu` that keeps (epsilon, delta).

    Raises:
        UsageError: epsilon outside .01 to 100, or delta outside 0 to 1.

    Example:
        >>> round(1 / ratio_for(1.0, 1e-5), 3)
        3.731
    """
    if not SMALLEST <= epsilon <= LARGEST:
        raise UsageError(f"epsilon should be {SMALLEST:g} to {LARGEST:g}, got {epsilon:g}")
    if not 0 < delta < 1:
        raise UsageError(f"delta should be above 0 and below 1, got {delta:g}")
    return float(brentq(lambda mu: delta_of(mu, epsilon) - delta, 1e-6, 1e3, xtol=1e-12))


def epsilon_of(mu: float, delta: float) -> float:
    """The least epsilon of a mechanism of ratio `mu` at a delta.

    Example:
        >>> round(epsilon_of(ratio_for(3.0, 1e-5), 1e-5), 6)
        3.0
    """
    if mu <= 0 or delta_of(mu, 0.0) <= delta:
        return 0.0
    return float(brentq(lambda epsilon: delta_of(mu, epsilon) - delta, 0.0, mu * mu + 40 * mu + 1))


def system_noise(shape: tuple[int, ...]) -> Floats:
    """Standard normal numbers, float64, of random bytes of the operating system: there is no seed to keep or guess.

    Floating point numbers are no real numbers; the mean of several draws hides their pattern of rounding (Holohan and
    Braghin, 2021), which is a defence and not a proof.
    """
    count = math.prod(shape)
    words = np.frombuffer(secrets.token_bytes(8 * count * _DRAWS), np.uint64)
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return np.asarray(ndtri(uniform).reshape(_DRAWS, *shape).sum(0) / math.sqrt(_DRAWS))
