"""Does an exported or changed graph segment like the model it came from?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.engine.parity import GraphParity, Outputs
from photovision.tasks.segment.segmenter import Segmenter

TOLERANCE = 0.02
"""Largest allowed difference of a probability, of all but one pixel in a thousand."""
MIN_AGREEMENT = 0.995
"""Smallest share of pixels of the graph's output with the same class."""
MIN_QUANTIZED = 0.9
"""The same for two engines in 8 bits."""


def parity(
    model: Segmenter,
    expected: Sequence[Outputs],
    got: Sequence[Outputs],
    *,
    real: bool = True,
    quantized: bool = False,
) -> GraphParity:
    """Probabilities compared pixel by pixel, and embeddings, where there are some; see `engine.parity.CheckParity`."""
    same, gaps = [], []
    for before, after in zip(expected, got, strict=True):
        same.append((before["classes"].argmax(1) == after["classes"].argmax(1)).ravel())
        gaps.append(np.abs(before["classes"] - after["classes"]).max(1).ravel())
    agreement, gap = float(np.concatenate(same).mean()), float(np.quantile(np.concatenate(gaps), 0.999))
    pairs = [(a["embedding"], b["embedding"]) for a, b in zip(expected, got, strict=True) if "embedding" in a]
    if quantized:
        return GraphParity(agreement, gap, "pixels", 1.0, agreement >= MIN_QUANTIZED)
    gap = max([gap, *(float(np.abs(a - b).max()) for a, b in pairs)])
    return GraphParity(agreement, gap, "pixels", TOLERANCE, gap <= TOLERANCE and agreement >= MIN_AGREEMENT)
