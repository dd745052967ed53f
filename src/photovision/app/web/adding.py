"""Adding pictures on the local page: a folder or an archive that a person chose becomes a new folder of the page.

Files come one after the other, large ones in parts, into a hidden folder beside the place where they will lie; the new
folder appears whole or not at all, and nothing that is there already is replaced. Names come from a browser and are not
trusted: they may not lead out of the new folder, nor be hidden, and only kinds that a data set consists of are taken.
"""

from __future__ import annotations

import itertools
import shutil
import threading
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from photovision.app.web.workspace import State, within
from photovision.core.errors import DataError, UsageError
from photovision.core.files import explained
from photovision.core.image import SUFFIXES
from photovision.data.archive_members import SUFFIXES as PACKED

MAX_FILES, MAX_BYTES = 200_000, 50 << 30
"""What one new folder may hold."""
PART = 32 << 20
"""Bytes of a file that one request brings at most."""
KEPT_FREE = 512 << 20
"""Bytes of the disk that stay free."""
NOTES = (".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".parquet", ".xml", ".txt", ".yaml", ".yml", ".md")
"""Files beside pictures that formats of data sets consist of."""
_DEEPEST = 12


class NewFolder(BaseModel, extra="forbid"):
    """The name of the folder that is to be made."""

    name: str = Field(min_length=1, max_length=100)


class Additions:
    """The folders that are being filled, by number.

    Args:
        state: the page's folder, in which they will appear.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._numbers = itertools.count(1)
        self._open: dict[int, tuple[Path, Path]] = {}
        self._sizes: dict[int, list[int]] = {}
        self._guard = threading.Lock()
        state.leaving.append(self.end)

    def begin(self, name: str) -> int:
        """A number for a new folder; raises UsageError for a name that is no folder's, or that is taken."""
        if name != Path(name).name or name.startswith((".", "-")) or not name.isprintable():
            raise UsageError(f"a folder's name should be plain, such as flowers, got {name!r}")
        target = self._state.new_folder(name)
        with self._guard:
            number = next(self._numbers)
            waiting = target.with_name(f".{name}.adding-{number}")
            with explained(waiting):
                shutil.rmtree(waiting, ignore_errors=True)  # of a page that was ended by force
                waiting.mkdir()
            self._open[number], self._sizes[number] = (waiting, target), [0, 0]
            return number

    def put(self, number: int, path: str, start: int, content: bytes) -> None:
        """Add bytes `start` and following of a file, whose first part has to come first.

        Raises:
            UsageError: a name, kind, number or amount that is not taken, or a part that does not follow the last one.
        """
        with self._guard:
            waiting, _ = self._of(number)
            file = within(waiting, path)
            self._check(number, waiting, path, file, len(content))
            with explained(file):
                file.parent.mkdir(parents=True, exist_ok=True)
                if start and (not file.is_file() or file.stat().st_size != start):
                    raise UsageError(f"a part of {path} is missing: add the pictures again")
                with file.open("ab" if start else "xb") as opened:
                    opened.write(content)
            sizes = self._sizes[number]
            sizes[0] += 0 if start else 1
            sizes[1] += len(content)

    def _check(self, number: int, waiting: Path, path: str, file: Path, size: int) -> None:
        parts = Path(path).parts
        if file == waiting or len(parts) > _DEEPEST or any(part.startswith(".") for part in parts):
            raise UsageError(f"{path!r} is not the name of a file in a folder of pictures")
        if not path.isprintable() or not path.lower().endswith((*SUFFIXES, *NOTES, *PACKED)):
            raise UsageError(f"{path!r} is neither a picture nor a file of labels")
        files, total = self._sizes[number]
        if files >= MAX_FILES or total + size > MAX_BYTES:
            raise UsageError(f"more than {MAX_FILES:,} files or {MAX_BYTES >> 30} GB: put the folder there by hand")
        if shutil.disk_usage(waiting).free < size + KEPT_FREE:
            raise UsageError("the disk is almost full: make room, or choose fewer pictures")

    def finish(self, number: int) -> Path:
        """Let the folder appear; of an archive alone what is in it. Raises DataError for an empty or unfit one."""
        with self._guard:
            waiting, target = self._of(number)
            files = list(itertools.islice((path for path in waiting.rglob("*") if path.is_file()), 2))
            if not files:
                raise DataError("none of these files is a picture: choose a folder of pictures")
            if target.exists():
                raise UsageError(f"there is a {target.name} already: rename it, and add the pictures again")
            packed = len(files) == 1 and files[0].name.lower().endswith(PACKED)
            with explained(target):
                if packed:
                    from photovision.data.archives import unpacked

                    inner = waiting / "unpacked"
                    shutil.copytree(unpacked(files[0]), inner)
                    inner.rename(target)
                else:
                    waiting.rename(target)
            self._forget(number)
        self._state.refresh()
        return target

    def drop(self, number: int) -> None:
        """Give up: what came so far is removed again."""
        with self._guard:
            if number in self._open:
                self._forget(number)

    def end(self) -> None:
        """The page ends, and what is not whole goes with it."""
        with self._guard:
            for number in list(self._open):
                self._forget(number)

    def _of(self, number: int) -> tuple[Path, Path]:
        if number not in self._open:
            raise UsageError("these pictures are not being added any more: add them again")
        return self._open[number]

    def _forget(self, number: int) -> None:
        waiting, _ = self._open.pop(number)
        del self._sizes[number]
        shutil.rmtree(waiting, ignore_errors=True)


async def part(request: Request) -> bytes:
    """The body of a request, at most `PART` bytes; raises UsageError for more."""
    found = bytearray()
    async for piece in request.stream():
        found += piece
        if len(found) > PART:
            raise UsageError(f"a part of a file should have at most {PART >> 20} MB")
    return bytes(found)


Part = Annotated[bytes, Depends(part)]


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/adding")
    additions = Additions(state)

    @router.post("/begin")
    def begin(wish: NewFolder) -> dict[str, Any]:
        """Begin a new folder."""
        return {"number": additions.begin(wish.name), "part": PART}

    @router.put("/file")
    def put(number: int, path: str, content: Part, start: int = 0) -> dict[str, Any]:
        """Add a file, or a part of it."""
        additions.put(number, path, start, content)
        return {"bytes": len(content)}

    @router.post("/finish")
    def finish(number: int) -> dict[str, Any]:
        """Let the folder appear, and tell which data sets are in it."""
        target = additions.finish(number)
        found = [name for name, place in state.data.items() if place.is_relative_to(target)]
        return {"folder": target.name, "data": found}

    @router.post("/drop")
    def drop(number: int) -> dict[str, Any]:
        """Give up."""
        additions.drop(number)
        return {}

    return router
