"""PictureRoot: the pictures that an agent may see, by ids; nothing else of this machine is ever opened for it."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from photovision.app.agents.answer import quoted
from photovision.core.errors import DataError, UsageError
from photovision.core.suggest import nearest
from photovision.data.image_paths import walk

_SHOWN = 3


@dataclass(frozen=True)
class RootPicture:
    """A picture below the root.

    Attributes:
        id: by which agents name it; the same as long as the file keeps its place.
        name: its path below the root, with slashes.
        path: with links resolved, inside the root when it was looked up.
    """

    id: str
    name: str
    path: Path

    @property
    def shown(self) -> dict[str, str]:
        """How it begins a row of an answer."""
        return {"id": self.id, "file": quoted(self.name)}


class PictureRoot:
    """An allow-list of the picture files below a folder.

    A file is in it when it is called like a picture, lies below the folder, and its real path (links resolved) does,
    too. What an agent names is looked up in this list and never opened by its name.

    Args:
        folder: the root; None for none, then there are no pictures.

    Raises:
        DataError: there is no such folder.
    """

    def __init__(self, folder: str | Path | None) -> None:
        if folder is not None and not Path(folder).is_dir():
            raise DataError(f"{folder} is not a folder: give the folder of pictures that may be seen as --root")
        self.folder = None if folder is None else Path(os.path.realpath(folder))
        self._pictures: dict[str, RootPicture] = {}
        self._ids: dict[str, str] = {}
        self._lock = threading.Lock()

    def pictures(self, below: str = "") -> list[RootPicture]:
        """All pictures as they lie there now, or those in a folder below the root; sorted by folder and name.

        Raises:
            UsageError: there is no root, or no picture in a folder of that name.
        """
        self._read()
        found = list(self._pictures.values())
        if not below.strip("/"):
            return found
        wanted = PurePosixPath(below.replace(os.sep, "/").strip("/")).parts
        inside = [one for one in found if PurePosixPath(one.name).parts[: len(wanted)] == wanted]
        if not inside:
            folders = sorted({PurePosixPath(one.name).parent.as_posix() for one in found} - {"."})
            raise UsageError(_refusal("folder with pictures", below, folders))
        return inside

    def find(self, named: str) -> RootPicture:
        """A picture by its id, or by its path below the root.

        Raises:
            UsageError: none is called so; the three nearest names stand in the message.
        """
        if self._known(named) is None:
            self._read()
        found = self._known(named)
        if found is None:
            raise UsageError(_refusal("picture", named, list(self._ids)))
        if not self._inside(found.path):
            raise UsageError(f"{found.id} has been replaced by a link that leads elsewhere: it is not opened")
        return found

    def find_all(self, named: Sequence[str]) -> list[RootPicture]:
        """Several pictures; errors as of `find`."""
        return [self.find(one) for one in named]

    def at(self, path: str | Path) -> RootPicture | None:
        """The picture at a path of this machine; None where it is none of the root's."""
        real = Path(os.path.realpath(path))
        if self.folder is None or not real.is_relative_to(self.folder):
            return None
        number = self._ids.get(real.relative_to(self.folder).as_posix())
        return None if number is None else self._pictures[number]

    def _known(self, named: str) -> RootPicture | None:
        if named in self._pictures:
            return self._pictures[named]
        if self.folder is None:
            return None
        name = os.path.normpath(named) if named and "\0" not in named else ""
        if os.path.isabs(name):
            name = os.path.relpath(name, self.folder)
        number = self._ids.get(name.replace(os.sep, "/"))
        return None if number is None else self._pictures[number]

    def _read(self) -> None:
        if self.folder is None:
            raise UsageError("no pictures may be seen: start 'photovision mcp' with --root FOLDER")
        found: dict[str, RootPicture] = {}
        ids: dict[str, str] = {}
        for path in walk(self.folder):
            real = Path(os.path.realpath(path))
            if not self._inside(real):
                continue
            name = Path(path).relative_to(self.folder).as_posix()
            number = _id_of(name, found)
            found[number] = RootPicture(number, name, real)
            ids[name] = number
        with self._lock:
            self._pictures, self._ids = found, ids

    def _inside(self, path: Path) -> bool:
        assert self.folder is not None
        real = Path(os.path.realpath(path))
        return real.is_relative_to(self.folder) and real.is_file()


def _id_of(name: str, taken: dict[str, RootPicture]) -> str:
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()
    return next(f"p{digest[:length]}" for length in range(6, 65) if f"p{digest[:length]}" not in taken)


def _refusal(what: str, named: str, known: list[str]) -> str:
    near = nearest(named, known, _SHOWN) or known[:_SHOWN]
    names = ", ".join(f"'{quoted(one)}'" for one in near) or "none"
    return f"there is no {what} '{quoted(named)}' that may be seen; nearest: {names}: list_pictures gives ids"
