"""Files: only regular ones are read, and a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from photovision.core.errors import DataError, UsageError

_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_OTHERS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file of the user's for reading in binary; nothing else is ever opened or waited for.

    Links are followed. Raises DataError for a pipe, socket, device or folder, which could block for ever or act when
    opened; OSError where the system refuses, as `open` does.

    Example:
        >>> with tempfile.TemporaryDirectory() as top:
        ...     open_regular(top)
        Traceback (most recent call last):
        photovision.core.errors.DataError: ...: is a folder, not a regular file
    """
    _check_regular(path, os.stat(path).st_mode)  # some devices act when they are opened
    handle = os.open(path, _OPEN)
    try:
        _check_regular(path, os.fstat(handle).st_mode)  # it may have been exchanged meanwhile
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _check_regular(path: str | Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _OTHERS if test(mode)), "a device")
        raise DataError(f"{path}: is {kind}, not a regular file")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically; raises UsageError where the disk or the permissions do not allow it."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o666 & ~_umask())  # mkstemp makes files private; a model is to be shared
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write an indented JSON file atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a folder beside `path`, then put it in its place at once; an older folder there is replaced whole.

    Example:
        >>> with tempfile.TemporaryDirectory() as top, new_folder(Path(top) / "model") as folder:
        ...     _ = (folder / "a.txt").write_text("whole or not at all")
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        os.chmod(folder, 0o777 & ~_umask())
        with explained(path):
            yield folder
            for file in folder.rglob("*.safetensors"):  # their library makes them private; a model is to be shared
                os.chmod(file, 0o666 & ~_umask())
            old = folder.with_name(folder.name + ".old")
            if path.exists():
                os.replace(path, old)
            os.replace(folder, path)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UsageError(
                f"no space left on the disk of {path}: free some space and run the same command again"
            ) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise UsageError(f"cannot write {path} ({error.strerror}): choose another folder with --output") from None
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
