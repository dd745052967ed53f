"""The yardstick: what people did before networks learned their features.

Histograms of oriented gradients (Dalal and Triggs 2005, scikit-image), colour histograms and a thumbnail, with a linear
support vector machine (scikit-learn). Every report says what deep learning bought over it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from photovision.core.parallel import batched, in_order
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image, Ints

_BLOCK = 64
_COMPONENTS = 512


@dataclass(frozen=True)
class Handmade:
    """Handcrafted features for pictures of one size.

    Attributes:
        side: pictures are brought to this many pixels square first: a multiple of 28.

    Example:
        >>> Handmade(28).describe(np.zeros((2, 28, 28, 3), np.uint8)).shape[0]
        2
    """

    side: int

    @classmethod
    def fitting(cls, typical_side: int) -> Handmade:
        """For pictures whose shorter side is typically this long."""
        return cls(28 if typical_side <= 40 else 56)

    @property
    def preprocess(self) -> Preprocess:
        """How pictures are brought to size."""
        return Preprocess((self.side, self.side))

    def extract(self, images: Iterable[Image], total: int) -> Floats:
        """Features float32 (N, D) of pictures at `side`, computed by all cores."""
        rows: Floats | None = None
        done = 0
        for _, part in in_order(_stacks(images), self.describe, ahead=4):
            rows = np.empty((total, part.shape[1]), np.float32) if rows is None else rows
            rows[done : done + len(part)] = part
            done += len(part)
        return rows[:done] if rows is not None else np.zeros((0, 0), np.float32)

    def describe(self, images: Image) -> Floats:
        """Features float32 (N, D) of uint8 RGB pictures (N, side, side, 3)."""
        scaled: Floats = images.astype(np.float32) / np.float32(255)
        bright: Floats = np.sqrt(scaled.mean(3))
        thumbnail = scaled.reshape(len(images), 14, self.side // 14, 14, self.side // 14, 3).mean((2, 4))
        grey = thumbnail.mean(3).reshape(len(images), -1)
        parts = [_gradients(bright, self.side // 7), _colours(scaled), grey]
        return np.concatenate(parts, axis=1).astype(np.float32)


def _stacks(images: Iterable[Image]) -> Iterator[Image]:
    return (np.stack(batch) for batch in batched(images, _BLOCK))


def _gradients(bright: Floats, cell: int) -> Floats:
    """Oriented gradients of grey pictures (N, S, S): float32 (N, D)."""
    from skimage.feature import hog

    rows: Floats = np.stack([hog(picture, 9, (cell, cell), (2, 2), "L2-Hys") for picture in bright]).astype(np.float32)
    return rows


def _colours(scaled: Floats) -> Floats:
    """Histograms of hue, saturation and value, and moments, in four quarters: float32 (N, D)."""
    from skimage.color import rgb2hsv

    n, side = scaled.shape[:2]
    hsv, half, parts = rgb2hsv(scaled), side // 2, []
    for top in (0, side - half):
        for left in (0, side - half):
            window = np.s_[:, top : top + half, left : left + half]
            hue, saturation, value = (hsv[window][..., i].reshape(n, -1) for i in range(3))
            parts += [
                _histograms(hue, 12, saturation * value),
                _histograms(saturation, 6),
                _histograms(value, 8),
                scaled[window].mean((1, 2)),
                scaled[window].std((1, 2)),
            ]
    return np.concatenate(parts, axis=1)


def _histograms(values: Floats, bins: int, weights: Floats | None = None) -> Floats:
    """Square roots of histograms of each row's values in 0 to 1: float32 (N, bins)."""
    n, width = values.shape
    index = np.minimum((values * bins).astype(np.int64), bins - 1) + bins * np.arange(n)[:, None]
    counts = np.bincount(index.ravel(), None if weights is None else weights.ravel(), n * bins)
    roots: Floats = np.sqrt(counts.reshape(n, bins) / width).astype(np.float32)
    return roots


@dataclass(frozen=True, eq=False)
class LinearSvm:
    """Linear support vector machines, one class against the rest, on standardised features.

    Attributes:
        weight: float32 (C, D).
        bias: float32 (C,).
    """

    weight: Floats
    bias: Floats

    def __call__(self, features: Floats) -> Floats:
        """Signed distances float32 (N, C) of features (N, D)."""
        return features @ self.weight.T + self.bias

    @classmethod
    def fit(cls, features: Floats, truth: Ints | Floats, classes: int) -> LinearSvm:
        """Learn from features (N, D), reduced to their principal components so that the solver is quick.

        Args:
            features: float32 (N, D).
            truth: labels int64 (N,), or float32 (N, C) of 0 and 1 for multi-label data.
            classes: C.
        """
        from sklearn.decomposition import PCA

        mean, std = features.mean(0), features.std(0) + 1e-4
        standard = (features - mean) / std
        kept = min(_COMPONENTS, len(features) - 1, features.shape[1])
        # The same components by whichever matrix is the smaller: a second less for a few hundred images.
        solver = "full" if len(features) < features.shape[1] else "covariance_eigh"
        reduction = PCA(kept, svd_solver=solver).fit(standard)
        scale = float(np.sqrt(reduction.explained_variance_.sum()))  # rows of length 1 on average, whatever D
        reduced = (reduction.transform(standard) / scale).astype(np.float32)
        matrix = np.asarray(truth if truth.ndim == 2 else np.eye(classes)[truth.astype(np.int64)], dtype=np.float32)
        columns = [c for c in range(classes) if 0 < matrix[:, c].sum() < len(matrix)]
        weight, bias = np.zeros((classes, features.shape[1]), np.float32), np.full(classes, -1.0, np.float32)
        for column, (row, offset) in in_order(columns, lambda c: _one_against_rest(reduced, matrix[:, c])):
            weight[column] = (row @ reduction.components_) / (scale * std)
            bias[column] = offset - weight[column] @ (mean + std * reduction.mean_)
        return cls(weight, bias)


def _one_against_rest(features: Floats, truth: Floats) -> tuple[Floats, float]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.svm import LinearSVC

    machine = LinearSVC(C=1.0, dual=False, tol=1e-2, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the figure is measured, whatever the solver's tolerance
        machine.fit(features, truth)
    return machine.coef_[0].astype(np.float32), float(machine.intercept_[0])
