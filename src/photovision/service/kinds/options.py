"""Options: what a request may ask for beside its pictures, and which values are taken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from photovision.service.http_error import Refusal

LEAST_TILE, MOST_TILE = 32, 8192
_TILE = r"^[1-9][0-9]{1,3}(x[1-9][0-9]{1,3})?$"
MASKS = ("none", "png", "rle")

OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "top": (
        "Of a classifier: classes to name.",
        {"type": "integer", "minimum": 1, "maximum": 1000, "default": 5},
    ),
    "threshold": (
        "Of a detector: least score of a box; default: the model's, one a class.",
        {"type": "number", "minimum": 0, "maximum": 1},
    ),
    "tile": (
        "Of a detector: look through overlapping windows of H or HxW pixels, too, for small objects in big pictures;"
        f" of a segmenter: the windows that it looks through. {LEAST_TILE} to {MOST_TILE}.",
        {"type": "string", "pattern": _TILE},
    ),
    "masks": (
        "Of a segmenter: the masks, as PNG files in base64 or as COCO's run lengths.",
        {"type": "string", "enum": list(MASKS), "default": "none"},
    ),
}
"""Name -> (meaning, JSON schema)."""


def top(options: Mapping[str, str]) -> int:
    """How many classes to name."""
    text = options.get("top", "5")
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= 1000):
        raise _wrong("'top' should be a whole number from 1 to 1000")
    return int(text)


def threshold(options: Mapping[str, str]) -> float | None:
    """The least score of a box; None for the model's own."""
    text = options.get("threshold")
    if text is None:
        return None
    try:
        value = float(text[:32])
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise _wrong("'threshold' should be a number from 0 to 1")
    return value


def tile(options: Mapping[str, str]) -> tuple[int, int] | None:
    """(H, W) of windows; None for the model's own way."""
    text = options.get("tile")
    if text is None:
        return None
    sides = [int(side) for side in text.split("x")] if re.fullmatch(_TILE, text, re.ASCII) else [0]
    if not all(LEAST_TILE <= side <= MOST_TILE for side in sides):
        raise _wrong(f"'tile' should be H or HxW in pixels, such as 640 or 480x640, each {LEAST_TILE} to {MOST_TILE}")
    return sides[0], sides[-1]


def masks(options: Mapping[str, str]) -> str:
    """In which form masks are wanted."""
    text = options.get("masks", MASKS[0])
    if text not in MASKS:
        raise _wrong(f"'masks' should be {', '.join(MASKS[:-1])} or {MASKS[-1]}")
    return text


def _wrong(message: str) -> Refusal:
    return Refusal(422, message, "parameter")
