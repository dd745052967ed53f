"""Visual search of products: what a detector finds on a shelf is searched for in an index of a catalogue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.progress import ProgressCallback
from photovision.core.types import Floats
from photovision.recipes.shelf.shelf import Looker
from photovision.recipes.shelf.visits import AlignedView
from photovision.retrieval.index import FoundPicture, Index

MARGIN = 0.05
"""Share of a box's sides that is cut out around it: a picture of a product shows a little of what is beside it."""
TOP = 3
"""Pictures of the catalogue that are named for an object."""
_LEAST = 8  # pixels of a side, below which nothing can be recognised


@dataclass(frozen=True, eq=False)
class ShelfProduct:
    """An object on a shelf, and what it is in the catalogue.

    Attributes:
        box: float32 (4,), xyxy in pixels of the picture.
        label: its class, as the detector names it.
        score: of the detector.
        product: the name of the most similar picture's product; None where nothing in the catalogue is like it.
        results: of the search, best first.
    """

    box: Floats
    label: str
    score: float
    product: str | None
    results: tuple[FoundPicture, ...]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "xyxy": [round(float(side), 1) for side in self.box],
            "label": self.label,
            "score": round(self.score, 4),
            "product": self.product,
            "results": [one.to_json() for one in self.results],
        }


@dataclass(frozen=True, eq=False)
class ShelfPicture:
    """A picture of a shelf with the products in it."""

    file: str
    products: tuple[ShelfProduct, ...]

    @property
    def counts(self) -> Counter[str]:
        """Product -> how many of it."""
        return Counter(one.product for one in self.products if one.product is not None)

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "file": self.file,
            "counts": dict(self.counts.most_common()),
            "objects": [one.to_json() for one in self.products],
        }


def find_products(
    catalogue: Index, looker: Looker, files: Iterable[str], progress: ProgressCallback | None = None
) -> tuple[list[ShelfPicture], list[str]]:
    """Recognise what stands on shelves.

    Args:
        catalogue: an index of pictures of products, a folder for each product or a picture each.
        looker: the detector.
        files: pictures of shelves.
        progress: called with (pictures done, pictures).

    Returns:
        the pictures with their products, and a line for each that cannot be read.

    Raises:
        DataError: none can be read.
    """
    views, problems = looker.views(files, progress)
    return [identify(catalogue, view) for view in views], problems


def identify(catalogue: Index, view: AlignedView) -> ShelfPicture:
    """Search the catalogue for every object of a picture that the detector is sure enough of."""
    picture, found = Pillow.fromarray(view.image), view.found
    rows = np.flatnonzero(view.shown).tolist()
    parts = [_cut(picture, found.boxes[row]) for row in rows]
    searched = [part for part in parts if part is not None]
    results = iter(catalogue.similar(searched, TOP) if searched else [])
    products = []
    for row, part in zip(rows, parts, strict=True):
        near = next(results) if part is not None else ()
        score = 0.0 if found.scores is None else float(found.scores[row])
        name = product_of(near[0].file, catalogue.folder) if near else None
        products.append(ShelfProduct(found.boxes[row], found.names[row], score, name, near))
    return ShelfPicture(view.file, tuple(products))


def product_of(file: str, folder: Path) -> str:
    """The product that a picture of the catalogue shows: its folder, or its own name where it lies in none.

    Example:
        >>> product_of("/shop/tea/green/1.jpg", Path("/shop")), product_of("/shop/oats.jpg", Path("/shop"))
        ('tea/green', 'oats')
    """
    place = PurePath(file).relative_to(folder)
    return place.parent.as_posix() if len(place.parts) > 1 else place.stem


def _cut(picture: Pillow.Image, box: Floats) -> Pillow.Image | None:
    """A box with its margin, as far as it lies in the picture; None where too little of it does."""
    left, top, right, bottom = (float(side) for side in box)
    across, down = MARGIN * (right - left), MARGIN * (bottom - top)
    sides = max(0, int(left - across)), max(0, int(top - down))
    ends = min(picture.width, round(right + across)), min(picture.height, round(bottom + down))
    if min(ends[0] - sides[0], ends[1] - sides[1]) < _LEAST:
        return None
    return picture.crop((*sides, *ends))
