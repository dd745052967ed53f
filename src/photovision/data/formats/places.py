"""Where the annotation files of a data set lie: at its root, else below it, in annotations/ or in folders of splits."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from photovision.data.formats.split_names import SPLIT_WORDS, split_named
from photovision.data.formats.tree import JUNK, entry_kind

_WORDS = re.compile(r"[a-z]+")
DEPTH = 3
"""Folders below the root that are looked into: VOCdevkit/VOC2012/Annotations."""
MAX_FOLDERS = 500
SAMPLED = 32
"""Files of a folder that are looked at to find out what it holds."""


def annotation_files(
    path: Path,
    suffixes: tuple[str, ...],
    accept: Callable[[Path], bool],
    *,
    all_beside: bool = False,
    all_depths: bool = False,
) -> list[Path]:
    """The files of one annotation format: `path` itself, or those below the folder `path` at the first depth with any.

    Args:
        path: a file or a folder.
        suffixes: endings of the files, in lower case, with dots.
        accept: whether a file is of the format. A folder where none of the first `SAMPLED` files is so is passed over.
        all_beside: whether the other files of a folder with an accepted one are given, too: of formats with a file for
            each picture, where one that is not accepted is damaged and has to be named.
        all_depths: whether those of deeper folders count, too: of formats whose files are about their own folder.
    """
    if path.is_file():
        return [path] if path.suffix.lower() in suffixes and accept(path) else []
    seen: set[tuple[int, int]] = set()
    level = [str(path)] if path.is_dir() else []
    top = os.path.realpath(path)
    found: list[Path] = []
    for _ in range(DEPTH + 1):
        deeper: list[str] = []
        for folder in level[:MAX_FOLDERS]:
            files, folders = _entries(folder, suffixes, seen, top)
            kept = [file for file in files[:SAMPLED] if accept(file)]
            if kept:
                found += files if all_beside else [*kept, *filter(accept, files[SAMPLED:])]
            deeper += folders
        if found and not all_depths:
            break
        level = deeper
    return found


def split_folder(file: Path, root: Path) -> str | None:
    """The split of the nearest folder above a file and below the root that is named like one."""
    names = file.parent.relative_to(root).parts
    return next((split for name in reversed(names) if (split := split_named(name))), None)


def split_of(file: Path, root: Path, alone: bool = False) -> str | None:
    """The split that an annotation file is about: by its name (train_labels.csv), unless it is alone, or its folder."""
    if alone:
        return split_folder(file, root)
    words = _WORDS.findall(file.stem.lower())
    return next((SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS), None) or split_folder(file, root)


def _entries(
    folder: str, suffixes: tuple[str, ...], seen: set[tuple[int, int]], top: str
) -> tuple[list[Path], list[str]]:
    """Files of these endings and folders directly in a folder, sorted; none where it was seen before.

    Links that lead out of the folder `top` are passed over, as they are everywhere.
    """
    files, folders = [], []
    try:
        facts = os.stat(folder)
        if (facts.st_dev, facts.st_ino) in seen:
            return [], []
        seen.add((facts.st_dev, facts.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or entry.name in JUNK:
                    continue
                if entry.name.lower().endswith(suffixes):
                    files += [entry.path] if entry_kind(entry, top) in ("other", "picture") else []
                elif "." not in entry.name or entry.is_dir():
                    folders += [entry.path] if entry_kind(entry, top) == "folder" else []
    except OSError:
        return [], []
    return [Path(file) for file in sorted(files)], sorted(folders)
