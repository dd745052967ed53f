"""Trash: duplicates moved out of the way, never deleted; a list beside them puts them back."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from photovision.core.errors import DataError, UsageError
from photovision.core.files import explained, open_regular, sync, write_json
from photovision.core.output import placed
from photovision.retrieval.duplicates import MOVABLE, DuplicateGroup

UNDO_FILE = "undo.json"
FORMAT = "photovision-moved"
_LARGEST = 1 << 28


class MovedFile(NamedTuple):
    """A file that is moved: from where, to where."""

    source: str
    target: str


def move_duplicates(groups: Sequence[DuplicateGroup], folder: Path, trash: Path) -> list[MovedFile]:
    """Move duplicates that another picture can stand in for to a new folder, and write `undo.json` there first.

    A picture is moved only while the one that is kept is there and is another file.

    Args:
        groups: of `duplicates`.
        folder: of the pictures; paths below it are kept below the trash.
        trash: missing or empty, outside `folder`.

    Raises:
        UsageError: something is in the way.
    """
    place, top = placed(trash), Path(os.path.realpath(folder))
    if place == top or top in place.parents:
        raise UsageError(f"{trash} lies in the folder of the pictures: choose another one with --to")
    if os.path.lexists(place) and (not place.is_dir() or os.listdir(place)):
        raise UsageError(f"{trash} is not an empty folder: choose a new one with --to")
    moves = [
        MovedFile(one.file, str(place / "files" / os.path.relpath(one.file, folder)))
        for group in groups
        for one in group.duplicates
        if one.verdict in MOVABLE
        and top in Path(os.path.realpath(one.file)).parents
        and _other_file(group.kept, one.file)
    ]
    if not moves:
        return []
    with explained(place):
        place.mkdir(parents=True, exist_ok=True)
        write_json(place / UNDO_FILE, {"format": FORMAT, "moved": [list(map(os.fspath, move)) for move in moves]})
        for move in moves:
            _move(Path(move.source), Path(move.target))
    return moves


def undo(trash: Path) -> list[MovedFile]:
    """Move files back to where they were, as far as they are in the trash and nothing else is there by now.

    Returns:
        The moves that were made, from the trash to their old place.

    Raises:
        DataError: there is no list of moves.
    """
    moves = [MovedFile(move.target, move.source) for move in read_moves(trash)]
    waiting = [move for move in moves if os.path.lexists(move.source)]
    for move in waiting:
        if os.path.lexists(move.target):
            raise UsageError(f"{move.target} is there again: move it away, then undo")
    with explained(trash):
        for move in waiting:
            _move(Path(move.source), Path(move.target))
    return waiting


def read_moves(trash: Path) -> list[MovedFile]:
    """The moves that a trash lists, checked; raises DataError."""
    file = trash / UNDO_FILE
    try:
        with open_regular(file) as opened:
            found: Any = json.loads(opened.read(_LARGEST))
    except (OSError, DataError, ValueError):
        raise DataError(f"{file} lists no moved files: name the folder that --to named") from None
    below = Path(os.path.realpath(trash)) / "files"
    moves = found.get("moved") if isinstance(found, dict) and found.get("format") == FORMAT else None
    if not isinstance(moves, list) or not all(_is_move(move, below) for move in moves):
        raise DataError(f"{file} lists no moved files: name the folder that --to named")
    return [MovedFile(*move) for move in moves]


def _is_move(move: Any, below: Path) -> bool:
    texts = isinstance(move, list) and len(move) == 2 and all(isinstance(path, str) for path in move)
    return texts and below in Path(os.path.normpath(move[1])).parents


def _other_file(kept: str, duplicate: str) -> bool:
    """Whether both are there and are two files, whatever they are called."""
    try:
        return not os.path.samefile(kept, duplicate)
    except OSError:
        return False


def _move(source: Path, target: Path) -> None:
    """Move one file; to another disk it is copied, and checked to be there, before it goes here."""
    if os.path.lexists(target):
        raise UsageError(f"{target} is there already: choose a new folder with --to")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(source, target)
        sync(target)
        os.unlink(source)
