"""data.yaml of YOLO, every value as the text that was written: a class may be called 01, 1_000, no, null or 1e3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, MissingExtra

MAX_CLASSES = 100_000
MAX_YAML = 1 << 18
_MAX_DEPTH = 10
_NOTHING = frozenset(("", "~", "null", "Null", "NULL"))
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "map", "seq"))


def read_settings(file: Path) -> dict[str, Any]:
    """The file as a dictionary of texts, lists and dictionaries.

    Aliases are refused, because a few of them can stand for a thousand million values, and so are tags of Python's.

    Raises:
        DataError: with the line, where it cannot be read.
        MissingExtra: without PyYAML.
    """
    try:
        import yaml  # type: ignore[import-untyped]
    except ImportError:
        raise MissingExtra("pyyaml", "Reading data.yaml") from None
    if file.stat().st_size > MAX_YAML:
        raise DataError(f"{file} has more than {MAX_YAML:,} bytes: a data.yaml names classes and folders only")
    try:
        text = file.read_text(encoding="utf-8-sig")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.BaseLoader):  # one after the other, before anything is made of them
            if isinstance(event, yaml.AliasEvent):
                raise DataError(f"{file} uses YAML aliases (*name), which are not followed: write the values out")
            if getattr(event, "tag", None) not in (None, "!", *_TAGS):
                raise DataError(f"{file}: not readable as YAML (a tag {event.tag:.60}): remove it")
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _MAX_DEPTH:
                raise DataError(f"{file}: not readable as YAML (nested too deeply)")
        value = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise DataError(f"{file}{where}: not readable as YAML: correct it") from None
    if not isinstance(value, dict):
        raise DataError(f"{file} should give 'names', 'train' and 'val', but is a {type(value).__name__}")
    return {str(key): one for key, one in value.items() if not (isinstance(one, str) and one in _NOTHING)}


def class_names(file: Path, value: Any) -> list[str]:
    """Names in the order of their numbers; a number without a name is its own name."""
    if isinstance(value, list):
        value = {str(index): name for index, name in enumerate(value)}
    good = isinstance(value, dict) and all(
        key.isdecimal() and len(key) < 10 and int(key) < MAX_CLASSES and isinstance(name, str)
        for key, name in value.items()
    )
    if not good or not value:
        raise DataError(f"{file}: names should be a list of class names, or numbers from 0 with names")
    named = {int(key): name for key, name in value.items()}
    return [named.get(index, str(index)) for index in range(max(named) + 1)]


def key_points(file: Path, value: Any) -> int:
    """How many numbers of a row are its key points, from kpt_shape [K, 2 or 3]; 0 where there is none."""
    if value is None:
        return 0
    cells = value if isinstance(value, list) else str(value).strip("[]()").split(",")
    sides = [str(cell).strip() for cell in cells]
    if len(sides) != 2 or not all(side.isdecimal() and len(side) < 5 for side in sides) or sides[1] not in ("2", "3"):
        raise DataError(f"{file}: kpt_shape should be [number of key points, 2 or 3], got {value!r:.60}")
    return int(sides[0]) * int(sides[1])
