"""How good generated images are, in the features of a network: distances with intervals, precision and recall, copies.

Frechet distance (Heusel et al. 2017), kernel distance (Binkowski et al. 2018), precision and recall of the manifolds
(Kynkaanniemi et al. 2019). None of them is "FID" or "KID", which belong to one network of others, its resizing and
50,000 images: figures of different features or numbers of images must not be compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.data.components import AnyFloats
from photovision.trust.metrics.statistics import proportion

COMPONENTS = 64
"""Principal components of the features; with as many dimensions as images a covariance says nothing."""
_NEIGHBOURS = 3
_DRAWS = 50
_NEAR = 0.001  # quantile of held-out images below which a distance is that of a copy


@dataclass(frozen=True, eq=False)
class FeatureAxes:
    """The directions in which features are compared, fitted to training images.

    Attributes:
        mean: float64 (D,).
        basis: float64 (D, K).
    """

    mean: AnyFloats
    basis: AnyFloats

    @classmethod
    def of(cls, features: AnyFloats) -> FeatureAxes:
        """Of features float (N, D), N of 2 or more."""
        wide = np.asarray(features, np.float64)
        mean = wide.mean(0)
        _, directions = np.linalg.eigh(np.cov((wide - mean).T))
        return cls(mean, directions[:, ::-1][:, : min(COMPONENTS, len(wide) - 1)])

    def __call__(self, features: AnyFloats) -> AnyFloats:
        """float64 (N, K) of features (N, D)."""
        projected: AnyFloats = (np.asarray(features, np.float64) - self.mean) @ self.basis
        return projected


def frechet(first: AnyFloats, second: AnyFloats) -> float:
    """Frechet distance between two normal distributions with the moments of features (N, K) and (M, K).

    Example:
        >>> same = np.random.default_rng(0).normal(size=(50, 3))
        >>> round(abs(frechet(same, same)), 6)
        0.0
    """
    apart = float(np.square(first.mean(0) - second.mean(0)).sum())
    one, other = (np.atleast_2d(np.cov(part.T)) for part in (first, second))
    # The trace of the root of a product of two covariances: of the sum of roots of its eigenvalues, which are real.
    roots = np.sqrt(np.maximum(np.linalg.eigvals(one @ other).real, 0)).sum()
    return apart + float(np.trace(one) + np.trace(other) - 2 * roots)


def kernel(first: AnyFloats, second: AnyFloats) -> float:
    """Squared maximum mean discrepancy with the kernel (x y / K + 1)^3, unbiased: it may be a little below 0."""
    width = first.shape[1]

    def similar(one: AnyFloats, other: AnyFloats) -> AnyFloats:
        powers: AnyFloats = (one @ other.T / width + 1) ** 3
        return powers

    within = 0.0
    for part in (first, second):
        n, found = len(part), similar(part, part)
        within += float((found.sum() - np.trace(found)) / (n * (n - 1)))
    return within - 2 * float(similar(first, second).mean())


def distances(made: AnyFloats, real: AnyFloats, other: AnyFloats, seed: int = 0) -> dict[str, Metric]:
    """Distances of generated images from real ones, and of real ones from other real ones, which nothing can beat.

    Args:
        made: (N, K), features of generated images.
        real: (M, K), of real ones.
        other: (L, K), of other real ones.
        seed: of the resampling.

    Returns:
        "frechet_distance", "kernel_distance", and both with "_floor", with bootstrap intervals over images; all on as
        many images as the smallest set has.
    """
    n = min(len(made), len(real), len(other))
    made, real, other = made[:n], real[:n], other[:n]
    rng, found = np.random.default_rng(seed), {}
    for name, measure in (("frechet", frechet), ("kernel", kernel)):
        for ending, part in (("", made), ("_floor", other)):
            value = measure(part, real)
            drawn = [measure(part[_drawn(rng, n)], real[_drawn(rng, n)]) for _ in range(_DRAWS)]
            # Drawn again, images occur twice, which adds to every distance; their spread is what tells.
            low, high = value + np.quantile(drawn, (0.025, 0.975)) - np.median(drawn)
            found[f"{name}_distance{ending}"] = Metric(value, float(low), float(high), n, "")
    return found


def _drawn(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.integers(0, n, n)


def precision_recall(made: AnyFloats, real: AnyFloats) -> dict[str, Metric]:
    """Share of generated images that lie among real ones, and of real ones that lie among generated ones.

    An image lies among others where it is nearer to one of them than that one's third neighbour.
    """
    inside = {"precision": _inside(made, real), "recall": _inside(real, made)}
    return {name: Metric(*proportion(int(one.sum()), len(one)), len(one), "share") for name, one in inside.items()}


def _inside(points: AnyFloats, others: AnyFloats) -> np.ndarray:
    among = _squared(others, others)
    np.fill_diagonal(among, np.inf)
    radius = np.partition(among, _NEIGHBOURS - 1, axis=1)[:, _NEIGHBOURS - 1]
    return np.asarray((_squared(points, others) <= radius).any(1))


def _squared(first: AnyFloats, second: AnyFloats) -> AnyFloats:
    found: AnyFloats = np.square(first).sum(1)[:, None] + np.square(second).sum(1) - 2 * first @ second.T
    return np.maximum(found, 0)


def nearest(images: Floats, known: Floats, part: int = 256) -> tuple[np.ndarray, Floats]:
    """The nearest known image of every image, int64 (N,), and how far it is, float32 (N,), by the pixels.

    Args:
        images, known: float32 (N, P) and (M, P), pixels of small versions.
        part: images that are compared at a time.
    """
    where, far = [], []
    for start in range(0, len(images), part):
        found = _squared(images[start : start + part], known)
        where.append(found.argmin(1))
        far.append(np.sqrt(found.min(1)))
    return np.concatenate(where), np.concatenate(far).astype(np.float32)


def copies(made: Floats, held_out: Floats) -> tuple[np.ndarray, Metric]:
    """Which generated images are copies, bool (N,), and their share.

    A copy is nearer to a training image than 99.9% of held-out images are, by the pixels and by the features.

    Args:
        made: (N, 2), distances of generated images from their nearest training image: of pixels, of features.
        held_out: (M, 2), of real images that were not learned from.
    """
    limits = np.quantile(held_out, _NEAR, axis=0)
    found = np.asarray((made < limits).all(1))
    return found, Metric(*proportion(int(found.sum()), len(found)), len(found), "share")
