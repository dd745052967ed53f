"""Does a detector's exported graph find the same boxes as the network it came from?"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from photovision.core.errors import ExportError
from photovision.core.overlap import overlap
from photovision.core.types import Image
from photovision.models.detector import BoxDecider
from photovision.models.export import TOLERANCE, Parity
from photovision.runtime.session import fastest_precision, open_session

MIN_ALIKE = 0.97
"""Least share of boxes that reduced precision finds, too: places of nearly equal scores change their order."""
_SEEN, _OVERLAP, _CLOSE = 0.2, 0.9, 0.1  # scores that are compared; what counts as the same box in reduced precision
_CORNER = 0.05  # pixels by which a corner may differ in float32
_RANKED = 0.1  # share of pictures in which rounding may change a rank
_BATCH = 8


@torch.no_grad()
def check_boxes(decider: BoxDecider, graph: Path, images: Image, *, ranked: bool = False) -> Parity:
    """Compare a graph with its network on uint8 pictures (N, H, W, 3).

    Args:
        decider: the network.
        graph: its graph.
        images: to compare them on.
        ranked: whether the network chooses what it looks at by rank, as those with queries do. Where two scores are
            equal but for rounding, another choice changes what it says; a tenth of the pictures may then differ, as
            long as nearly all boxes are the same.

    Returns:
        As `models.export.check_parity`; the agreement is the share of boxes with scores of 0.2 and more that the graph
        finds, too, in the arithmetic used here.

    Raises:
        ExportError: a score or a number of an embedding differs by more than TOLERANCE, or a corner by more than a
            twentieth of a pixel.
    """
    decider.eval()
    parts = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    expected = [tuple(value.numpy() for value in decider(torch.from_numpy(part))) for part in parts]

    def answers(precision: str) -> list[tuple[np.ndarray, ...]]:
        session = open_session(graph, precision="bf16" if precision == "bf16" else "f32")
        return [tuple(got[name] for name in decider.outputs) for got in map(session.run, parts)]

    exact = answers("f32")
    apart = _apart(expected, exact)
    difference, corner = apart.max(0).tolist()
    off, alike = int(((apart > (TOLERANCE, _CORNER)) | np.isnan(apart)).any(1).sum()), _alike(expected, exact)
    if off > (max(1.0, _RANKED * len(images)) if ranked else 0) or (off and alike < MIN_ALIKE):
        raise ExportError(
            f"the exported graph does not find what the network finds: a score differs by {difference:.2g}, a corner by"
            f" {corner:.2g} pixels, on {off} of {len(images)} pictures; choose another backbone and report this"
        )
    precision = None
    if fastest_precision() != "f32":
        alike = _alike(expected, answers(fastest_precision()))
        if alike < MIN_ALIKE:
            alike, precision = 1.0, "f32"
    return Parity(len(images), difference, alike, precision, TOLERANCE)


def _apart(expected: list[tuple[np.ndarray, ...]], got: list[tuple[np.ndarray, ...]]) -> np.ndarray:
    """float (N, 2): of every picture the largest difference of a score or of a number of its embedding, and of a corner
    of a box worth looking at."""
    apart = []
    for (boxes, scores, embedding), (boxes_, scores_, embedding_) in zip(expected, got, strict=True):
        # Places of equal scores may change their order, so sorted scores are compared, and boxes with the nearest ones.
        score = np.abs(np.sort(scores.max(2)) - np.sort(scores_.max(2))).max(1)
        score = np.maximum(score, np.abs(embedding - embedding_).max(1))
        for box, one, box_, difference in zip(boxes, scores, boxes_, score, strict=True):
            seen = box[one.max(1) >= _SEEN]
            corner = float(np.abs(seen[:, None] - box_[None]).max(2).min(1).max()) if len(seen) else 0.0
            apart.append((float(difference), corner))
    return np.array(apart)


def _alike(expected: list[tuple[np.ndarray, ...]], got: list[tuple[np.ndarray, ...]]) -> float:
    found = total = 0
    for (boxes, scores, _), (boxes_, scores_, _) in zip(expected, got, strict=True):
        for box, one, box_, one_ in zip(boxes, scores, boxes_, scores_, strict=True):
            rows, labels = np.nonzero(one >= _SEEN)
            same = overlap(box[rows], box_) >= _OVERLAP
            near = np.abs(one[rows, labels][:, None] - one_[:, labels].T) <= _CLOSE
            found += int((same & near).any(1).sum())
            total += len(rows)
    return found / total if total else 1.0
