"""What a function that classifies returns, as the outputs of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Image

_SMALLEST = 1e-12


def outputs(returned: Any, images: Image, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """probs, logits and embedding, float32 (N, C) each, from scores (N, C), logits or probabilities.

    Raises:
        UsageError: it is something else.

    Example:
        >>> outputs([[0.5, 0.5]], np.zeros((1, 8, 8, 3), np.uint8), ("a", "b"))["probs"].tolist()
        [[0.5, 0.5]]
    """
    shape = len(images), len(classes)
    try:
        scores = np.asarray(returned, np.float64)
    except (TypeError, ValueError, RuntimeError):  # torch refuses tensors with gradients
        scores = np.empty(0)
    if scores.shape != shape or not np.isfinite(scores).all():
        raise UsageError(f"finite scores of {shape[0]} pictures for {shape[1]} classes {shape}")
    if scores.min() >= 0 and np.allclose(scores.sum(1), 1, atol=1e-3):
        logits = np.log(np.maximum(scores, _SMALLEST))
    else:
        logits = scores - scores.max(1, keepdims=True)
    powers = np.exp(logits - logits.max(1, keepdims=True))
    centred = logits - logits.mean(1, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), _SMALLEST)
    found = {"probs": powers / powers.sum(1, keepdims=True), "logits": logits, "embedding": unit}
    return {name: value.astype(np.float32) for name, value in found.items()}
