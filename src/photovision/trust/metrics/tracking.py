"""How well objects keep their identity: MOTA, IDF1 and identity switches against annotated sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from photovision.core.errors import UsageError
from photovision.core.overlap import overlap
from photovision.core.regions import Detections
from photovision.core.report import Finding, Metric
from photovision.trust.metrics.statistics import bootstrap_sums

BLOCK = 25
"""Frames that are drawn together by the bootstrap: errors of neighbouring frames are those of the same objects."""


def score_tracks(
    truth: Sequence[Detections], found: Sequence[Detections], *, iou: float = 0.5, seed: int = 0
) -> Finding:
    """Compare tracks with annotated ones, frame by frame.

    MOTA is 1 - (missed + false + switches) / objects (CLEAR MOT, Bernardin & Stiefelhagen 2008); it falls below 0 where
    there are more errors than objects. IDF1 is 2 IDTP / (objects + tracked boxes) with every true identity matched to
    one track over the whole sequence (Ristani et al. 2016). A switch is an object that goes on under another number.

    Args:
        truth: objects of every frame with `track_ids`; their identities.
        found: tracked objects of the same frames with `track_ids`.
        iou: how much a box must overlap with the true one to count, above 0.
        seed: of the bootstrap over blocks of 25 frames, from which MOTA and IDF1 have their intervals; identities are
            matched once, over the whole sequence.

    Returns:
        A Finding with the metrics mota, idf1, identity_switches, missed, false_tracks (shares of objects and of boxes),
        and `data` {"switches": [{"frame", "object", "before", "after"}]}.

    Raises:
        UsageError: numbers of frames differ, identities are missing, or no object was annotated.
    """
    if len(truth) != len(found) or any(one.track_ids is None for one in (*truth, *found)):
        raise UsageError(
            f"tracks are compared frame by frame, with track_ids: got {len(truth)} annotated and {len(found)} tracked"
            " frames"
        )
    if not 0 < iou <= 1:
        raise UsageError(f"iou should be above 0 and at most 1, got {iou}")
    if not sum(map(len, truth)):
        raise UsageError("no object is annotated in any frame: there is nothing to compare tracks with")
    near = [overlap(true.boxes, seen.boxes) >= iou for true, seen in zip(truth, found, strict=True)]
    pairs, switches = _follow(truth, found, near)
    identity = _identities(truth, found, near)
    rows = np.zeros((len(truth), 5))  # objects, boxes, matches, switches, boxes with their identity
    for number, (true, seen, matched) in enumerate(zip(truth, found, pairs, strict=True)):
        rows[number, :3] = len(true), len(seen), len(matched)
        same = {(t, s) for t, s in zip(*np.nonzero(near[number]), strict=True)}
        rows[number, 4] = sum(identity.get(_ids(true)[t]) == _ids(seen)[s] for t, s in same)
    for switch in switches:
        rows[switch["frame"], 3] += 1
    return _finding(rows, switches, seed)


def _follow(
    truth: Sequence[Detections], found: Sequence[Detections], near: Sequence[Any]
) -> tuple[list[list[tuple[int, int]]], list[dict[str, int]]]:
    """Pairs (object, box) of every frame, those of the frame before kept where they still fit, and the switches."""
    last: dict[int, int] = {}
    pairs, switches = [], []
    for frame, (true, seen, fits) in enumerate(zip(truth, found, near, strict=True)):
        objects, tracks = _ids(true), _ids(seen)
        # Keeping a pair is worth more than any number of new ones, as CLEAR MOT wants.
        kept = np.array([[last.get(one) == track for track in tracks] for one in objects]).reshape(fits.shape)
        rows, columns = linear_sum_assignment(-(fits * (1.0 + kept * (1 + min(fits.shape)))))
        matched = [(r, c) for r, c in zip(rows.tolist(), columns.tolist(), strict=True) if fits[r, c]]
        for row, column in matched:
            before = last.get(objects[row])
            if before is not None and before != tracks[column]:
                switches.append({"frame": frame, "object": objects[row], "before": before, "after": tracks[column]})
            last[objects[row]] = tracks[column]
        pairs.append(matched)
    return pairs, switches


def _identities(truth: Sequence[Detections], found: Sequence[Detections], near: Sequence[Any]) -> dict[int, int]:
    """True identity -> the track that is it over the whole sequence, so that most boxes agree."""
    objects = sorted({one for true in truth for one in _ids(true)})
    tracks = sorted({one for seen in found for one in _ids(seen)})
    row_of, column_of = {one: i for i, one in enumerate(objects)}, {one: i for i, one in enumerate(tracks)}
    common = np.zeros((len(objects), len(tracks)))
    for true, seen, fits in zip(truth, found, near, strict=True):
        for t, s in zip(*np.nonzero(fits), strict=True):
            common[row_of[_ids(true)[t]], column_of[_ids(seen)[s]]] += 1
    rows, columns = linear_sum_assignment(-common)
    return {objects[r]: tracks[c] for r, c in zip(rows, columns, strict=True) if common[r, c]}


def _finding(rows: np.ndarray, switches: list[dict[str, int]], seed: int) -> Finding:
    edges = np.arange(0, len(rows), BLOCK)
    blocks = np.add.reduceat(rows, edges, axis=0)
    objects, boxes, matches, turned, _ = rows.sum(axis=0)
    estimates = bootstrap_sums(
        blocks,
        {
            "mota": lambda s: 1 - (s[:, 0] + s[:, 1] - 2 * s[:, 2] + s[:, 3]) / np.maximum(s[:, 0], 1),
            "idf1": lambda s: 2 * s[:, 4] / np.maximum(s[:, 0] + s[:, 1], 1),
        },
        seed=seed,
    )
    few = len(blocks) < 4  # an interval from one or two blocks would look sure and mean nothing
    count = int(objects)
    metrics = {
        name: Metric(value, None if few else low, None if few else high, count)
        for name, (value, low, high) in estimates.items()
    }
    metrics |= {
        "identity_switches": Metric(float(turned), None, None, count, ""),
        "missed": Metric(1 - matches / objects, None, None, count),
        "false_tracks": Metric(1 - matches / boxes if boxes else 0.0, None, None, int(boxes)),
    }
    return Finding(metrics=metrics, data={"switches": switches})


def _ids(one: Detections) -> list[int]:
    return [] if one.track_ids is None else one.track_ids.tolist()
