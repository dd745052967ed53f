"""watch, with a model as people name it: its folder, its name, or none for the ready detector."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.progress import Listener, counted, visible
from photovision.core.regions import Detections
from photovision.core.suggest import did_you_mean
from photovision.core.types import Image
from photovision.engine.load import load_predicting
from photovision.engine.progress import narrated
from photovision.models.pretrained import ready
from photovision.runtime.model import OnnxModel
from photovision.video import watch as watching
from photovision.video.counting import Point
from photovision.video.watch import LOW, WatchRequest

Detect = Callable[[Sequence[Image]], Any]


@narrated
def watch(
    source: str | Path | int,
    model: Any = None,
    *,
    lines: Mapping[str, tuple[Point, Point]] | None = None,
    zones: Mapping[str, Sequence[Point]] | None = None,
    classes: Sequence[str] = (),
    threshold: float | None = None,
    events: str | Path | None = None,
    output: str | Path | None = None,
    every: int = 1,
    max_seconds: float | None = None,
    listener: Listener = visible,
) -> dict[str, Any]:
    """Follow objects through a video: count what crosses lines and stays in zones; Ctrl-C ends it with its summary.

    `photovision.video.watch.Watch` gives every frame with its objects and events, one by one.

    Args:
        source: a video, a folder of frames, the number of a camera, or an address such as rtsp://...
        model: a detector, its folder or its name; None: the ready one of 80 everyday things.
        lines: name -> its two points; zones: name -> its corners; x and y in pixels, or shares of the frame where all
            of a line or zone are at most 1.
        classes: that are followed; empty for all.
        threshold: score from which on an object is followed; None: the model's.
        events: JSON Lines to add events to.
        output: an MP4 to write, with what was seen drawn over it.
        every: every how many frames are looked at.
        max_seconds: of the video after which watching ends.
        listener: called with the progress; `photovision.silent` shows none.

    Returns:
        JSON-ready: frames, speed, tracks, counts by line and zone, and what went wrong.

    Raises:
        UsageError: a class that the model does not know, a line or zone that is none.
        DataError: the source cannot be read.
        ModelError: the model is no detector, or the weights of the ready one are not on this machine.
    """
    detector, high = tracking_detector(model, threshold)
    corners = {name: tuple(points) for name, points in (zones or {}).items()}
    ranges = detector.preprocess.value_ranges
    followed = known_classes(detector, tuple(classes))
    asked = WatchRequest(lines or {}, corners, followed, high, min(LOW, high), every, max_seconds, ranges=ranges)
    return watching.watch(
        source,
        predicting(detector),
        asked,
        events=None if events is None else Path(events),
        output=None if output is None else Path(output),
        progress=counted(listener, "watching"),
    )


def tracking_detector(model: Any, threshold: float | None) -> tuple[OnnxModel[Detections], float]:
    """The detector, which also gives doubtful objects, and the score from which on an object is followed."""
    detector = load_predicting(ready() if model is None else model, "boxes")
    high = float(np.median(detector.thresholds)) if threshold is None else threshold
    return detector.with_options(threshold=LOW), high


def predicting(detector: OnnxModel[Detections]) -> Detect:
    """A detector as `video.watch` asks it."""
    return lambda images: detector.predict(list(images))


def known_classes(detector: OnnxModel[Detections], classes: tuple[str, ...]) -> tuple[str, ...]:
    """The classes; raises UsageError where the model does not know one."""
    if strange := [name for name in classes if name not in detector.classes]:
        meant = did_you_mean(strange[0], detector.classes, f": {', '.join(detector.classes[:20])}")
        raise UsageError(f"'{strange[0]}' is not one of the model's classes{meant}")
    return classes
