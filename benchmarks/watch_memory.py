"""Memory of `watch` over a clip that is repeated for minutes, as live or as a file: does the resident set stay flat?

    python benchmarks/watch_memory.py CLIP [--minutes 30] [--film]

Plays the clip over and over into one pass of the ready detector, the tracker, a line, a zone, the event log and, with
--film, the annotated film, and samples the resident set every few seconds. The slope is that of a straight line through
the samples after the first fifth, in MB an hour. The film is written to the folder for temporary files.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np

from photovision.core.regions import Detections
from photovision.core.types import Image
from photovision.models.pretrained import ready
from photovision.runtime.bundle import read_bundle
from photovision.tasks.detect.detector import Detector
from photovision.video import reader as video
from photovision.video.sources import Picture, Stream
from photovision.video.watch import LOW, WatchRequest, watch


class Looped(Stream):
    """A file that begins again when it ends, until the time is up."""

    minutes = 1.0

    def pictures(self) -> Iterator[Picture]:
        """See `Source`."""
        ends, offset = time.monotonic() + 60 * self.minutes, 0.0
        while time.monotonic() < ends:
            last = 0.0
            for last, picture in super().pictures():
                yield offset + last, picture
                if time.monotonic() > ends:
                    return
            offset += last + 0.04
            self.reopen()


def resident() -> float:
    """The resident set of this process in MB (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def main() -> None:
    """Print samples and slope."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--film", action="store_true")
    asked = parser.parse_args()
    Looped.minutes = asked.minutes
    detector = Detector(read_bundle(ready()), threshold=LOW)
    samples: list[tuple[float, float]] = []
    began = time.monotonic()

    def detect(images: Sequence[Image]) -> list[Detections]:
        now = time.monotonic() - began
        if not samples or now - samples[-1][0] > min(5.0, asked.minutes):
            samples.append((now, resident()))
        return cast("list[Detections]", detector.predict(list(images)))

    wanted = WatchRequest({"line": ((0.5, 0), (0.5, 1))}, {"all": ((0, 0), (1, 0), (1, 1), (0, 1))}, high=0.25)
    # Only the end of the file is taken away; everything else is what the command runs.
    looped = mock.patch.object(video, "find_source", lambda source: Looped(str(source), live=False))
    with tempfile.TemporaryDirectory() as top, looped:
        film = Path(top) / "film.mp4" if asked.film else None
        found = watch(asked.clip, detect, wanted, events=Path(top) / "e.jsonl", record=Path(top) / "e.db", output=film)
    result: dict[str, Any] = {name: found[name] for name in ("frames", "seconds", "frames_per_second", "tracks")}
    every, later = np.array(samples), np.array(samples[len(samples) // 5 :])
    marks = [minute for minute in (0, 1, 5, 10, 20, 30, 60) if minute <= asked.minutes]
    nearest = {minute: int(np.abs(every[:, 0] - 60 * minute).argmin()) for minute in marks}
    result["resident_mb_at_minute"] = {minute: round(float(every[row, 1]), 1) for minute, row in nearest.items()}
    result["resident_mb"] = {"first": later[0, 1], "last": later[-1, 1], "peak": float(later[:, 1].max())}
    result["slope_mb_per_hour"] = float(np.polyfit(later[:, 0], later[:, 1], 1)[0] * 3600)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
