"""Zip and tar archives as data sets: unpacked once into the cache, within bounds, then read like a folder.

Archives come from strangers. Only regular files are unpacked: links, devices and pipes are left out and counted, names
that lead out of the folder, too. The number of files, their bytes and how far they are compressed are bounded, so that
a small archive cannot fill the disk or the memory. Archives in archives are unpacked once more.

The folder lies in the user's cache (`photovision/archives`), is used again while the archive has the same size and
time, and appears whole or not at all, also where two commands need it at once. What was not used for a month goes when
the next archive is unpacked.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from photovision.core.errors import DataError
from photovision.core.files import explained, open_regular, write_json
from photovision.core.system import cache_folder
from photovision.data.archive_members import SUFFIXES, ArchiveBudget, Member, OutOfBounds, members_of
from photovision.data.formats.tree import JUNK

MONTH = 30 * 24 * 3600
_KEPT_FREE = 1 << 28
"""Bytes that are left free on the disk."""
_LEFT_OUT = ".left-out.json"
_DEPTH = 2
_CHUNK = 1 << 20


def unpacked(path: Path) -> Path:
    """The folder with the files of an archive.

    Raises:
        DataError: the archive is damaged, encrypted, of a kind that is not known here, or larger than the bounds.
        UsageError: the disk is full, or the cache may not be written.
    """
    facts = path.stat()
    mark = f"{os.path.realpath(path)}|{facts.st_size}|{facts.st_mtime_ns}|{facts.st_ctime_ns}"
    top = cache_folder() / "archives"
    stem = "".join(c for c in path.name.split(".")[0] if c.isalnum() or c in "-_")[:40] or "data"
    folder = top / f"{stem}-{hashlib.sha256(mark.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}"
    with explained(top):
        top.mkdir(parents=True, exist_ok=True)
        with _alone(top / f".{folder.name}.lock"):
            if not folder.is_dir():
                _tidy(top, folder.name)
                _unpack(path, folder)
            os.utime(folder)
    return folder


def left_out(folder: Path) -> dict[str, tuple[int, str]]:
    """Why members of the archive were left out -> how many, and the first of them."""
    try:
        with open_regular(folder / _LEFT_OUT) as file:
            return {kind: (count, first) for kind, (count, first) in json.load(file).items()}
    except (OSError, ValueError):
        return {}


def _unpack(path: Path, folder: Path) -> None:
    """Unpack beside the folder's place, then put all of it there at once."""
    part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        budget = ArchiveBudget(path)
        _fill(path, part, budget, _DEPTH)
        write_json(part / _LEFT_OUT, budget.left_out)
        os.chmod(part, 0o755)
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _fill(path: Path, folder: Path, budget: ArchiveBudget, depth: int) -> None:
    inner = []
    for member in members_of(path, budget):
        target = _target(folder, member, budget)
        if target is None:
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as file:
                _copy(member, file, folder, budget)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            budget.leave_out("named like another one", member.name)
            continue
        except DamagedMember:
            target.unlink()
            budget.leave_out("damaged", member.name)
            continue
        if target.name.lower().endswith(SUFFIXES):
            inner.append(target)
    for archive in inner if depth > 1 else ():
        name = archive.name.split(".")[0] or "inner"
        place = Path(tempfile.mkdtemp(dir=archive.parent, prefix=f"{name}~"))
        try:
            _fill(archive, place, budget, depth - 1)
        except OutOfBounds:
            raise
        except DataError:
            budget.leave_out("an archive that cannot be unpacked", archive.relative_to(folder).as_posix())
        os.chmod(place, 0o755)
        archive.unlink()
        with contextlib.suppress(OSError):  # where nothing else has the name
            place.rename(archive.with_name(name))


class DamagedMember(Exception):
    """A member whose bytes are not what the archive says of them."""


def _copy(member: Member, file: BinaryIO, folder: Path, budget: ArchiveBudget) -> None:
    size = 0
    while True:
        try:
            block = member.read(_CHUNK)
        except gzip.BadGzipFile:
            raise DamagedMember from None
        except (OSError, DataError):
            raise
        except Exception:  # zlib, lzma and struct raise what they like for damaged bytes
            raise DamagedMember from None
        if not block:
            return
        size += len(block)
        if size % (64 * _CHUNK) < _CHUNK and shutil.disk_usage(folder).free < _KEPT_FREE:
            raise DataError(
                f"{budget.path}: no space left to unpack it in {folder.parent}: free some space, or set XDG_CACHE_HOME"
            )
        file.write(block)


def _target(folder: Path, member: Member, budget: ArchiveBudget) -> Path | None:
    """Where a member is written; None where it is nothing to write."""
    name = member.name.replace("\\", "/")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if member.is_folder or not parts:
        return None
    if any(part in JUNK or part.startswith("._") or part == ".DS_Store" for part in parts):
        return None
    if not member.is_file:
        budget.leave_out("a link, device or pipe", member.name)
        return None
    if name.startswith("/") or ".." in parts or parts[0].endswith(":") or "\0" in name:
        budget.leave_out("leading out of the archive", member.name)
        return None
    if any(len(os.fsencode(part)) > 255 for part in parts) or len(parts) > 100 or len(os.fsencode(name)) > 2000:
        budget.leave_out("with a name that is too long", member.name)
        return None
    return folder.joinpath(*parts)


def _tidy(top: Path, name: str) -> None:
    """Remove what an interrupted command left, and folders that nobody used for a month."""
    old = time.time() - MONTH
    for entry in top.iterdir():
        if entry.is_symlink() or not entry.is_dir():
            continue
        if entry.name.startswith(f".{name}.") or entry.stat().st_mtime < old:
            shutil.rmtree(entry, ignore_errors=True)


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Held by one process at a time; let go when it ends in any way."""
    with file.open("a+b") as handle:
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
