"""How predictions of a segmenter are printed and written: a line of text, cells of a table, files of masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.boxes import colour_of
from photovision.core.errors import DataError
from photovision.core.regions import Segmentation
from photovision.core.result import Size
from photovision.core.text import printable
from photovision.tasks.segment.segmenter import Segmenter


class AreaLines:
    """Areas of the classes, the largest first, and how many objects there are."""

    frames = False
    columns = ("label", "area", "objects", "height", "width")

    def __init__(self, model: Segmenter, top: int) -> None: ...

    def text(self, file: str, value: Segmentation) -> str:
        """One line; `file` is printable."""
        physical = value.areas_mm2() or {}
        mm2 = {name: f" ({area:,.1f} mm2)" for name, area in physical.items()}
        shown = ", ".join(f"{printable(name)} {100 * share:.1f}%{mm2.get(name, '')}" for name, share in _areas(value))
        objects = "" if value.objects is None else f"  {len(value.objects):,} objects"
        return f"{file}{objects}  {shown}"

    def rows(self, value: Segmentation, size: Size) -> list[list[Any]]:
        """Cells of `columns`, a row for each class that occurs."""
        objects = "" if value.objects is None else len(value.objects)
        return [[name, f"{share:.6f}", objects, *size] for name, share in _areas(value)]


def _areas(value: Segmentation) -> list[tuple[str, float]]:
    return sorted(value.areas().items(), key=lambda pair: -pair[1])


def files(model: Segmenter, value: Segmentation) -> dict[str, Pillow.Image]:
    """Masks of an image: "" -> indexed, whose values are the numbers of the classes; with separate objects also
    "objects" -> 16 bits, a number for every object. Raises DataError for more objects than that.
    """
    mask = Pillow.fromarray(value.labels.astype(np.uint8))
    mask.putpalette([tone for label in range(256) for tone in colour_of(label)])
    if value.instance_map is None:
        return {"": mask}
    if int(value.instance_map.max()) > np.iinfo(np.uint16).max:
        raise DataError("an image holds more than 65,535 objects, which a mask of 16 bits cannot number")
    return {"": mask, "objects": Pillow.fromarray(value.instance_map.astype(np.uint16))}
