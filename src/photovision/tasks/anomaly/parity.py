"""Does an exported or changed graph score like the model it came from?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.engine.parity import GraphParity, Outputs
from photovision.tasks.anomaly.detector import AnomalyDetector

TOLERANCE = 1e-3
"""Largest allowed difference of a score, in spreads of good images or of itself."""
MIN_QUANTIZED = 0.9
"""Smallest share of equal verdicts of two engines in 8 bits."""


def anomaly_parity(
    model: AnomalyDetector,
    expected: Sequence[Outputs],
    got: Sequence[Outputs],
    *,
    real: bool = True,
    quantized: bool = False,
) -> GraphParity:
    """Scores and verdicts compared image by image; see `engine.parity.CheckParity`."""
    before, after = (np.concatenate([np.ravel(part["score"]) for part in outputs]) for outputs in (expected, got))
    same = np.array([model.judged(a)[1] == model.judged(b)[1] for a, b in zip(before, after, strict=True)])
    scale = np.maximum(np.abs(before), 1.0)
    agreement, difference = float(same.mean()), float((np.abs(before - after) / scale).max())
    if quantized:
        return GraphParity(agreement, difference, "pictures", 1.0, agreement >= MIN_QUANTIZED, "score")
    enough = difference <= TOLERANCE and (agreement == 1.0 or not real or int((~same).sum()) <= 1)
    return GraphParity(agreement, difference, "pictures", TOLERANCE, enough, "score")
