"""Memory bank: patches that stand for all patches of the good pictures, in parts that leave each other out.

PatchCore (Roth et al., "Towards total recall in industrial anomaly detection", CVPR 2022) with three changes. Features
are whitened with their full covariance. Distances count in units of how much good pictures differ near the same patch.
And every fold of pictures keeps patches of its own: the bank is the union of
the folds' parts. So every good picture can be scored by a bank, and in a whitening, that never saw its fold. A larger
bank never raises the distance to the nearest patch, so such held-out scores are rather too high than too low beside
those of new good pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.core.types import Floats, Ints

SHRINKAGES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 0.3)
"""Of the correlations between channels; see `choose_shrinkage`."""

_PROJECTIONS = 64
_REFERENCE = 2000  # patches of each fold that the others' reach is measured with
_NEAR_FOLDS = 3
_EXPONENT = 0.75
_LEAST_UNIT = 0.05
_BLOCK = 4096


@dataclass(frozen=True, eq=False)
class Whitening:
    """A linear map after which patches have no correlations and unit variance.

    Attributes:
        mean: float32 (C,).
        matrix: float32 (C, C), applied from the right.
    """

    mean: Floats
    matrix: Floats

    def __call__(self, patches: Floats) -> Floats:
        """Whitened patches: float32 (..., C)."""
        whitened = (patches - self.mean) @ self.matrix
        return whitened.astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over patches, which add up over folds: their number, sum float64 (C,) and sum of products (C, C)."""

    count: int
    total: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, patches: Floats) -> Moments:
        """Those of patches float32 (N, C)."""
        return cls(len(patches), patches.sum(0, dtype=np.float64), (patches.T @ patches).astype(np.float64))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    def __sub__(self, other: Moments) -> Moments:
        return Moments(self.count - other.count, self.total - other.total, self.products - other.products)

    def covariance(self, about: np.ndarray) -> np.ndarray:
        """Mean product of deviations from `about` float64 (C,): (C, C)."""
        cross = np.outer(self.total, about)
        products: np.ndarray = self.products - cross - cross.T + self.count * np.outer(about, about)
        return products / max(self.count, 1)

    @cached_property
    def principal(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Means and deviations (C,) of the channels, eigenvalues (C,) and axes (C, C) of their correlations."""
        mean = self.total / max(self.count, 1)
        covariance = self.covariance(mean)
        spread = np.sqrt(np.maximum(np.diag(covariance), 1e-12))
        powers, axes = np.linalg.eigh(covariance / np.outer(spread, spread))
        return mean, spread, np.maximum(powers, 0), axes


def fit_whitening(moments: Moments, shrinkage: float = 1e-2) -> Whitening:
    """Learn the whitening of patches from their moments.

    `shrinkage` is added to the variances of the standardised channels, so that directions in which good pictures
    hardly vary do not count without end.
    """
    mean, spread, powers, axes = moments.principal
    matrix = axes / np.sqrt(powers + shrinkage) / spread[:, None]
    return Whitening(mean.astype(np.float32), matrix.astype(np.float32))


def choose_shrinkage(folds: Sequence[Moments], others: Sequence[Moments]) -> float:
    """The shrinkage of SHRINKAGES with which whitening describes left-out pictures best.

    With few pictures the directions of least variance are accidents of these pictures, and a new good picture would be
    far off along them. The Gaussian likelihood of each fold under the others' covariance decides.

    Args:
        folds: moments of the patches of each fold.
        others: of all but each fold.
    """
    found = np.zeros(len(SHRINKAGES))
    for held, known in zip(folds, others, strict=True):
        mean, spread, powers, axes = known.principal
        squares = np.einsum("ck,cd,dk->k", axes, held.covariance(mean) / np.outer(spread, spread), axes, optimize=True)
        for number, shrinkage in enumerate(SHRINKAGES):
            found[number] += (np.log(powers + shrinkage) + squares / (powers + shrinkage)).sum()
    return SHRINKAGES[int(found.argmin())]


@dataclass(eq=False)
class Reservoir:
    """A uniform sample of a stream of patches, of bounded size (Vitter's algorithm R, in blocks).

    Attributes:
        capacity: rows that are kept.
        seed: of the draws.
    """

    capacity: int
    seed: int = 0
    rows: list[Floats] = field(default_factory=list)
    _owners: list[Ints] = field(default_factory=list)
    _keys: list[np.ndarray] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    def add(self, patches: Floats, owner: int = 0) -> None:
        """Offer patches float32 (N, C) of one picture; each row of the stream is as likely to stay as any other."""
        # The rows with the smallest of independent uniform keys are a uniform sample.
        self.rows.append(patches)
        self._owners.append(np.full(len(patches), owner, np.int64))
        self._keys.append(self._rng.random(len(patches)))
        if sum(map(len, self._keys)) > 2 * self.capacity:
            self._settle()

    def _settle(self) -> None:
        keys, rows, owners = np.concatenate(self._keys), np.concatenate(self.rows), np.concatenate(self._owners)
        if len(keys) > self.capacity:
            chosen = np.sort(np.argpartition(keys, self.capacity - 1)[: self.capacity])
            keys, rows, owners = keys[chosen], rows[chosen], owners[chosen]
        self._keys, self.rows, self._owners = [keys], [rows], [owners]

    def sample(self) -> Floats:
        """The rows that stayed: float32 (at most `capacity`, C)."""
        self._settle()
        return self.rows[0]

    def owners(self) -> Ints:
        """Numbers of the pictures that these rows come from: int64 (at most `capacity`,)."""
        self._settle()
        return self._owners[0]


def k_centre(points: Floats, count: int, seed: int = 0, progress: ProgressCallback | None = None) -> Ints:
    """Rows of `points` float32 (N, C) from which all others are near: greedy k-centre on random projections.

    Args:
        points: float32 (N, C).
        count: how many rows; all where there are fewer.
        seed: of the first row, which is one of those returned, and of the projections.
        progress: called with (rows chosen, rows to choose).

    Returns:
        int64 (min(count, N),), in the order in which they were chosen.

    Example:
        >>> sorted(k_centre(np.float32([[0.0], [0.1], [5.0], [9.0]]), 3).tolist())[1:]
        [2, 3]
    """
    if len(points) <= count:
        return np.arange(len(points), dtype=np.int64)
    rng = np.random.default_rng(seed)
    if points.shape[1] > _PROJECTIONS:
        points = points @ rng.normal(size=(points.shape[1], _PROJECTIONS)).astype(np.float32)
    norms = np.einsum("nc,nc->n", points, points)
    chosen = np.empty(count, np.int64)
    chosen[0] = rng.integers(len(points))
    nearest = np.full(len(points), np.inf, np.float32)
    for number in range(1, count):
        last = chosen[number - 1]
        np.minimum(nearest, norms - 2 * (points @ points[last]) + norms[last], out=nearest)
        nearest[last] = -1  # rounding must not choose a row twice
        chosen[number] = nearest.argmax()
        if progress is not None and number % 256 == 0:
            progress(number, count)
    return chosen


@dataclass(frozen=True, eq=False)
class MemoryBank:
    """Patches of good pictures, with the whitening and the units in which distances to them are taken.

    Where good pictures differ much from each other (a crumb, an edge) a distance says less than where they are all
    alike: distances count in units of how far other good pictures are from the same patch.

    Attributes:
        whitening: learned from all folds that the patches come from.
        patches: whitened, float32 (M, C).
        weights: float32 (M,), above 0, that squared distances to each patch are multiplied by.
    """

    whitening: Whitening
    patches: Floats
    weights: Floats

    @cached_property
    def products(self) -> tuple[Floats, Floats]:
        """Matrix float32 (C + 1, M) and offset (M,): [q, |q|^2] @ matrix + offset are weighted squared distances."""
        return _products(self.patches, self.weights)

    def distances(self, patches: Floats) -> Floats:
        """Distance of patches float32 (N, C), as they are, to the nearest of the bank: float32 (N,)."""
        return _nearest(self.whitening(patches), *self.products)


def _products(patches: Floats, weights: Floats) -> tuple[Floats, Floats]:
    norms = np.einsum("nc,nc->n", patches, patches)
    matrix = np.vstack([-2 * patches.T * weights, weights])
    return matrix.astype(np.float32), (norms * weights).astype(np.float32)


def _nearest(queries: Floats, matrix: Floats, offset: Floats) -> Floats:
    extended = np.column_stack([queries, np.einsum("nc,nc->n", queries, queries)])
    parts = [(extended[start : start + _BLOCK] @ matrix + offset).min(1) for start in range(0, len(extended), _BLOCK)]
    found: Floats = np.sqrt(np.maximum(np.concatenate(parts), 0))
    return found


@dataclass(frozen=True, eq=False)
class FoldedBank:
    """The bank of all folds, and for each fold the bank that never saw it.

    Attributes:
        whole: of all folds.
        without: one for each fold, whitened by the others alone.
        shrinkage: of all whitenings, see `choose_shrinkage`.
    """

    whole: MemoryBank
    without: tuple[MemoryBank, ...]
    shrinkage: float


def build_bank(samples: list[Floats], size: int, seed: int = 0, progress: ProgressCallback | None = None) -> FoldedBank:
    """Banks of about `size` patches from samples of each fold, float32 (N, C) each.

    Args:
        samples: at least two.
        size: of the whole bank.
        seed: of the choice of patches.
        progress: called with (folds done, folds to do).
    """
    moments = [Moments.of(sample) for sample in samples]
    total = reduce(Moments.__add__, moments)
    others = [total - own for own in moments]
    shrinkage, share, parts = choose_shrinkage(moments, others), max(1, size // len(samples)), []
    whitening = fit_whitening(total, shrinkage)
    for fold, sample in enumerate(samples):
        parts.append(sample[k_centre(whitening(sample), share, seed + fold)])
        if progress is not None:
            progress(fold + 1, len(samples))

    patches, folds = np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    reach = _reach(whitening(patches), folds, [whitening(sample[:_REFERENCE]) for sample in samples])

    def bank(known: Whitening, left_out: int | None) -> MemoryBank:
        kept = folds != left_out
        others_reach = np.delete(reach[kept], left_out, axis=1) if left_out is not None else reach
        return MemoryBank(known, known(patches[kept]), _weights(others_reach))

    without = tuple(bank(fit_whitening(others[fold], shrinkage), fold) for fold in range(len(samples)))
    return FoldedBank(bank(whitening, None), without, shrinkage)


def _reach(patches: Floats, folds: Ints, samples: list[Floats]) -> Floats:
    """Distance of whitened patches (M, C) to the nearest sample of each fold: (M, K), infinite for their own."""
    found = np.full((len(patches), len(samples)), np.inf, np.float32)
    for fold, sample in enumerate(samples):
        if not len(sample):  # all its pictures were left out
            continue
        found[:, fold] = _nearest(patches, *_products(sample, np.ones(len(sample), np.float32)))
        found[folds == fold, fold] = np.inf
    return found


def _weights(reach: Floats) -> Floats:
    """Weights of squared distances (M,), by how far the nearest folds reach (M, K) are from each patch.

    Between no units at all and units of that reach, as three quarters of the way proved best on biscuits, leaves and
    simulated tiles alike.
    """
    others = int(np.isfinite(reach).sum(1).min())
    near = np.sort(reach, axis=1)[:, : min(_NEAR_FOLDS, others)].mean(1)
    units = np.maximum(near / max(float(np.median(near)), 1e-6), _LEAST_UNIT)
    weights: Floats = (units ** (-2 * _EXPONENT)).astype(np.float32)
    return weights


def assign_folds(groups: Ints, count: int, seed: int = 0) -> Ints:
    """Deal pictures into at most `count` folds of about equal size; pictures of one group share a fold.

    Args:
        groups: int64 (N,), equal for pictures that show the same thing.
        count: of folds; as many as groups where these are fewer.
        seed: of the order in which groups are dealt.

    Returns:
        int64 (N,), folds from 0 on, none empty.
    """
    names, members, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-sizes[order], kind="stable")]
    filled, fold_of = np.zeros(min(count, len(names)), np.int64), np.empty(len(names), np.int64)
    for group in order:
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += sizes[group]
    return fold_of[members]
