"""What a function that segments returns, as the outputs of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Image


def outputs(returned: Any, images: Image, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """classes float32 (N, C, h, w), from maps (N, C, h, w), logits or probabilities, or whole numbers (N, h, w).

    Raises:
        UsageError: it is something else.

    Example:
        >>> outputs(np.ones((1, 2, 2), int), np.zeros((1, 2, 2, 3), np.uint8), ("ground", "road"))["classes"][0, 1]
        array([[1., 1.],
               [1., 1.]], dtype=float32)
    """
    n, count = len(images), len(classes)
    try:
        maps = np.asarray(returned)
    except (ValueError, RuntimeError):  # torch refuses tensors with gradients
        maps = np.empty(0)
    if maps.ndim == 3 and len(maps) == n and maps.dtype.kind in "iu" and maps.min() >= 0 and maps.max() < count:
        return {"classes": np.stack([maps == label for label in range(count)], axis=1).astype(np.float32)}
    if maps.ndim != 4 or maps.shape[:2] != (n, count) or not np.isfinite(maps).all():
        raise UsageError(f"maps ({n}, {count}, h, w), or classes of pixels ({n}, h, w) as whole numbers")
    values = maps.astype(np.float64)
    if not (values.min() >= 0 and np.allclose(values.sum(1), 1, atol=1e-3)):
        powers = np.exp(values - values.max(1, keepdims=True))
        values = powers / powers.sum(1, keepdims=True)
    return {"classes": values.astype(np.float32)}
