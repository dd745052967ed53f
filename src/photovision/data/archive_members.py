"""The members of zip and tar archives, one after the other, within bounds of number, bytes and compression."""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from photovision.core.errors import DataError
from photovision.core.files import open_regular

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")
_OTHERS = (".rar", ".7z", ".tar.zst", ".tzst", ".tar.lz4", ".tar.z", ".cab", ".arj", ".iso", ".dmg")
_MAGIC = (b"Rar!\x1a\x07", b"7z\xbc\xaf\x27\x1c", b"\x28\xb5\x2f\xfd")
MAX_MEMBERS = 1_000_000
MAX_BYTES = 1 << 38
MAX_RATIO = 200
"""Bytes unpacked for each byte of the archive, where these are more than `_ALWAYS`."""
_ALWAYS = 1 << 28
_MAX_BLOCK = 1 << 24
_MAX_LZMA = 1 << 28


class OutOfBounds(DataError):
    """An archive is larger than any data set should be."""


class ArchiveBudget:
    """What may still be unpacked of one archive, and what was left out of it.

    Args:
        path: the archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = max(path.stat().st_size, 1)
        self.members = self.bytes = 0
        self.left_out: dict[str, tuple[int, str]] = {}

    def count(self) -> None:
        """One more member; raises DataError beyond the bound."""
        self.members += 1
        if self.members > MAX_MEMBERS:
            raise OutOfBounds(
                f"{self.path} holds more than {MAX_MEMBERS:,} files: unpack it yourself and give the folder"
            )

    def take(self, size: int) -> None:
        """So many bytes more; raises DataError beyond the bounds."""
        self.bytes += size
        if self.bytes > MAX_BYTES or self.bytes > max(_ALWAYS, MAX_RATIO * self.size):
            raise OutOfBounds(
                f"{self.path} unpacks to more than {self.bytes:,} bytes, far more than pictures do: where it can be"
                " trusted, unpack it yourself and give the folder"
            )

    def leave_out(self, kind: str, name: str) -> None:
        """Count a member that is not unpacked, and name the first."""
        count, first = self.left_out.get(kind, (0, name[:200]))
        self.left_out[kind] = (count + 1, first)


class Member(NamedTuple):
    """One entry: its name as the archive gives it, what it is, and how to read its next bytes."""

    name: str
    is_file: bool
    is_folder: bool
    read: Callable[[int], bytes]


class _Source(Protocol):
    def read(self, size: int, /) -> bytes: ...


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar archive by its name and first bytes.

    Raises:
        DataError: it is an archive of another kind.
    """
    name = path.name.lower()
    with open_regular(path) as file:
        head = file.read(8)
    if name.endswith(_OTHERS) or head.startswith(_MAGIC):
        raise DataError(f"{path} is an archive of a kind that is not read here (zip and tar are): unpack it first")
    return name.endswith(SUFFIXES)


def members_of(path: Path, budget: ArchiveBudget) -> Iterator[Member]:
    """The members in their order; each is read before the next is asked for.

    Raises:
        DataError: the archive is damaged, encrypted, or holds too many members.
    """
    try:
        with open_regular(path) as file:
            of_kind = _of_zip if file.read(2) == b"PK" else _of_tar
            file.seek(0)
            yield from of_kind(path, file, budget)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, lzma.LZMAError, struct.error, ValueError) as error:
        raise DataError(f"{path} is no whole archive ({str(error)[:100]}): copy or download it again") from None
    except (gzip.BadGzipFile, NotImplementedError) as error:
        raise DataError(f"{path} cannot be unpacked ({str(error)[:100]}): unpack it first") from None


def _of_zip(path: Path, file: BinaryIO, budget: ArchiveBudget) -> Iterator[Member]:
    _few_entries(path, file)
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            budget.count()
            if info.flag_bits & 1:
                raise DataError(f"{path} is encrypted: unpack it with its password, and give the folder")
            mode = info.external_attr >> 16
            plain = not stat.S_IFMT(mode) or stat.S_ISREG(mode)
            if info.is_dir() or not plain:
                yield Member(info.filename, False, info.is_dir(), lambda size: b"")
                continue
            with archive.open(info) as stream:
                yield Member(info.filename, True, False, _counted(stream.read, budget))


def _counted(read: Callable[[int], bytes], budget: ArchiveBudget) -> Callable[[int], bytes]:
    def counted(size: int) -> bytes:
        block = read(size)
        budget.take(len(block))
        return block

    return counted


def _few_entries(path: Path, file: BinaryIO) -> None:
    """Raise DataError where the table of contents, which is read into memory whole, is far too long."""
    file.seek(0, 2)
    size = file.tell()
    file.seek(max(0, size - 66_000))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if 0 <= at <= len(tail) - 20:
        entries, length = struct.unpack("<HL", tail[at + 10 : at + 16])
        wide = tail.rfind(b"PK\x06\x06", 0, at)
        if entries == 0xFFFF or length == 0xFFFFFFFF:
            entries, length = struct.unpack("<QQ", tail[wide + 32 : wide + 48]) if wide >= 0 else (entries, length)
        if entries > MAX_MEMBERS or length > 300 * MAX_MEMBERS:
            raise OutOfBounds(f"{path} holds more than {MAX_MEMBERS:,} files: unpack it yourself and give the folder")
    file.seek(0)


def _of_tar(path: Path, file: BinaryIO, budget: ArchiveBudget) -> Iterator[Member]:
    stream = _Forward(_decompressed(file), budget)
    with tarfile.open(fileobj=stream, mode="r:") as archive:  # type: ignore[call-overload]
        while (info := archive.next()) is not None:
            budget.count()
            archive.members = []  # it would keep all
            if not info.isfile() or info.issparse():
                yield Member(info.name, False, info.isdir(), lambda size: b"")
                continue
            yield Member(info.name, True, False, archive.extractfile(info).read)


def _decompressed(file: BinaryIO) -> _Source:
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if head.startswith(b"\xfd7zXZ"):
        return _Xz(file)
    return file


class _Xz:
    """The bytes of an xz file, with bounded memory: its header may ask for gigabytes."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.rest = file, b""
        self.decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_LZMA)

    def read(self, size: int, /) -> bytes:
        if self.decoder.eof:
            return b""
        while True:
            fed = self.file.read(1 << 16) if self.decoder.needs_input else b""
            if self.decoder.needs_input and not fed:
                raise EOFError("it ends early")
            found = self.decoder.decompress(fed, size)
            if found or self.decoder.eof:
                return found


class _Forward:
    """A stream that is read once from its beginning: what tarfile wants is `read`, `tell` and steps forward.

    Args:
        source: the bytes.
        budget: what may be read.
    """

    def __init__(self, source: _Source, budget: ArchiveBudget) -> None:
        self.source, self.budget, self.position = source, budget, 0

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > _MAX_BLOCK:  # a header that claims to be longer than any
            raise tarfile.ReadError("a header is far too long")
        blocks, left = [], size
        while left and (block := self.source.read(left)):
            blocks.append(block)
            left -= len(block)
            self.budget.take(len(block))
        self.position += size - left
        return b"".join(blocks)

    def tell(self) -> int:
        return self.position

    def seek(self, position: int, whence: int = 0) -> int:
        if whence != 0 or position < self.position:
            raise tarfile.ReadError("its parts are not in order")
        while self.position < position:
            if not self.read(min(_MAX_BLOCK, position - self.position)):
                raise EOFError("it ends early")
        return self.position
