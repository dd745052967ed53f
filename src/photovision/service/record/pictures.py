"""Pictures that a record keeps: files in a folder, named by their content."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from photovision.core.errors import RecordError

_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{64}\.(jpg|png|webp|picture)")
_BEGINNINGS = ((b"\xff\xd8\xff", "jpg"), (b"\x89PNG", "png"), (b"RIFF", "webp"))


def keep(folder: Path, content: bytes) -> str:
    """Write a picture unless it is there, atomically, and return its name within the folder.

    The file is not forced to the disk: it survives the end of the process, but may be lost with the power.

    Raises:
        RecordError: the folder cannot be written.
    """
    digest = hashlib.sha256(content).hexdigest()
    ending = next((ending for beginning, ending in _BEGINNINGS if content.startswith(beginning)), "picture")
    name = f"{digest[:2]}/{digest}.{ending}"
    with _explained(folder):
        path = folder / name
        if path.exists():
            return name
        _private_folder(folder)
        _private_folder(path.parent)
        with _unfinished(path.parent) as unfinished:
            unfinished.write_bytes(content)
            os.replace(unfinished, path)
    return name


def check(folder: Path) -> None:
    """Raise RecordError where no picture could be kept now."""
    with _explained(folder):
        _private_folder(folder)
        with _unfinished(folder) as unfinished:
            unfinished.write_bytes(b"check")


def find(folder: Path, name: str) -> bytes | None:
    """The content of a picture that `keep` named; None where it is gone."""
    if not _NAME.fullmatch(name):
        return None  # the table may have been written by others, and a name must not lead out of the folder
    try:
        return (folder / name).read_bytes()
    except OSError:
        return None


def remove(folder: Path, name: str) -> None:
    """Delete a picture that `keep` named, if it is there."""
    if _NAME.fullmatch(name):
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def _private_folder(folder: Path) -> None:
    """Make a folder that its owner alone may look into, whatever the umask; one that is there is left as it is."""
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # another process was faster
            folder.mkdir(mode=0o700)
            folder.chmod(0o700)


@contextlib.contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(dir=folder, prefix=".")
    os.fchmod(handle, 0o600)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(
            f"cannot keep a picture in {folder} ({error.strerror}): check space and permissions"
        ) from None
