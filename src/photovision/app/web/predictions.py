"""What a model of any task predicts for an image, as the page shows it: its task gives the form, see `Task.page`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from photovision.core.boxes import colour_of
from photovision.core.regions import Detections, Regions
from photovision.runtime.model import OnnxModel


def answer(model: OnnxModel[Any], source: bytes | Path) -> dict[str, Any]:
    """What a model predicts, with its "task"; `{"error": reason}` of a file that is no picture."""
    row = model.bundle.row
    (result,) = model.results([source])
    if result.value is None:
        return {"error": str(result.error)}
    return {"task": row.name, **row.part("page")(model, result.value, result.size)}


def colours(count: int) -> list[str]:
    """The colour of each class, "#rrggbb", as all pictures that Photovision draws have them."""
    return ["#{:02x}{:02x}{:02x}".format(*colour_of(label)) for label in range(count)]


def counted(regions: Regions | None) -> dict[str, int] | None:
    """Class -> objects of it in one picture, the commonest first; None where objects are not separated."""
    return dict(Counter(regions.names).most_common()) if isinstance(regions, Detections) else None
