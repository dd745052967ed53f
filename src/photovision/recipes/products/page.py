"""The report of a search for products: how many of each, and the pictures with what was recognised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from photovision.core.boxes import draw_regions
from photovision.core.errors import UnreadableImage
from photovision.core.image import decode, to_array
from photovision.core.phrases import count
from photovision.core.regions import Detections
from photovision.core.report import Figure, Report, Table
from photovision.core.thumbnail import jpeg
from photovision.recipes.products.products import ShelfPicture

UNKNOWN = "not in the catalogue"
MAX_PICTURES = 20
"""Pictures that the page shows."""


def report(pictures: Sequence[ShelfPicture], problems: Sequence[str], catalogue: str, model: str) -> Report:
    """The report.

    Args:
        pictures: of shelves.
        problems: a line for each that could not be read.
        catalogue: name of the index.
        model: name of the detector.
    """
    totals: Counter[str] = sum((one.counts for one in pictures), Counter())
    objects = sum(len(one.products) for one in pictures)
    unknown = objects - sum(totals.values())
    sentence = (
        f"{count(objects, 'object')} in {count(len(pictures), 'picture')}: {objects - unknown:,} of"
        f" {count(len(totals), 'product')}, {unknown:,} {UNKNOWN}."
    )
    rows = tuple((name, number) for name, number in totals.most_common())
    return Report(
        "products",
        "Products on shelves",
        (sentence,),
        tables=[Table("Products", ("product", "objects"), rows)] if rows else [],
        figures=[figure for one in pictures[:MAX_PICTURES] if (figure := _figure(one)) is not None],
        warnings=list(problems),
        provenance={"catalogue": catalogue, "model": model, "at": datetime.now(UTC).isoformat(timespec="seconds")},
        data={"pictures": [one.to_json() for one in pictures]},
    )


def _figure(picture: ShelfPicture) -> Figure | None:
    """The picture with the names of its products; None where it cannot be read any more."""
    try:
        image = to_array(decode(picture.file))
    except UnreadableImage:
        return None
    names = [one.product or UNKNOWN for one in picture.products]
    classes = tuple(dict.fromkeys(names))
    boxes = np.array([one.box for one in picture.products], np.float32).reshape(-1, 4)
    found = Detections(boxes, np.array([classes.index(name) for name in names], np.int64), classes)
    return Figure(picture.file, pictures=((jpeg(draw_regions(image, found)), picture.file),), wide=True, first=True)
