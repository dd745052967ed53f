"""PNG: its chunks, bounded in number, and pixels of 16 bits, of whose colours Pillow keeps 8."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from photovision.core.errors import UnreadableImage

_MAX_CHUNKS = 20_000
_ROWS = 1 << 20
GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6


def chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """The kind of every chunk (W3C PNG, section 5), with where its content begins and its length, up to the last.

    Raises UnreadableImage where there are far more than any encoder writes for so many bytes.
    """
    stream.seek(0, os.SEEK_END)
    most = _MAX_CHUNKS + stream.tell() // 2048
    at = 8
    for _ in range(most):
        stream.seek(at)
        head = stream.read(8)
        if len(head) < 8:  # cut short: the decoder says so
            return
        length, kind = struct.unpack(">I4s", head)
        yield kind, at + 8, length
        if kind == b"IEND":
            return
        at += length + 12
    raise too_many("chunks")


def too_many(parts: str) -> UnreadableImage:
    """The refusal of a file that is made of more parts than honest ones are."""
    return UnreadableImage(f"cannot be decoded: it has far more {parts} than any usual program writes")


def deep(stream: BinaryIO) -> int | None:
    """The colour type of a PNG of 16 bits a sample, one of the four above; None for others."""
    stream.seek(24)
    bits, colour = stream.read(2)
    stream.seek(0)
    return colour if bits == 16 else None


def deep_blocks(stream: BinaryIO, colour: int) -> Iterator[tuple[int, int, npt.NDArray[Any]]]:
    """Top, left and values, uint16 (h, W, bands), of bands of a picture of 16 bits a sample."""
    if colour == GREY_ALPHA:  # four bytes a pixel, as in RGBA
        parts = [_loaded(stream, "RGBA")]
    else:  # once for the upper byte of every sample and once for the lower one
        name = "RGB" if colour == RGB else "RGBA"
        parts = [_loaded(stream, f"{name};16B"), _loaded(stream, f"{name};16L")]
    width, height = parts[0].size
    rows = max(1, _ROWS // width)
    for top in range(0, height, rows):
        bands = [np.asarray(part.crop((0, top, width, min(height, top + rows)))).astype(np.uint16) for part in parts]
        if colour == GREY_ALPHA:
            yield top, 0, bands[0][..., ::2] << 8 | bands[0][..., 1::2]
        else:
            yield top, 0, bands[0] << 8 | bands[1]


def _loaded(stream: BinaryIO, raw: str) -> Pillow.Image:
    """The picture, its bytes unpacked in another way than Pillow would."""
    stream.seek(0)
    picture = Pillow.open(stream, formats=("PNG",))
    picture.tile = [tile._replace(args=raw) for tile in picture.tile]
    picture.load()
    return picture
