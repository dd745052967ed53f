"""Cut out on the local page: click an object, get its mask; the picture is looked at once, every click is quick.

A few pictures are held while they are worked on, in memory only.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, Field

from photovision.app.web.recognise import Content
from photovision.core import page_layers as layers
from photovision.core.errors import PhotovisionError, UsageError

if TYPE_CHECKING:
    from photovision.core.regions import Mask
    from photovision.core.types import Image

HELD = 2
"""Pictures that are held at once: one a tab, and the one before."""


class Prompt(BaseModel):
    """Where the object is, in pixels of the picture: points x, y in it (or not of it), a box x1, y1, x2, y2."""

    picture: int
    points: list[tuple[float, float]] = Field([], max_length=256)
    positive: list[bool] = Field([], max_length=256)
    box: tuple[float, float, float, float] | None = None


@dataclass(eq=False)
class EncodedImage:
    """A picture that is worked on.

    Attributes:
        image: uint8 RGB (H, W, 3), upright.
        embedding: what the network saw of it.
        cut: the latest mask.
    """

    image: Image
    embedding: Any
    cut: Mask | None = None


class ImageTable:
    """The cutter, opened at first use, and the pictures that it is at work on."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._numbers = itertools.count(1)
        self._held: OrderedDict[int, EncodedImage] = OrderedDict()
        self._cutter: Any = None

    def cutter(self) -> Any:
        """The prompted segmenter; raises ModelError, which says how to get it."""
        from photovision.engine.load import load
        from photovision.models.pretrained import ready

        if self._cutter is None:
            self._cutter = load(ready("mobilesam"))
        return self._cutter

    def lay(self, content: bytes) -> tuple[int, EncodedImage]:
        """Look at a picture; gives its number. Raises UnreadableImage or ModelError."""
        from photovision.core.image import decode, to_array

        image = to_array(decode(content))
        with self._guard:
            held = EncodedImage(image, self.cutter().embed(image))
            number = next(self._numbers)
            self._held[number] = held
            while len(self._held) > HELD:
                self._held.popitem(last=False)
        return number, held

    def cut(self, prompt: Prompt) -> Mask:
        """The mask of what a prompt means."""
        held = self.of(prompt.picture)
        points = np.array(prompt.points, np.float32).reshape(-1, 2)
        with self._guard:
            cut: Mask = self.cutter().cut(held.embedding, points, np.array(prompt.positive, bool), prompt.box)
            held.cut = cut
            return cut

    def of(self, number: int) -> EncodedImage:
        """The picture of that number; raises UsageError where others took its place."""
        if number not in self._held:
            raise UsageError("this picture is not held any more: open it again")
        return self._held[number]


def routes(state: object) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/cut")
    table = ImageTable()

    @router.get("/ready")
    def ready() -> dict[str, Any]:
        """Whether there is a cutter, else how to get one."""
        try:
            table.cutter()
        except PhotovisionError as error:
            return {"ready": False, "reason": str(error)}
        return {"ready": True, "reason": None}

    @router.post("/open")
    def opened(picture: Content) -> dict[str, Any]:
        """Look at a picture."""
        number, held = table.lay(picture)
        return {"picture": number, "size": list(held.image.shape[:2])}

    @router.post("/mask")
    def mask(prompt: Prompt) -> dict[str, Any]:
        """The mask of what a prompt means, its score, and its share of the picture."""
        cut = table.cut(prompt)
        step = max(1, -(-max(cut.mask.shape) // layers.LARGEST))
        shown = np.where(cut.mask[::step, ::step], np.uint8(255), np.uint8(0))
        return {
            "mask": layers.as_url(layers.png(shown)),
            "score": round(cut.score, 4),
            "share": float(cut.mask.mean()),
            "pixels": int(cut.mask.sum()),
        }

    @router.get("/file")
    def file(picture: int, kind: Literal["mask", "object"]) -> Response:
        """The latest mask as black and white PNG, or the object alone on a clear ground."""
        return Response(file_of(table.of(picture), kind), media_type="image/png")

    return router


def file_of(held: EncodedImage, kind: str) -> bytes:
    """The PNG of the mask, uint8 0 or 255 (H, W), or of the object, RGBA, no larger than it is.

    Raises UsageError where nothing was cut out yet.
    """
    if held.cut is None or not held.cut.mask.any():
        raise UsageError("nothing is cut out yet: click an object")
    mask = np.where(held.cut.mask, np.uint8(255), np.uint8(0))
    if kind == "mask":
        return layers.png(mask)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    part = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return layers.png(np.dstack([held.image[part], mask[part]]))
