"""Pictures that are no files of their own: members of tar shards, and what lies at addresses such as s3://bucket/1.jpg.

Both are paths, so that they go wherever files go. A member of a tar lies below it, in a folder that is called by its
place: "shard.tar/1536+8123/cat.jpg" are the 8,123 bytes of it from 1,536 on. An address is a `RemotePath`; only code
that a user gave an address to makes one, so no table or name from a stranger leads to the network.
"""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable
from pathlib import Path, PosixPath, WindowsPath
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from photovision.core.errors import DataError, MissingExtra

if TYPE_CHECKING:
    _Base = PosixPath
else:
    _Base = PosixPath if os.name == "posix" else WindowsPath

T = TypeVar("T")
SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "http", "https", "memory")
_ADDRESS = re.compile(rf"^({'|'.join(SCHEMES)})://?(?=[^/])")
_MEMBER = re.compile(r"^(.+?)/(\d{1,18})\+(\d{1,12})/.+$", re.DOTALL)
MAX_MEMBER = 1 << 30
"""Bytes of one member."""
TRIES = 5
_PAUSE = 0.1
_LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class RemotePath(_Base):
    """The address of a picture or shard, as a path: "s3:/bucket/1.jpg" stands for s3://bucket/1.jpg.

    Example:
        >>> (RemotePath("s3://bucket/shards") / "0.tar").uri
        's3://bucket/shards/0.tar'
    """

    @property
    def uri(self) -> str:
        """The address as other programs write it."""
        return _ADDRESS.sub(r"\1://", str(self))


class ByteRange(NamedTuple):
    """Where the bytes of a member lie: `length` bytes of `shard` from `offset` on."""

    shard: Path
    offset: int
    length: int


def is_address(text: object) -> bool:
    """Whether a text is an address that fsspec can open, such as "s3://bucket/pictures"."""
    return isinstance(text, str) and "://" in text and _ADDRESS.match(text) is not None


def member_path(shard: Path, offset: int, length: int, name: str) -> Path:
    """The path of a member; `name` ends in the suffix of its format."""
    return shard / f"{offset}+{length}" / name.rpartition("/")[2]


def member_at(path: str | Path) -> ByteRange | None:
    """The member that a path stands for; None for other paths."""
    found = _MEMBER.match(os.fspath(path))
    if found is None:
        return None
    kind = RemotePath if isinstance(path, RemotePath) else Path
    return ByteRange(kind(found[1]), int(found[2]), int(found[3]))


def filesystem(address: RemotePath) -> tuple[Any, str]:
    """The fsspec file system of an address, and the name there; raises MissingExtra and DataError."""
    try:
        import fsspec
    except ImportError:
        raise MissingExtra("fsspec", f"reading {address.uri}") from None
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(address.uri)
        return found
    except ImportError:
        raise MissingExtra(_LIBRARIES.get(address.uri.split(":")[0], "fsspec"), f"reading {address.uri}") from None
    except ValueError as error:
        raise DataError(f"{address.uri} cannot be opened ({_line(error)}): check the address") from None


def read_address(address: RemotePath) -> bytes:
    """The bytes at an address, or of a member of a shard there. Tried again where a server fails or stops early.

    Raises:
        DataError: it is not there, may not be read, or failed every time.
    """
    member = member_at(address)
    if member is None:
        return read_range(address, 0, None)
    assert isinstance(member.shard, RemotePath)
    return read_range(member.shard, member.offset, member.offset + member.length)


def read_range(address: RemotePath, start: int, stop: int | None) -> bytes:
    """Bytes `start` to `stop` at an address, tried again like `read_address`; fewer than asked for are an error."""
    if stop is not None and stop - start > MAX_MEMBER:
        raise DataError(f"{address.uri}: {stop - start:,} bytes are more than the limit of {MAX_MEMBER:,}")
    files, name = filesystem(address)

    def read() -> bytes:
        if stop is None:
            whole: bytes = files.cat_file(name)
            return whole
        content: bytes = files.cat_file(name, start=start, end=stop)
        if len(content) != stop - start:
            raise EOFError(f"{len(content):,} of {stop - start:,} bytes came")
        return content

    return _tried(read, address)


def size_at(address: RemotePath) -> int:
    """Bytes of what lies at an address."""
    files, name = filesystem(address)
    return _tried(lambda: int(files.size(name) or 0), address)


def stream_of(address: RemotePath) -> io.BytesIO:
    """The bytes at an address as a stream."""
    return io.BytesIO(read_address(address))


def _tried(work: Callable[[], T], address: RemotePath) -> T:
    for attempt in range(1, TRIES + 1):
        try:
            return work()
        except (FileNotFoundError, PermissionError) as error:  # trying again would not help
            raise DataError(f"{address.uri}: {_why(error)}") from None
        except Exception as error:  # the libraries of stores raise what they like
            if _status(error) in (401, 403, 404, 410) or attempt == TRIES:
                raise DataError(f"{address.uri}: {_why(error)}") from None
        time.sleep(_PAUSE * 2**attempt)
    raise AssertionError


def _status(error: Exception) -> int:
    """The status of an answer over HTTP; 0 where there is none."""
    return int(getattr(error, "status", 0) or 0)


def _why(error: Exception) -> str:
    if isinstance(error, FileNotFoundError) or _status(error) in (404, 410):
        return "is not there"
    if isinstance(error, PermissionError) or _status(error) in (401, 403):
        return "may not be read: check the rights of your account there"
    return f"could not be read in {TRIES} tries ({_line(error)})"


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:150]
