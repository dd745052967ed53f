"""PNM pictures (PBM, PGM, PPM): the header, and values with any largest value, which Pillow decodes in Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from photovision.core.errors import UnreadableImage

_HEADER = 1 << 16
_ROWS = 1 << 20


@dataclass(frozen=True)
class PnmHeader:
    """The header of a PNM picture: its kind ("P1" to "P6", "Pf", "PF"), (H, W), largest value, where values begin."""

    kind: str
    size: tuple[int, int]
    most: int
    start: int

    @property
    def plain(self) -> bool:
        """Whether the values are written as text."""
        return self.kind in ("P1", "P2", "P3")

    @property
    def bands(self) -> int:
        """Values a pixel."""
        return 3 if self.kind in ("P3", "P6", "PF") else 1


def pnm_header(stream: BinaryIO) -> PnmHeader:
    """Read the header of a PNM picture, at most 64 kB of words and comments; raises ValueError."""
    stream.seek(0)
    text = stream.read(_HEADER)
    words: list[bytes] = []
    at, needed = 0, 3 if text[:2] in (b"P1", b"P4") else 4
    while len(words) < needed:
        while text[at : at + 1].isspace():
            at += 1
        if text[at : at + 1] == b"#":
            at = text.index(b"\n", at)
            continue
        end = at
        while end < len(text) and not text[end : end + 1].isspace() and text[end : end + 1] != b"#":
            end += 1
        if end == at or end - at > 20:
            raise ValueError("no word")
        words.append(text[at:end])
        at = end
    kind = words[0].decode("ascii", "replace")
    most = int(words[3]) if kind in ("P2", "P3", "P5", "P6") else 255
    if not 0 < most < 65536:
        raise ValueError("largest value")
    return PnmHeader(kind, (int(words[2]), int(words[1])), most, at + 1)


def pnm_blocks(stream: BinaryIO, head: PnmHeader) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Top row and values, (h, W, bands) uint8 or uint16, of bands of a binary PGM or PPM picture."""
    height, width = head.size
    kind = np.dtype("u1" if head.most < 256 else ">u2")
    line = width * head.bands * kind.itemsize
    rows = max(1, _ROWS // width)
    stream.seek(head.start)
    for top in range(0, height, rows):
        many = min(rows, height - top)
        content = stream.read(many * line)
        if len(content) < many * line:
            raise UnreadableImage("cannot be decoded (it is cut short)")
        yield top, np.frombuffer(content, kind).reshape(many, width, head.bands)
