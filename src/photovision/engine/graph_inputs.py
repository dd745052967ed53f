"""Images as a model's graph sees them, for calibrating and comparing graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.inputs import Source
from photovision.core.types import Image
from photovision.data.dataset import Dataset


def evenly(n: int, max_count: int) -> list[int]:
    """At most `max_count` positions of N, evenly spread."""
    return sorted({int(position) for position in np.linspace(0, n - 1, min(max_count, n))})


def graph_inputs(model: Any, images: Dataset | Sequence[Source], max_count: int) -> Image:
    """Evenly spread images as the graph sees them, uint8 (N, H, W, 3); unreadable ones are left out.

    Args:
        model: an opened model; of one that works on tiles, the middle tile of each image.
        images: a data set, or images.
        max_count: how many at most.

    Raises:
        DataError: none could be read.
    """
    sources = [sample.image for sample in images.samples] if isinstance(images, Dataset) else list(images)
    found: list[Image] = []
    problems: list[UnreadableImage] = []
    for position in evenly(len(sources), max_count):
        try:
            found.append(_input(model, sources[position]))
        except UnreadableImage as problem:
            problems.append(problem)
    if not found:
        first = f": {problems[0]}" if problems else ""
        raise DataError(f"none of the images can be used{first}")
    return np.stack(found)


def _input(model: Any, source: Source) -> Image:
    tile = getattr(model, "tile", None)
    if tile is None:
        whole: Image = model.input_of(source)[0]
        return whole
    picture = model.preprocess.decode(source)
    width, height = min(tile[1], picture.width), min(tile[0], picture.height)
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    resized: Image = model.preprocess.resize(picture, (left, top, left + width, top + height))
    return resized
