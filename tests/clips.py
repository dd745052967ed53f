"""Small videos for tests: bright discs of three colours that move over a shaded ground."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from photovision.core.regions import Detections

COLOURS = {"red": (230, 40, 40), "green": (40, 220, 60), "blue": (50, 70, 240)}
CLASSES = tuple(COLOURS)
Path2 = Callable[[float], tuple[float, float] | None]
"""From the frame's number to the centre of a disc, None where it cannot be seen."""


def draw(discs: Iterable[tuple[int, tuple[float, float]]], size: tuple[int, int] = (96, 128), radius: int = 8) -> Any:
    """A picture uint8 (H, W, 3) with discs (class, (x, y)), the later ones in front."""
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
    picture = np.stack([60 + rows * 0.3, 70 + columns * 0.2, 65 + rows * 0.1], axis=-1)
    for kind, (x, y) in discs:
        picture[(columns - x) ** 2 + (rows - y) ** 2 <= radius**2] = COLOURS[CLASSES[kind]]
    return picture.astype(np.uint8)


def moving(paths: Sequence[tuple[int, Path2]], count: int, size: tuple[int, int] = (96, 128)) -> list[Any]:
    """Pictures of discs (class, path) over `count` frames."""
    return [draw([(kind, at) for kind, path in paths if (at := path(i)) is not None], size) for i in range(count)]


def write(path: Path, pictures: Iterable[Any], codec: str = "mpeg4", rate: int = 25, **options: Any) -> Path:
    """Encode pictures; options: gap (seconds between frames), rotation (degrees), format."""
    with av.open(str(path), "w", format=options.get("format")) as container:
        stream: Any = None
        for number, picture in enumerate(pictures):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options={"g": "5"})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = {"mjpeg": "yuvj420p", "ffv1": "yuv444p"}.get(codec, "yuv420p")
                stream.bit_rate = 2_000_000
                if "gap" in options:
                    stream.time_base = stream.codec_context.time_base = Fraction(1, 1)
                if "rotation" in options:
                    stream.set_display_rotation(options["rotation"])
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number * options.get("gap", 1)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def blobs(pictures: Sequence[Any]) -> list[Detections]:
    """A real if simple detector: connected areas of the three colours. One detection list a picture."""
    return [_blobs(picture) for picture in pictures]


def _blobs(picture: Any) -> Detections:
    from scipy import ndimage

    boxes, labels = [], []
    for label, colour in enumerate(COLOURS.values()):
        near = np.abs(picture.astype(int) - colour).sum(-1) < 130
        areas, _ = ndimage.label(near)
        for rows, columns in ndimage.find_objects(areas):
            if (rows.stop - rows.start) * (columns.stop - columns.start) >= 40:
                boxes.append((columns.start, rows.start, columns.stop, rows.stop))
                labels.append(label)
    return Detections(
        np.array(boxes, dtype=np.float32).reshape(-1, 4),
        np.array(labels, dtype=np.int64),
        CLASSES,
        np.full(len(labels), 0.9, dtype=np.float32),
    )
