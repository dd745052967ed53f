"""How much boxes overlap."""

from __future__ import annotations

from typing import Literal

import numpy as np

from photovision.core.types import Floats

Share = Literal["union", "smaller", "first"]


def overlap(some: Floats, others: Floats, of: Share = "union") -> Floats:
    """The area that boxes have in common, as a share.

    Args:
        some, others: float (N, 4) and (M, 4), x1, y1, x2, y2.
        of: "union": intersection over union; "smaller": over the smaller of the two; "first": over the one of `some`.

    Returns:
        float32 (N, M), 0 to 1; 0 where there is no area to share.

    Example:
        >>> large, small = np.float32([[0, 0, 2, 2]]), np.float32([[0, 0, 2, 1], [5, 5, 6, 6]])
        >>> overlap(large, small).tolist(), overlap(large, small, "smaller").tolist()
        ([[0.5, 0.0]], [[1.0, 0.0]])
    """
    # Coordinate by coordinate: arrays (N, M, 2) take three times as long.
    left, top, right, bottom = (some[:, None, side] for side in range(4))
    left_, top_, right_, bottom_ = (others[None, :, side] for side in range(4))
    width = np.minimum(right, right_) - np.maximum(left, left_)
    height = np.minimum(bottom, bottom_) - np.maximum(top, top_)
    common = np.clip(width, 0, None) * np.clip(height, 0, None)
    mine, theirs = (right - left) * (bottom - top), (right_ - left_) * (bottom_ - top_)
    whole = mine + theirs - common if of == "union" else np.minimum(mine, theirs) if of == "smaller" else mine
    whole = np.broadcast_to(whole, common.shape)
    shares = np.divide(common, whole, out=np.zeros(common.shape, np.float32), where=whole > 0)
    return np.asarray(shares, dtype=np.float32)
