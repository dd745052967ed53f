"""Where a place in one picture of a shelf is in another: ORB features, a homography by RANSAC, and a check of it.

An alignment that cannot be trusted is refused, for a slot at a wrong place is worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core.errors import DataError
from photovision.core.types import Floats, Image

Plane = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]
SIDE = 640
"""Longest side, in pixels, at which pictures are aligned."""
MIN_POINTS = 25
"""Matched points that must agree on one homography."""
MIN_AGREEMENT = 0.35
"""Share of blocks that must look alike once they lie over each other; of unrelated pictures hardly any do."""
_POINTS, _TRIALS, _TOLERANCE = 1200, 800, 4.0  # features a picture; draws of RANSAC; pixels at SIDE
_BLOCK, _ALIKE = 32, 0.5  # side of a block at SIDE; correlation from which on two blocks look alike
_DETAILS = 1.0, 6.0  # pixels at SIDE: what is finer is noise, what is coarser is shading
_LARGER = 3.0  # an area that grows or shrinks by more than this is no other view of the same shelf


@dataclass(frozen=True, eq=False)
class Alignment:
    """How a reference picture lies over another one.

    Attributes:
        matrix: float64 (3, 3), from pixels (x, y, 1) of the reference to pixels of the picture.
        points: matched points that agree with it.
        agreement: share of blocks that look alike, 0 to 1.
        before, now: float32 (h, w), grey: the reference laid over the picture, NaN outside of it, and the picture, both
            reduced to a longest side of SIDE.
        scale: of `now` to the picture.
    """

    matrix: Matrix
    points: int
    agreement: float
    before: Plane
    now: Plane
    scale: float

    def place(self, boxes: Floats) -> Floats:
        """Boxes float32 (N, 4) of the reference as boxes around the same places in the picture."""
        corners = boxes.astype(np.float64)[:, [[0, 1], [2, 1], [2, 3], [0, 3]]]
        moved = _moved(self.matrix, corners.reshape(-1, 2)).reshape(-1, 4, 2)
        return np.concatenate([moved.min(1), moved.max(1)], axis=1).astype(np.float32)

    def unchanged(self, box: Floats) -> float:
        """How much a box float32 (4,) of the picture looks as it did: correlation, 0 (or less) to 1; 0 if not seen."""
        x1, y1, x2, y2 = np.rint(box * self.scale).astype(int).tolist()
        area = slice(max(y1, 0), max(y2, y1 + 2, 0)), slice(max(x1, 0), max(x2, x1 + 2, 0))
        before, now = self._details
        return max(0.0, _correlation(before[area], now[area]))

    @cached_property
    def _details(self) -> tuple[Plane, Plane]:
        """Both pictures without their shading, in which an object and the wall behind it may be alike."""
        from scipy.ndimage import gaussian_filter

        known = np.isfinite(self.before)
        before = np.where(known, self.before, self.now)
        fine, coarse = _DETAILS
        parts = [gaussian_filter(plane, fine) - gaussian_filter(plane, coarse) for plane in (before, self.now)]
        return np.where(known, parts[0], np.nan), parts[1]


def align(reference: Image, picture: Image) -> Alignment:
    """Find where the places of a reference picture are in another picture of the same shelf.

    Features: Rublee et al. 2011 (ORB); homography by RANSAC (Fischler and Bolles 1981).

    Args:
        reference, picture: uint8 RGB (H, W, 3), of any sizes.

    Raises:
        DataError: they cannot be aligned, or the result fails its check.
    """
    was, was_scale = _reduced(reference)
    now, now_scale = _reduced(picture)
    found = _homography(was, now)
    if found is None:
        raise DataError("the pictures cannot be aligned: too few points match; take them from about the same place")
    small, points = found
    before = _laid_over(was, small, now.shape)
    agreement = _agreement(before, now)
    if points < MIN_POINTS or agreement < MIN_AGREEMENT or not _plausible(small, was.shape):
        raise DataError(
            f"the pictures are not aligned well enough ({points} matched points, at least {MIN_POINTS} are needed;"
            f" {agreement:.0%} of the picture looks alike, at least {MIN_AGREEMENT:.0%} should): take them from about"
            " the same place"
        )
    matrix = np.diag([1 / now_scale, 1 / now_scale, 1]) @ small @ np.diag([was_scale, was_scale, 1])
    return Alignment(matrix, points, agreement, before, now, now_scale)


def fixed(reference: Image, picture: Image) -> Alignment:
    """The alignment of a camera that does not move: places are the same shares of the picture."""
    was, _ = _reduced(reference)
    now, scale = _reduced(picture)
    small = np.diag([now.shape[1] / was.shape[1], now.shape[0] / was.shape[0], 1.0])
    before = _laid_over(was, small, now.shape)
    sides = [picture.shape[1] / reference.shape[1], picture.shape[0] / reference.shape[0], 1.0]
    return Alignment(np.diag(sides), 0, _agreement(before, now), before, now, scale)


def _reduced(picture: Image) -> tuple[Plane, float]:
    """Grey, 0 to 1, with a longest side of SIDE, and its scale."""
    scale = min(1.0, SIDE / max(picture.shape[:2]))
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    grey = Pillow.fromarray(picture).convert("L").resize(size, Pillow.Resampling.BOX)
    return np.asarray(np.asarray(grey) / 255, dtype=np.float32), float(scale)


def _homography(was: Plane, now: Plane) -> tuple[Matrix, int] | None:
    from skimage.feature import match_descriptors
    from skimage.measure import ransac
    from skimage.transform import ProjectiveTransform

    one, other = _features(was), _features(now)
    if one is None or other is None:
        return None
    pairs = match_descriptors(one[1], other[1], metric="hamming", cross_check=True, max_ratio=0.9)
    if len(pairs) < 8:
        return None
    points = one[0][pairs[:, 0]], other[0][pairs[:, 1]]
    model, good = ransac(points, ProjectiveTransform, 4, _TOLERANCE, max_trials=_TRIALS, rng=0)
    if good is None or good.sum() < 8:
        return None
    return np.asarray(model.params, dtype=np.float64), int(good.sum())


def _features(plane: Plane) -> tuple[Matrix, npt.NDArray[np.bool_]] | None:
    """Points (N, 2) as x, y, and their descriptors; None of a picture without any."""
    from skimage.feature import ORB

    detector: Any = ORB(n_keypoints=_POINTS, fast_threshold=0.03)
    try:
        detector.detect_and_extract(plane)
    except (RuntimeError, ValueError, IndexError):  # it finds nothing, or the picture is smaller than its patches
        return None
    return detector.keypoints[:, ::-1], detector.descriptors


def _laid_over(was: Plane, matrix: Matrix, shape: tuple[int, ...]) -> Plane:
    from scipy.ndimage import map_coordinates

    rows, columns = np.mgrid[: shape[0], : shape[1]]
    back: Matrix = np.asarray(np.linalg.pinv(matrix), dtype=np.float64)
    x, y = _moved(back, np.stack([columns.ravel(), rows.ravel()], 1).astype(np.float64)).T
    values = map_coordinates(was, [y.reshape(shape), x.reshape(shape)], order=1, cval=np.nan)
    return np.asarray(values, dtype=np.float32)


def _agreement(before: Plane, now: Plane) -> float:
    """Share of the blocks with structure that look alike, of those that both pictures show; 0 where few are shown."""
    alike, blocks = 0, 0
    corners = [(y, x) for y in range(0, now.shape[0], _BLOCK) for x in range(0, now.shape[1], _BLOCK)]
    for y, x in corners:
        area = slice(y, y + _BLOCK), slice(x, x + _BLOCK)
        if np.isfinite(before[area]).mean() > 0.8 and now[area].std() > 0.02:
            blocks += 1
            alike += _correlation(before[area], now[area]) >= _ALIKE
    return alike / blocks if blocks >= 0.2 * len(corners) else 0.0


def _correlation(before: Plane, now: Plane) -> float:
    seen = np.isfinite(before)
    if seen.sum() < max(4, before.size / 2):
        return 0.0
    a, b = before[seen] - before[seen].mean(), now[seen] - now[seen].mean()
    return float((a * b).sum() / (np.sqrt((a * a).sum() * (b * b).sum()) + 1e-3))


def _plausible(matrix: Matrix, shape: tuple[int, ...]) -> bool:
    """Whether the outline of the picture stays a quadrangle of about its size, turned over by nothing."""
    high, wide = shape
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], dtype=np.float64)
    a = _moved(matrix, corners)
    along, back = np.roll(a, -1, 0) - a, np.roll(a, 1, 0) - a
    turns = along[:, 0] * back[:, 1] - along[:, 1] * back[:, 0]
    area = abs(np.dot(a[:, 0], np.roll(a[:, 1], 1)) - np.dot(a[:, 1], np.roll(a[:, 0], 1))) / 2
    return bool((turns > 0).all() and 1 / _LARGER < area / (high * wide) < _LARGER)


def _moved(matrix: Matrix, points: Matrix) -> Matrix:
    """Points (N, 2) through a homography; what it sends beyond the horizon is far away."""
    moved = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    depth = np.where(np.abs(moved[:, 2:]) < 1e-9, 1e-9, moved[:, 2:])
    return np.asarray(moved[:, :2] / depth)
