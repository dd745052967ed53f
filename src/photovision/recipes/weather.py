"""Weather: pictures to learn tags of light and weather from, made of one's own by simulation.

Of every picture, taken in clear weather by day, five are written: as it is, by night, in fog, in rain and in snow, each
at a severity of its own (see `photovision.data.corruptions`). All five have the group of their source, so that a split
keeps them on one side, and all five are encoded alike, so that no trace of that is learned. The weather is simulated:
the table says so in every row, and how well a model does in real weather only real pictures of it can tell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.files import write_text
from photovision.core.folder import new_folder
from photovision.core.image import decode, to_array
from photovision.core.output import check_folder
from photovision.core.parallel import in_order
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.data.corruptions import SEVERITIES, corrupt

CLEAR = "clear"
CONDITIONS = ("night", "fog", "rain", "snow")
SIDE = 512
"""Longest side in pixels of what is written: weather is seen in small pictures, too."""
_QUALITY = 88
_COLUMNS = ("file_name", "label", "group", "severity", "simulated")


@dataclass(frozen=True)
class Made:
    """What was written.

    Attributes:
        sources: pictures that were read.
        pictures: pictures that were written.
        unreadable: names of those that could not be read, and why.
    """

    sources: int
    pictures: int
    unreadable: tuple[str, ...]


def weather(
    files: Iterable[str | Path],
    output: Path,
    *,
    conditions: tuple[str, ...] = CONDITIONS,
    side: int = SIDE,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Made:
    """Write a new folder with images/ and metadata.csv, from which `photovision train` learns tags.

    Args:
        files: pictures in clear weather by day.
        output: a folder that is not there yet, or empty.
        conditions: names of corruptions, each of which becomes a class beside "clear".
        side: longest side of the pictures written, in pixels.
        seed: of severities, drops, flakes and drifts.
        progress: called with how many sources are done.

    Raises:
        UsageError: the folder is not empty, or a condition is no corruption.
        DataError: no picture can be read.
    """
    check_folder(output, "data set")
    if not conditions:
        raise UsageError("no condition is asked for: name one, such as fog")
    rows: list[tuple[str, ...]] = []
    unreadable = []
    with new_folder(output, "data set") as folder:
        read = in_order(enumerate(files), lambda item: _versions(item[1], conditions, side, (seed, item[0])))
        (folder / "images").mkdir()
        for (number, _), versions in read:
            if isinstance(versions, UnreadableImage):
                unreadable.append(str(versions))
                continue
            for label, severity, content in versions:
                name = f"images/{number:06d}-{label}.jpg"
                (folder / name).write_bytes(content)
                rows.append((name, label, f"{number:06d}", str(severity), "no" if label == CLEAR else "yes"))
            if progress:
                progress(number + 1)
        if not rows:
            raise DataError(
                f"none of the {len(unreadable):,} pictures can be read: {(unreadable or ['none given'])[0]}"
            )
        write_text(folder / "metadata.csv", _table(rows))
    return Made(len(rows) // (1 + len(conditions)), len(rows), tuple(unreadable))


def _versions(
    file: str | Path, conditions: tuple[str, ...], side: int, seed: tuple[int, int]
) -> list[tuple[str, int, bytes]] | UnreadableImage:
    """Name, severity (0 for the picture as it is) and JPEG of every version of a picture."""
    try:
        picture = decode(Path(file), (side, side))
    except UnreadableImage as error:
        return error
    picture.thumbnail((side, side))
    image: Image = to_array(picture)
    severities = np.random.default_rng(seed).integers(SEVERITIES[1], SEVERITIES[-1] + 1, len(conditions)).tolist()
    found = [(CLEAR, 0, jpeg(image, _QUALITY))]
    for place, (name, severity) in enumerate(zip(conditions, severities, strict=True)):
        found.append((name, severity, jpeg(corrupt(image, name, severity, (*seed, place)), _QUALITY)))
    return found


def _table(rows: list[tuple[str, ...]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(rows)
    return buffer.getvalue()
