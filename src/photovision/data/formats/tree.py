"""The files of a folder, listed once: pictures by their folders, other files by their suffix.

Hidden entries and junk of other programs are passed over. Links are followed where they stay in the data set, for a
data set that comes from a stranger must not make us open, copy or show other files; no real folder is read twice, so a
loop ends. Nothing is opened, but files without a suffix, whose first bytes tell whether they are pictures.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from photovision.core.errors import DataError
from photovision.core.image_formats import is_picture
from photovision.data.corrections import NAME as CORRECTIONS
from photovision.data.dataset import Problem
from photovision.data.session_corrections import NAME as SESSIONS

JUNK = frozenset(
    {"__MACOSX", "Thumbs.db", "desktop.ini", "Desktop.ini", "$RECYCLE.BIN", "@eaDir", "__pycache__", "lost+found"}
)
NAMED = 1000
"""Files left out that are named; of more only the number is kept."""

Parts = tuple[str, ...]
Tree = dict[Parts, list[str]]
"""Folder, as its parts below the root -> names of the pictures that lie directly in it, sorted."""


@dataclass
class Listing:
    """What lies below a folder.

    Attributes:
        root: the folder.
        pictures: the pictures.
        others: all other files, in the same form.
        problems: entries that are never opened: links that leave the data set, pipes, devices, sockets, broken links.
    """

    root: Path
    pictures: Tree = field(default_factory=dict)
    others: Tree = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def names(self) -> list[str]:
        """Names of all pictures, without their folders."""
        return [name for names in self.pictures.values() for name in names]

    def left_out(self) -> tuple[Problem, ...]:
        """The problems, with a line for those of a kind that are too many to be named."""
        more = {kind: count - NAMED for kind, count in self.refused.items() if count > NAMED}
        extra = (Problem(self.root.name, kind, f"and {count:,} more of this kind") for kind, count in more.items())
        return (*self.problems, *extra)

    def suffixes(self) -> dict[str, tuple[int, str]]:
        """Suffix of the files that are no pictures -> how many there are, and the first of them; commonest first."""
        counts: Counter[str] = Counter()
        first: dict[str, str] = {}
        for parts, names in self.others.items():
            for name in names:
                suffix = os.path.splitext(name)[1].lower()
                counts[suffix] += 1
                first.setdefault(suffix, "/".join((*parts, name)))
        return {suffix: (count, first[suffix]) for suffix, count in counts.most_common()}

    def refuse(self, parts: Parts, name: str, kind: str, message: str) -> None:
        """Count an entry that is never opened, and name it where there are few."""
        self.refused[kind] += 1
        if self.refused[kind] <= NAMED:
            self.problems.append(Problem("/".join((*parts, name)), kind, message))


def list_files(root: Path) -> Listing:
    """List all files below a folder; raises DataError where a folder may not be read."""
    found = Listing(root)
    top = os.path.realpath(root)
    seen: set[tuple[int, int]] = set()
    waiting: list[tuple[str, Parts]] = [(str(root), ())]
    links: list[tuple[str, Parts]] = []
    while waiting or links:
        # Real folders come before links to them, so that a picture's id does not depend on the links beside it.
        folder, parts = (waiting or links).pop()
        try:
            facts = os.stat(folder)
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            entries = sorted(_entries(folder), key=lambda entry: entry.name, reverse=True)
        except PermissionError:
            raise DataError(f"the folder {folder} may not be read: change its permissions or choose another") from None
        except OSError as error:  # a name too long for the system, or a folder that has just gone
            found.refuse(parts[:-1], parts[-1] if parts else folder, "unreadable", f"cannot be read ({error.strerror})")
            continue
        seen.add((facts.st_dev, facts.st_ino))
        kept: defaultdict[str, list[str]] = defaultdict(list)
        for entry in entries:
            kind = entry_kind(entry, top)
            if kind == "folder":
                (links if entry.is_symlink() else waiting).append((entry.path, (*parts, entry.name)))
            elif kind in ("picture", "other"):
                kept[kind].append(entry.name)
            else:
                found.refuse(parts, entry.name, kind, _WHY[kind])
        for kind, tree in (("picture", found.pictures), ("other", found.others)):
            if names := kept[kind]:
                tree[parts] = names[::-1]
    found.problems.sort(key=lambda problem: problem.id)
    found.pictures, found.others = dict(sorted(found.pictures.items())), dict(sorted(found.others.items()))
    return found


_WHY = {
    "link": "a link that leads out of the data set, which is never followed: put the file itself there",
    "broken link": "a link to something that is not there",
    "no file": "a pipe, a device or a socket, which is never opened",
}


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        yield from (entry for entry in entries if not _passed_over(entry.name))


def _passed_over(name: str) -> bool:
    return name.startswith(".") or name in JUNK or name in (CORRECTIONS, SESSIONS)


def entry_kind(entry: os.DirEntry[str], top: str) -> str:
    """What an entry below the real folder `top` is: "folder", "picture", "other", or a kind of _WHY."""
    try:
        if entry.is_symlink():
            target = os.path.realpath(entry.path)
            if not os.path.exists(target):
                return "broken link"
            if target != top and not target.startswith(os.path.join(top, "")):
                return "link"
        if entry.is_dir():
            return "folder"
        if not entry.is_file():
            return "no file"
    except OSError:  # a link that leads to itself
        return "broken link"
    return "picture" if is_picture(entry.path) else "other"


def files_of(tree: Tree) -> Iterator[str]:
    """The files of a tree, as paths below its root with forward slashes."""
    return ("/".join((*parts, name)) for parts, names in tree.items() for name in names)


def stays_inside(root: Path, file: Path) -> bool:
    """Whether a file that lies below a folder by its name does so after its links are followed, too."""
    top = os.path.realpath(root)
    return os.path.realpath(file).startswith(os.path.join(top, ""))


def common_parts(folders: Iterable[Parts]) -> Parts:
    """The folders that all of these have in common, from the top.

    Example:
        >>> common_parts([("data", "cat"), ("data", "dog")]), common_parts([])
        (('data',), ())
    """
    levels = zip(*folders, strict=False)  # as deep as the shallowest
    return tuple(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))
