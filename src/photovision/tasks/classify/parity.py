"""Does an exported or changed graph classify like the model it came from?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.types import Floats
from photovision.engine.parity import GraphParity, Outputs
from photovision.tasks.classify.recognizer import Recognizer

TOLERANCE = 0.02
"""Largest allowed difference of a probability, which leaves room for weights in 16 bits."""
MIN_AGREEMENT = 0.995
"""Smallest share of images with the same most probable class; one image may differ."""
MIN_QUANTIZED = 0.98
"""Smallest share of images on which two engines decide the same in 8 bits: on the border between two classes any
rounding decides."""
_SLACK = 1e-6


def parity(
    model: Recognizer,
    expected: Sequence[Outputs],
    got: Sequence[Outputs],
    *,
    real: bool = True,
    quantized: bool = False,
) -> GraphParity:
    """Probabilities compared image by image; see `engine.parity.CheckParity`."""
    before, after = (np.concatenate([one["probs"] for one in each]) for each in (expected, got))
    gap, n = float(np.abs(before - after).max()), len(before)
    if quantized:
        same = float((_stated(model, before) == _stated(model, after)).all(1).mean())
        return GraphParity(same, gap, "pictures", 1.0, _few((1 - same) * n, (1 - MIN_QUANTIZED) * n))
    same = float((before.argmax(1) == after.argmax(1)).mean())
    enough = gap <= TOLERANCE and (not real or _few((1 - same) * n, (1 - MIN_AGREEMENT) * n))
    return GraphParity(same, gap, "pictures", TOLERANCE, enough)


def _few(different: float, allowed: float) -> bool:
    return different <= max(1.0, allowed) + _SLACK


def _stated(model: Recognizer, probs: Floats) -> np.ndarray:
    """bool (N, C): the classes that the model predicts."""
    if not model.multilabel:
        return np.asarray(np.arange(probs.shape[1]) == probs.argmax(1)[:, None])
    return np.asarray(probs >= (0.5 if model.thresholds is None else model.thresholds))
