"""cut: the object at places of a picture, by a prompted segmenter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from photovision.core.inputs import Given, as_pixels, as_source
from photovision.core.regions import Mask
from photovision.models.pretrained import ready
from photovision.tasks.cut.prompted_segmenter import Cutter

Point = tuple[float, float]


def cut(
    image: Given,
    points: Sequence[Point] = (),
    *,
    outside: Sequence[Point] = (),
    box: tuple[float, float, float, float] | None = None,
    model: Cutter | str | Path | None = None,
) -> Mask:
    """Find the object at these places of a picture.

    `Cutter.embed` and `Cutter.cut` ask about several objects of one picture without looking at it again.

    Args:
        image: as `photovision.core.inputs.as_source` takes it.
        points: x, y in pixels, places in the object.
        outside: places that are not of the object.
        box: x1, y1, x2, y2 in pixels around the object.
        model: an opened prompted segmenter, or its folder; None: MobileSAM.

    Raises:
        UsageError: neither points nor a box, or places outside of the picture.
        ModelError: another kind of model, or the weights of MobileSAM are not on this machine.
        UnreadableImage: the picture cannot be decoded.
    """
    cutter = model if isinstance(model, Cutter) else Cutter.open(ready("mobilesam") if model is None else model)
    places = np.array([*points, *outside], dtype=np.float32).reshape(-1, 2)
    inside = np.arange(len(places)) < len(points)
    found = cutter.cut(cutter.embed(as_pixels(image)), places, inside, box)
    return found.with_picture(as_source(image))
