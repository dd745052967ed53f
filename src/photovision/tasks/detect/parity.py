"""Does an exported or changed graph detect like the model it came from?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.overlap import overlap
from photovision.engine.parity import GraphParity, Outputs
from photovision.runtime.nms import ScoredBoxes
from photovision.tasks.detect.detector import Detector

TOLERANCE = 0.05
"""Largest allowed difference of a score; calibration of boxes is steep."""
MIN_AGREEMENT = 0.97
"""Smallest share of predicted boxes that both have; one box may differ."""
MIN_QUANTIZED = 0.9
"""The same for two engines in 8 bits."""
SAME_BOX = 0.9
"""IoU from which two boxes of one class count as the same."""
_SLACK = 1e-6


def parity(
    model: Detector,
    expected: Sequence[Outputs],
    got: Sequence[Outputs],
    *,
    real: bool = True,
    quantized: bool = False,
) -> GraphParity:
    """Predicted boxes compared: after suppression, at the thresholds, in pixels of the network's input.

    The difference is that of the sorted scores of all candidates, since candidates of equal scores may change their
    order, or of the embeddings, where that is larger; see `engine.parity.CheckParity`.
    """
    met = total = 0
    gap = 0.0
    for before, after in zip(expected, got, strict=True):
        for row in range(len(before["scores"])):
            first, second = (_predicted(model, each, row) for each in (before, after))
            met += _met(first, second) + _met(second, first)
            total += len(first) + len(second)
        sides = (np.sort(each["scores"].max(2), axis=1) for each in (before, after))
        gap = max(gap, float(np.abs(np.subtract(*sides)).max()))
        if "embedding" in before:
            gap = max(gap, float(np.abs(before["embedding"] - after["embedding"]).max()))
    same = met / total if total else 1.0
    of = f"{total // 2:,} boxes"
    if quantized:
        return GraphParity(same, gap, of, 1.0, same >= MIN_QUANTIZED, "score")
    enough = gap <= TOLERANCE and total - met <= max(2.0, (1 - MIN_AGREEMENT) * total) + _SLACK
    return GraphParity(same, gap, of, TOLERANCE, enough, "score")


def _predicted(model: Detector, outputs: Outputs, row: int) -> ScoredBoxes:
    return model.boxes({name: outputs[name][row] for name in ("boxes", "scores")}, model.preprocess.size)


def _met(some: ScoredBoxes, others: ScoredBoxes) -> int:
    """How many of some boxes another one of their class lies on."""
    same = some.labels[:, None] == others.labels[None]
    return int(((overlap(some.xyxy, others.xyxy) >= SAME_BOX) & same).any(1).sum())
