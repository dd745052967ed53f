"""Discovery: which models and data sets lie in a folder, and what else does that the page cannot show as it is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from photovision.core.errors import DataError
from photovision.core.image import SUFFIXES
from photovision.data.archive_members import SUFFIXES as PACKED
from photovision.data.archive_members import is_archive

if TYPE_CHECKING:
    from photovision.data.dataset import AnnotationType
    from photovision.data.formats import Format

DEEPEST, MOST_FOLDERS = 4, 2000
"""How far below the folder models and data sets are looked for, and in how many folders at most."""
MOVED = "undo.json"
"""In a folder of moved duplicates, which holds pictures and is no data set."""
_TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_MOST_SKIPPED = 50


@dataclass(frozen=True)
class Skipped:
    """Something in the folder of the page that is not shown as a data set or a model.

    Attributes:
        name: as it is called there.
        kind: "link", "archive", "pictures" without labels, or "closed" for a folder that may not be read.
        reason: one sentence for people.
        path: what it leads to, links resolved; None where nothing can be done with it.
    """

    name: str
    kind: str
    reason: str
    path: Path | None


def find(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Models and data sets in `folder` and below it, name -> path, sorted; links are not followed."""
    models: dict[str, Path] = {}
    data: dict[str, Path] = {}
    waiting, seen = [(folder, 0)], 0
    while waiting and seen < MOST_FOLDERS:
        place, depth = waiting.pop(0)
        seen += 1
        name = place.relative_to(folder).as_posix() if place != folder else folder.name or str(folder)
        if (place / "bundle.json").is_file():
            models[name] = place
            continue
        children = folders_in(place)
        if _is_data(place, children):
            data[name] = place
            # Models may lie beside class folders, but no data set lies inside another.
            models |= {c.relative_to(folder).as_posix(): c for c in children if (c / "bundle.json").is_file()}
        elif depth < DEEPEST:
            waiting += [(child, depth + 1) for child in children]
    return models, data


def annotation_type(place: Path) -> AnnotationType:
    """What is known of the images of a data set, by the format that it lies in."""
    known = next((form for form in _formats() if form.detects(place)), None)
    return "labels" if known is None else known.annotation_type


def _is_data(place: Path, children: list[Path]) -> bool:
    from photovision.data.formats.split_names import split_named

    if _only_holds(place, children):  # the formats would find what lies in it, but that is shown by itself
        return False
    if any((place / name).is_file() for name in _TABLES):
        return True
    if any(split_named(child.name) and folders_in(child) for child in children):
        return True
    if sum(holds_pictures(child) for child in children if not (child / "bundle.json").is_file()) >= 2:
        return True
    return _is_annotated(place) or _has_masks(children)


def _only_holds(place: Path, children: list[Path]) -> bool:
    """Whether a folder holds nothing but others, none of which is called like a part of a data set."""
    from photovision.data.formats.layout import is_container
    from photovision.data.formats.mask_names import place_of
    from photovision.data.formats.split_names import split_named

    if (
        any(entry.is_file() for entry in entries_of(place))
        or any(map(holds_pictures, children))
        or _has_masks(children)
    ):
        return False
    return not any(split_named(c.name) or is_container(c.name) or place_of((c.name,)).role for c in children)


def _is_annotated(place: Path) -> bool:
    """Whether a file of boxes lies in a folder, or it is a layout of good images and defects."""
    try:
        return any(form.detects(place) for form in _formats() if form.annotation_type in ("boxes", "defects"))
    except OSError:  # a folder that may not be read holds nothing for us
        return False


def _formats() -> list[Format]:
    from photovision.data.formats import FORMATS

    return [FORMATS.load(name) for name in FORMATS.names()]


def _has_masks(children: list[Path]) -> bool:
    """Whether most folders hold one picture with its masks each, as a data set of microscopy does."""
    inner = sum((child / "images").is_dir() and (child / "masks").is_dir() for child in children)
    return 2 * inner > len(children)


def holds_pictures(place: Path) -> bool:
    """Whether a file directly in a folder is called like a picture."""
    return any(entry.suffix.lower() in SUFFIXES for entry in entries_of(place))


def folders_in(place: Path) -> list[Path]:
    """The folders in a folder, sorted, without links, hidden ones and those of moved duplicates."""
    found = (entry for entry in entries_of(place) if entry.is_dir() and not entry.is_symlink())
    return sorted(entry for entry in found if not (entry / MOVED).is_file())


def entries_of(place: Path) -> Iterator[Path]:
    """What lies in a folder and is not hidden; nothing where it may not be read."""
    try:
        yield from (entry for entry in place.iterdir() if not entry.name.startswith("."))
    except OSError:  # a folder that may not be read holds nothing for us
        return


def models_in(folders: Iterable[Path]) -> list[Path]:
    """The models that lie directly in some folders; links are not followed."""
    found = (child for folder in folders for child in folders_in(folder) if (child / "bundle.json").is_file())
    return list(dict.fromkeys(path.resolve() for path in found))


def skipped(folder: Path, known: Iterable[Path]) -> list[Skipped]:
    """What lies directly in a folder and is not among the `known` paths: links to folders, archives, bare pictures.

    Nothing behind a link is read before a person says so: data sets come from strangers, and so do their links.
    """
    places = {path.resolve() for path in known}
    found = [one for entry in sorted(entries_of(folder)) if (one := _skipped(entry, places))]
    return found[:_MOST_SKIPPED]


def _skipped(entry: Path, known: set[Path]) -> Skipped | None:
    try:
        if entry.is_symlink():
            target = entry.resolve()
            if not target.is_dir() or target in known:
                return None
            return Skipped(entry.name, "link", f"a link to {target}, outside this folder", target)
        if entry.is_file() and entry.name.lower().endswith(PACKED) and is_archive(entry):
            size = entry.stat().st_size / 1e6
            return Skipped(entry.name, "archive", f"an archive of {size:,.1f} MB", entry.resolve())
        if not entry.is_dir() or any(path.is_relative_to(entry) or entry.is_relative_to(path) for path in known):
            return None
        if not os.access(entry, os.R_OK | os.X_OK):
            return Skipped(entry.name, "closed", "a folder that may not be read", None)
        return Skipped(entry.name, "pictures", "pictures without labels", None) if holds_pictures(entry) else None
    except (OSError, DataError):
        return None
