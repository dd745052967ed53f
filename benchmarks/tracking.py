"""Line counts of the ready detector and the tracker against counts by hand, frames a second end to end, and switches.

    python benchmarks/tracking.py CLIP... [--repeat 3]

CLIP: bottle-detection.mp4, car-detection.mp4 (sample-videos, CC BY 4.0) and vtest.avi (Debian's opencv-doc).

The counts by hand were made by looking at contact sheets of the frames, every 4th (people) or every 10th (cars) with
the line drawn in, every 20th (bottles) without it, before any tracker had run: an object counts when the middle of its
body passes the line between its two points. Directions are those of a walk from the line's first point to its second.

The annotated sequences for MOTA, IDF1 and switches are drawn scenes, whose truth is known (see `scenes`): discs that
cross, hide each other, vanish and come back, with boxes that jitter, are missed and are found where nothing is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from photovision.core.regions import Detections
from photovision.core.system import cores
from photovision.core.types import Image
from photovision.models.pretrained import ready
from photovision.runtime.bundle import read_bundle
from photovision.tasks.detect.detector import Detector
from photovision.trust.metrics.tracking import score_tracks
from photovision.video.tracker import ObjectTracker
from photovision.video.watch import LOW, WatchRequest, watch


class Count(NamedTuple):
    """A line in pixels, the classes that count (all if empty), and how many went to its left and right by hand."""

    line: tuple[tuple[float, float], tuple[float, float]]
    classes: tuple[str, ...]
    left: int
    right: int


BY_HAND = {
    # Cars: frames 57-100 white up; 183-225 green down; 188-235 red up; 318-345 white one down. A line across.
    # Of any class: seen from straight above, a detector of COCO's classes calls most of them cell phones.
    "car-detection.mp4": Count(((0, 216), (768, 216)), (), 2, 2),
    # Bottles lifted out (left): 205-215 left one, 520-535 left and middle one, 945-958 right one. Put in (right):
    # 335-360 left one, 655-680 middle one, 815-835 left one, 1035-1065 right one. A line across above their middles.
    "bottle-detection.mp4": Count(((0, 140), (640, 140)), ("bottle",), 4, 4),
    # People on the road to the right, a line down at x = 690 below y = 200. Westward (right) at frames 23, 28, 51, 122,
    # 140, 230, 239, 432, 470, 518, 581, 661, 702; eastward (left) at 139, 193, 342, 352, 382, 395, 513, 601.
    "vtest.avi": Count(((690, 200), (690, 440)), ("person",), 8, 13),
}


HALF = np.array([15, 30], dtype=np.float32)
"""Half the size of the objects in the drawn scenes, x and y in pixels."""


def scenes(seeds: int = 5, frames: int = 200) -> Iterator[tuple[list[Detections], list[Detections]]]:
    """Truth, and what a detector could say: 8 objects of 30 x 60 px on straight ways through 640 x 480."""
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        start, speed = rng.uniform(0, (640, 480), (8, 2)), rng.normal(0, 3, (8, 2))
        begin, end = rng.integers(0, 60, 8), rng.integers(120, frames, 8)
        truth, said = [], []
        for i in range(frames):
            there = np.flatnonzero((begin <= i) & (i < end))
            middle = start[there] + speed[there] * (i - begin[there])[:, None]
            boxes = np.concatenate([middle - HALF, middle + HALF], 1).astype(np.float32)
            labels = np.zeros(len(there), dtype=np.int64)
            truth.append(Detections(boxes, labels, ("person",), track_ids=there + 1))
            seen = rng.random(len(there)) > 0.1
            found = boxes[seen] + rng.normal(0, 1.5, (int(seen.sum()), 4)).astype(np.float32)
            false = rng.uniform(0, 400, (int(rng.poisson(0.2)), 2)).astype(np.float32)
            every = np.concatenate([found, np.concatenate([false, false + 2 * HALF], 1)]).astype(np.float32)
            scores = np.concatenate([rng.uniform(0.3, 0.95, len(found)), rng.uniform(0.1, 0.5, len(false))])
            said.append(Detections(every, np.zeros(len(every), np.int64), ("person",), scores.astype(np.float32)))
        yield truth, said


def synthetic() -> dict[str, Any]:
    """Figures over the drawn scenes together."""
    truth: list[Detections] = []
    found: list[Detections] = []
    for number, (true, said) in enumerate(scenes()):
        tracker = ObjectTracker(high=0.4, new=0.4)
        for one, objects in zip(said, true, strict=True):
            tracked = tracker.update(one)
            truth.append(_apart(objects, number))
            found.append(_apart(tracked, number))
    return {name: metric.to_json() for name, metric in score_tracks(truth, found).metrics.items()}


def _apart(one: Detections, scene: int) -> Detections:
    ids = np.zeros(0, dtype=np.int64) if one.track_ids is None else one.track_ids
    return Detections(one.boxes, one.labels, one.classes, track_ids=ids + 10_000 * scene)


def _predict(detector: Detector) -> Callable[[Sequence[Image]], list[Detections]]:
    return lambda images: cast("list[Detections]", detector.predict(list(images)))


def main() -> None:
    """Print counts beside those by hand, speed, and the figures of the drawn scenes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    result: dict[str, Any] = {"cores": cores(), "synthetic": synthetic(), "clips": {}}
    bundle = read_bundle(ready()) if asked.clips else None
    for clip in asked.clips:
        assert bundle is not None
        detector = Detector(bundle, threshold=LOW)
        high = float(np.median(Detector(bundle).thresholds))
        hand = BY_HAND[clip.name]
        wanted = WatchRequest({"line": hand.line}, classes=hand.classes, high=high)
        runs = [watch(clip, _predict(detector), wanted) for _ in range(asked.repeat)]
        counted = runs[0]["lines"]["line"]
        result["clips"][clip.name] = {
            "left": counted["left"],
            "right": counted["right"],
            "by_hand": {"left": hand.left, "right": hand.right},
            "tracks": runs[0]["tracks"],
            "frames": runs[0]["frames"],
            "frames_per_second": [run["frames_per_second"] for run in runs],
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
