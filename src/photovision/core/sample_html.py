"""Samples for notebooks: a picture with what is known about it, large alone or small in a grid."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from photovision.core.boxes import draw_regions
from photovision.core.errors import PhotovisionError
from photovision.core.image import open_sample, to_array
from photovision.core.notebook import beside, grid, paragraph, picture, table, text
from photovision.core.pictured import SIDE, shrunk
from photovision.core.types import Image, Sample

TILE = 132
"""Pixels of a picture's side in a grid."""


def sample_html(sample: Sample) -> str:
    """The picture of a sample with its annotations, and what is known of it; a note where it cannot be read."""
    facts = [("id", sample.id), ("label", _label(sample)), *sorted(sample.groups.items())]
    if sample.annotations is not None:
        facts.append(("annotations", ", ".join(dict.fromkeys(sample.annotations.names)) or "none"))
    return beside(_shown(sample, SIDE), table((), facts, numbers=False))


def sample_grid(samples: Iterable[Sample]) -> str:
    """Small pictures of samples, with their annotations, their labels and their names below."""
    return grid((_shown(sample, TILE), f"<b>{text(_label(sample))}</b><br>{text(sample.id)}") for sample in samples)


def _shown(sample: Sample, side: int) -> str:
    try:
        return picture(_drawn(sample, side), _label(sample), side if side == TILE else None)
    except PhotovisionError as error:
        return paragraph(f"cannot be read: {error}")


def _drawn(sample: Sample, side: int) -> Image:
    """The picture of a sample, small, with its annotations; raises UnreadableImage, and DataError for a lost mask."""
    if sample.annotations is None:
        return shrunk(np.asarray(open_sample(sample, (side, side))), side)
    return draw_regions(to_array(open_sample(sample)), sample.annotations, side, names=side > TILE)


def _label(sample: Sample) -> str:
    return "unlabelled" if sample.target is None else ", ".join(sample.target) or "no class"
