"""Files: only regular ones are read, and a reader sees the old one or the new one, never half of one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from photovision.core.address import RemotePath, member_at, read_address, size_at
from photovision.core.errors import DataError, PhotovisionError, UsageError

_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
_LONGEST = 180  # bytes of a name: what is written beside it has a longer one, and 255 is the limit
_FULL = ("No space left", "disk is full", "os error 28")  # how libraries say it that hide the system's number
_ADVICE = {
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EIO: "check the disk, or choose another one with --output",
    errno.EBUSY: "it is in use, or a mount point; name a folder in it with --output",
    errno.EMFILE: "allow more open files with 'ulimit -n'",
    errno.ELOOP: "links lead in a circle; choose another folder with --output",
}
_OTHERS = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file of the user's for reading in binary; nothing else is ever opened or waited for.

    Links are followed. Members of tar shards and what lies at an address (see `core.address`) are read whole. Raises
    DataError for a pipe, socket, device or folder, which could block for ever or act when opened, and for an address
    that cannot be read; OSError where the system refuses, as `open` does.

    Example:
        >>> with tempfile.TemporaryDirectory() as top:
        ...     open_regular(top)
        Traceback (most recent call last):
        photovision.core.errors.DataError: ...: is a folder, not a regular file
    """
    if isinstance(path, RemotePath):
        return io.BytesIO(read_address(path))
    try:
        mode = os.stat(path).st_mode
    except NotADirectoryError:
        return _open_member(path)
    _check_regular(path, mode)  # some devices act when they are opened
    handle = os.open(path, _OPEN)
    try:
        _check_regular(path, os.fstat(handle).st_mode)  # it may have been exchanged meanwhile
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _open_member(path: str | Path) -> BinaryIO:
    """A member of a tar shard; raises NotADirectoryError for the path of none."""
    member = member_at(path)
    if member is None:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), os.fspath(path))
    with open_regular(member.shard) as shard:
        size = os.fstat(shard.fileno()).st_size
        if member.offset + member.length > size:
            raise DataError(f"{path}: lies beyond the end of the shard, which has {size:,} bytes: copy the shard again")
        shard.seek(member.offset)
        return io.BytesIO(shard.read(member.length))


def read_file(path: str | Path) -> bytes:
    """All bytes of what `open_regular` opens; raises what it raises."""
    with open_regular(path) as file:
        return file.read()


def version_of(path: Path) -> tuple[str, int, int]:
    """What changes when a file does: its whole path, its size in bytes and its time in ns, those of a member's shard.

    Raises OSError where it is not there. What lies at an address has no time.
    """
    member = member_at(path)
    if isinstance(path, RemotePath):
        return path.uri, size_at(path) if member is None else member.length, 0
    try:
        facts = os.stat(path)
    except NotADirectoryError:
        if member is None:
            raise
        return os.path.abspath(path), member.length, os.stat(member.shard).st_mtime_ns
    return os.path.realpath(path), facts.st_size, facts.st_mtime_ns


def _check_regular(path: str | Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _OTHERS if test(mode)), "a device")
        raise DataError(f"{path}: is {kind}, not a regular file")


def beside(path: Path, suffix: str) -> Path:
    """A hidden name in the same folder for what belongs to `path`; long names are shortened to a digest.

    Example:
        >>> beside(Path("models/cats"), "work").as_posix()
        'models/.cats.work'
    """
    name = path.name
    if len(os.fsencode(name)) > _LONGEST:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()[:32]
    return path.parent / f".{name}.{suffix}"


def write_bytes(path: Path, content: bytes, mode: int | None = None) -> None:
    """Write a file whole and lasting, or not at all.

    Args:
        path: an older file there is replaced.
        content: all of it.
        mode: its permissions from the first moment on; None leaves them to the umask.

    Raises:
        UsageError: the disk or the permissions do not allow it.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        start = beside(path, "")
        handle, name = tempfile.mkstemp(dir=start.parent, prefix=start.name)
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), 0o666 & ~umask() if mode is None else mode)  # mkstemp makes files private
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            put(Path(name), path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def write_text(path: Path, content: str) -> None:
    """Write a UTF-8 text file atomically."""
    write_bytes(path, content.encode("utf-8"))


def write_json(path: Path, value: Any, mode: int | None = None) -> None:
    """Write an indented JSON file atomically."""
    document = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_bytes(path, document.encode("utf-8"), mode)


def put(part: Path, path: Path) -> None:
    """Move a finished file to its place; an older one there is replaced, and the move survives a power cut."""
    os.replace(part, path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):  # no way to do it for folders there
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what goes wrong in writing `path` into one line that says what to do: a UsageError."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        if error.errno is None and not _is_full(error):  # of a library that calls other things so, such as a network
            raise
        raise UsageError(in_words(error, path)) from None
    except Exception as error:
        if isinstance(error, PhotovisionError) or not _is_full(error):
            raise
        raise UsageError(in_words(error, path)) from None


def in_words(error: Exception, path: str | Path | None) -> str:
    """What the system refused, in one line that says what to do.

    Args:
        error: an OSError, or what a library raised because of one.
        path: what was being written, None where that is not known.

    Example:
        >>> in_words(OSError(errno.EIO, "Input/output error"), "model")
        'cannot write model (Input/output error): check the disk, or choose another one with --output'
    """
    reason, other = getattr(error, "strerror", None) or str(error), getattr(error, "filename", None)
    named = os.fsdecode(other) if isinstance(other, bytes | str) else None
    if _is_full(error):
        where = path or named
        return f"no space left on the disk{f' of {where}' if where else ''}: free some and run the same command again"
    if path is None or (named is not None and not _related(named, path)):
        return f"cannot use {named or 'a file'} ({reason}): check that it is there and may be read and written"
    advice = _ADVICE.get(getattr(error, "errno", None) or 0, "choose another folder with --output")
    return f"cannot write {path} ({reason}): {advice}"


def _is_full(error: Exception) -> bool:
    """Whether a disk or a quota is full; libraries in C report a short write without the system's number."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    text = str(error)
    short = type(error) is OSError and ("written" in text or "writing" in text)
    return short or any(words in text for words in _FULL)


def _related(name: str, path: str | Path) -> bool:
    above, full = os.path.abspath(Path(path).parent), os.path.abspath(name)
    return full.startswith(above) or above.startswith(full)


def umask() -> int:
    """The permissions that new files of this process lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
