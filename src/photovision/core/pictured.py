"""Pictured: a prediction that knows the picture that it is of, so that a notebook shows both."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from photovision.core.errors import PhotovisionError

if TYPE_CHECKING:
    from photovision.core.inputs import Source
    from photovision.core.types import Image

SIDE = 360
"""Pixels of the longer side of a picture that is shown with its prediction."""


@dataclass(frozen=True, eq=False)
class Pictured:
    """Base of predictions.

    Attributes:
        picture: what it is of: a path, the content of a file or uint8 RGB (H, W, 3); None where nobody kept it, as in
            predictions for many arrays, which would fill the memory.
    """

    picture: Source | None = field(default=None, kw_only=True, repr=False)

    def with_picture(self, picture: Source | None) -> Self:
        """The same prediction with its picture."""
        return replace(self, picture=picture)

    def drawn(self, image: Image, side: int = SIDE) -> Image:
        """The prediction drawn over its picture, uint8 RGB; one that is about the whole picture draws nothing.

        Args:
            image: uint8 RGB (H, W, 3), the whole upright picture.
            side: of the longer side of what is returned, in pixels.
        """
        return shrunk(image, side)

    def html_facts(self) -> str:
        """What is shown beside the picture, as HTML."""
        return ""

    def html_picture(self, side: int = SIDE) -> str:
        """The picture with its prediction as HTML, "" where it is not known or cannot be read any more."""
        from photovision.core.inputs import as_pixels
        from photovision.core.notebook import picture

        if self.picture is None:
            return ""
        try:
            return picture(self.drawn(as_pixels(self.picture), side), "the picture with its prediction")
        except PhotovisionError:
            return ""

    def _repr_html_(self) -> str:
        """The picture with its prediction, for notebooks."""
        from photovision.core.notebook import beside

        shown = self.html_picture()
        return beside(shown, self.html_facts()) if shown else self.html_facts()


def shrunk(image: Image, side: int) -> Image:
    """The image at most `side` pixels long: uint8 RGB (h, w, 3)."""
    from PIL import Image as Pillow

    small = Pillow.fromarray(np.ascontiguousarray(image))
    small.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    return np.asarray(small)
