"""What the colours of masks mean: tables of colours as several tools write them.

labelmap.txt        car:0,0,142:parts:actions       CVAT, Datumaro
class_dict.csv      car,0,0,142                     CamVid and others on Kaggle
label_colors.txt    0 0 142  car                    CamVid
colours.txt         any of these; also colors.txt
"""

from __future__ import annotations

import re
from pathlib import Path

from photovision.core.errors import DataError
from photovision.core.image import COLOUR
from photovision.core.regions import IGNORE

FILES = ("labelmap.txt", "class_dict.csv", "label_colors.txt", "colours.txt", "colors.txt")
BACKGROUND, OBJECT = "background", "object"
_COLOURS = 64  # found colours without a table: more are edges that were smoothed
_LARGEST = 1_000_000  # bytes; a table of 254 classes has a hundredth of that
_NUMBERS = r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})"
_LAST = re.compile(rf"(?P<name>.+?)\s*[:;,\t ]\s*{_NUMBERS}\s*(?:[:;,].*)?")
_FIRST = re.compile(rf"{_NUMBERS}[\s,;:]+(?P<name>.+)")


def read_colours(folder: Path) -> dict[int, str] | None:
    """Value of a mask's pixel, as `decode_values` gives it -> name of the class; None where there is no table.

    Raises:
        DataError: a line is none of the above, or two classes have the same colour.
    """
    file = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if file is None:
        return None
    if file.stat().st_size > _LARGEST:
        raise DataError(f"{file} is larger than any table of colours should be")
    found: dict[int, str] = {}
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        entry = _entry(line.strip())
        if entry is None:
            if number == 1:
                continue  # a heading
            raise DataError(
                f"{file}, line {number}: expected a name and a colour, such as car:0,0,142, got '{line[:60]}'"
            )
        value, name = entry
        if value in found:
            raise DataError(f"{file}, line {number}: '{name}' has the colour of '{found[value]}': give it its own")
        found[value] = name
    if not found:
        raise DataError(f"{file} names no colours: expected lines such as car:0,0,142")
    return found


def value_table(file: Path) -> list[str] | None:
    """Names by their values from Roboflow's _classes.csv with lines such as "1, cell"; None where it is none."""
    if file.stat().st_size > _LARGEST:
        raise DataError(f"{file} is larger than any table of classes should be")
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines()[1:]
    found = {
        int(value): name.strip() for value, _, name in (line.partition(",") for line in lines) if value.isdecimal()
    }
    if not found or max(found) > IGNORE or not all(found.values()):
        return None
    return [found.get(value, str(value)) for value in range(max(found) + 1)]


def value_names(
    path: Path, present: list[int], names: list[str] | None, colours: dict[int, str] | None
) -> dict[int, str]:
    """Value of a mask's pixel -> name of its class, for the values that occur.

    Raises:
        DataError: a value has no name; or the masks hold more colours than classes can have.
    """
    if colours is None and (two := _two(present, names)):
        return two
    present = [value for value in present if value != IGNORE or not _unjudged(present, names)]
    coloured = [value for value in present if value >= COLOUR]
    if coloured and any(0 < value < COLOUR for value in present):
        raise DataError(f"{path}: some masks hold numbers, others RGB colours: make them of one kind")
    if colours is not None or coloured:
        if colours is None and len(present) > _COLOURS:
            raise DataError(
                f"{path}: the masks hold {len(present):,} colours, more than {_COLOURS}: they are smoothed or no masks;"
                " save them without smoothing, or name the right colours in labelmap.txt"
            )
        known = colours or {value: colour_name(value) if value else BACKGROUND for value in present}
        if strange := [value for value in present if value not in known]:
            more = f" and {len(strange) - 1:,} more" if len(strange) > 1 else ""
            raise DataError(f"{path}: masks hold {colour_name(strange[0])}{more}, which the table of colours lacks")
        return known
    if names is not None and present and present[-1] >= len(names):
        raise DataError(
            f"{path}: a mask holds the value {present[-1]}, but classes.txt names only 0 to {len(names) - 1}"
        )
    return dict(enumerate(names)) if names is not None else {value: str(value) for value in present}


def _two(present: list[int], names: list[str] | None) -> dict[int, str]:
    """The names where masks hold an object and its background only; empty where they may hold more."""
    if not present or len(present) > 2 or (len(present) == 2 and present[0] != 0):
        return {}
    value = present[-1] or IGNORE
    if names is None:
        return {0: BACKGROUND, value: OBJECT if value < COLOUR else colour_name(value)} if 0 in present else {}
    if value == IGNORE and len(names) <= 2:
        return dict(zip((0, IGNORE), names if len(names) == 2 else (BACKGROUND, *names), strict=False))
    return {}


def _unjudged(present: list[int], names: list[str] | None) -> bool:
    """Whether 255 is for pixels that nobody judges: beside numbers of classes, not beside steps of grey."""
    numbers = [value for value in present if 0 < value < IGNORE]
    if names is not None:
        return len(names) <= IGNORE
    return any(value >= COLOUR for value in present) or max(numbers, default=0) < max(100, 2 * len(numbers))


def _entry(line: str) -> tuple[int, str] | None:
    """The value and the name of a line.

    Example:
        >>> _entry("car:0,0,142::"), _entry("0 0 142 car"), _entry("traffic light,250,170,30")[1]
        ((16777358, 'car'), (16777358, 'car'), 'traffic light')
    """
    match = _FIRST.fullmatch(line) or _LAST.fullmatch(line)
    if match is None:
        return None
    red, green, blue = (int(value) for value in match.groups() if value != match["name"])
    if max(red, green, blue) > 255:
        return None
    packed = (red << 16) + (green << 8) + blue
    return packed + COLOUR if packed else 0, match["name"].strip()


def colour_name(value: int) -> str:
    """How a value of a mask is called where nothing names it: its colour, or its number.

    Example:
        >>> colour_name(16777358), colour_name(7)
        ('#00008e', '7')
    """
    return f"#{value - COLOUR:06x}" if value >= COLOUR else str(value)
