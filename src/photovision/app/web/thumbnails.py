"""Small pictures for the grid, made once and kept in the user's cache under the path, time and size of the file."""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
import threading
from pathlib import Path

from photovision.core.boxes import draw_regions
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.files import open_regular
from photovision.core.image import decode, read_header, to_array
from photovision.core.regions import Regions
from photovision.core.system import cache_folder
from photovision.core.thumbnail import jpeg, thumbnail
from photovision.core.types import Sample

SIDE, LARGE = 192, 1600
"""Pixels of the longer side: in the grid, and opened."""
MOST_BYTES = 1 << 30
"""What the cache may take; the oldest half of it goes when it takes more."""

_END = b"\xff\xd9"
_LOOK_EVERY = 5000


class Thumbnails:
    """Thumbnails of picture files; safe to use from several threads, of which as many decode as there are cores.

    Args:
        folder: where they are kept; the user's cache if None.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "thumbnails"
        self._turn = threading.BoundedSemaphore(os.cpu_count() or 1)
        self._made = itertools.count(1)

    def tag(self, path: Path, side: int, regions: Regions | None = None) -> str | None:
        """Hex digits that change with the file and with what is drawn over it; None where the file is not there."""
        try:
            facts = path.stat()
        except OSError:
            return None
        return _tag(path, facts.st_mtime_ns, facts.st_size, side, regions)

    def get(self, path: Path, side: int = SIDE, regions: Regions | None = None) -> bytes | None:
        """A JPEG of at most side x side pixels, with regions drawn over it; None where the file cannot be read."""
        tag = self.tag(path, side, regions)
        if tag is None:
            return None
        kept = self.folder / tag[:2] / f"{tag}.jpg"
        try:
            content = kept.read_bytes()
            if content.endswith(_END):  # else the machine went down while it was written
                return content
        except OSError:
            pass
        with self._turn:
            made = thumbnail(Sample(path.name, path), side) if regions is None else _drawn(path, side, regions)
        if made is not None and side <= SIDE:
            self._keep(kept, made)
        return made

    def forget(self, path: Path, modified: int, size: int) -> None:
        """Remove what is kept of a file, which need not exist any more; with regions drawn over it it is not found.

        Args:
            path: of the file.
            modified: nanoseconds since 1970 when it was changed.
            size: in bytes.
        """
        tag = _tag(path, modified, size, SIDE, None)
        (self.folder / tag[:2] / f"{tag}.jpg").unlink(missing_ok=True)

    def _keep(self, path: Path, content: bytes) -> None:
        """Best effort: a full or read-only disk costs time only. It is not waited for until it is on the disk."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.replace(name, path)
            if next(self._made) % _LOOK_EVERY == 0:
                self.trim()
        except OSError:
            return

    def trim(self, most: int = MOST_BYTES) -> None:
        """Remove the oldest files until half of `most` bytes are left, if there are more than `most`."""
        found = [(file.stat(), file) for file in self.folder.glob("*/*")]
        total = sum(facts.st_size for facts, _ in found)
        if total <= most:
            return
        for facts, file in sorted(found, key=lambda pair: pair[0].st_mtime):
            file.unlink(missing_ok=True)
            total -= facts.st_size
            if total <= most // 2:
                return


def _tag(path: Path, modified: int, size: int, side: int, regions: Regions | None) -> str:
    drawn = "" if regions is None else regions.digest().hex()
    key = f"{path.absolute()}|{modified}|{size}|{side}{drawn}"
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _drawn(path: Path, side: int, regions: Regions) -> bytes | None:
    """Boxes and masks over a picture that is decoded no larger than it is shown."""
    try:
        with open_regular(path) as file:
            content = file.read()
        size = read_header(content).size
        small = decode(content, least=(side, side))
        small.thumbnail((side, side))
        return jpeg(draw_regions(to_array(small), regions, side, of=size, names=False), 85)
    except (OSError, UnreadableImage, DataError):  # a mask may be gone, too
        return None
