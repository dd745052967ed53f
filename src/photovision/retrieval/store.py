"""The store of an index: files, facts and vectors in one SQLite database, which is whole after every crash.

Every vector carries a checksum (CRC-32), since one that a disk damaged would only be found less well.

What is deleted is overwritten (`secure_delete`), and `forget` empties the write-ahead log and rewrites the file, so
that no byte of it stays.
"""

from __future__ import annotations

import json
import os
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from photovision.core.database import connected, transaction
from photovision.core.errors import ModelError
from photovision.core.files import explained
from photovision.core.types import Floats, Ints
from photovision.data.near_duplicates import Looks
from photovision.retrieval.features import PictureFacts

_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrays (name TEXT PRIMARY KEY, shape TEXT NOT NULL, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (
  id INTEGER PRIMARY KEY AUTOINCREMENT, file BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL, modified INTEGER NOT NULL,
  device INTEGER NOT NULL, inode INTEGER NOT NULL, content BLOB NOT NULL, pixels BLOB NOT NULL, height INTEGER NOT NULL,
  width INTEGER NOT NULL, hash BLOB NOT NULL, colour BLOB NOT NULL, detail INTEGER NOT NULL, contrast REAL NOT NULL,
  taken TEXT, vector BLOB);
CREATE INDEX IF NOT EXISTS by_content ON pictures (content);
CREATE INDEX IF NOT EXISTS by_pixels ON pictures (pixels);
CREATE TABLE IF NOT EXISTS embeddings (id INTEGER PRIMARY KEY, value BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS left_out (
  file BLOB PRIMARY KEY, bytes INTEGER NOT NULL, modified INTEGER NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;
"""
_AT_ONCE = 500  # parameters of one statement
VECTOR = np.dtype("<f2")
_SUM = 4  # bytes of a checksum
_DAMAGED = "vectors of the index are damaged: make it again in another folder"


class FileFacts(NamedTuple):
    """What the file system says of a file; where all of it is as before, the file is not read again."""

    bytes: int
    modified: int
    device: int
    inode: int

    @classmethod
    def of(cls, path: str | Path) -> FileFacts:
        """Of the file that a path leads to; raises OSError."""
        facts = os.stat(path)
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_dev, facts.st_ino)


class IndexedFile(NamedTuple):
    """A picture of an index.

    Attributes:
        id: which no other picture ever has, of this index.
        file: its path below the folder, with "/".
        facts: of its file, when it was read.
        content, pixels: see `PictureFacts`.
        size: (H, W) in pixels.
        taken: when the camera took it, as the file says.
    """

    id: int
    file: str
    facts: FileFacts
    content: bytes
    pixels: bytes
    size: tuple[int, int]
    taken: str | None


_COLUMNS = "id, file, bytes, modified, device, inode, content, pixels, height, width, taken"


class Store:
    """An open database; used by one thread at a time.

    Args:
        path: its file, which is made where it is missing, if it may be.
        create: whether it may.

    Raises:
        ModelError: the file is no such database.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.is_file():
            raise ModelError(f"{path} is missing: make the index again with 'photovision index'")
        try:
            self._db = connected(path)
            if create:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.executescript(_TABLES)
            self._db.execute("SELECT count(*) FROM facts").fetchone()
        except sqlite3.Error as error:
            raise ModelError(f"{path} is no index of pictures ({error}): make it again in another folder") from None
        self.path = path

    def close(self) -> None:
        """Close it; a further use is an error."""
        self._db.close()

    def transaction(self) -> AbstractContextManager[None]:
        """See `photovision.core.database.transaction`."""
        return transaction(self._db, self.path, "the index")

    @property
    def version(self) -> int:
        """A number that changes when another process, or another opened store, has written."""
        return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def fact(self, name: str, otherwise: Any = None) -> Any:
        """A value that `set_fact` kept."""
        row = self._db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return otherwise if row is None else json.loads(row[0])

    def set_fact(self, name: str, value: Any) -> None:
        """Keep a JSON-ready value."""
        self._db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value, allow_nan=False)))

    def array(self, name: str) -> Floats | None:
        """A float32 array that `set_array` kept; None where there is none."""
        row = self._db.execute("SELECT shape, value FROM arrays WHERE name = ?", (name,)).fetchone()
        return None if row is None else np.frombuffer(_checked(row[1]), "<f4").reshape(json.loads(row[0])).copy()

    def set_array(self, name: str, value: Floats) -> None:
        """Keep a float32 array."""
        row = (name, json.dumps(value.shape), _with_sum(np.ascontiguousarray(value, "<f4").tobytes()))
        self._db.execute("INSERT OR REPLACE INTO arrays VALUES (?, ?, ?)", row)

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM pictures").fetchone()[0])

    def files(self) -> dict[str, tuple[int, FileFacts]]:
        """Path -> id and facts of every picture."""
        rows = self._db.execute("SELECT file, id, bytes, modified, device, inode FROM pictures")
        return {os.fsdecode(file): (number, FileFacts(*facts)) for file, number, *facts in rows}

    def left_out(self) -> dict[str, tuple[int, int, str]]:
        """Path -> size, time of change, and why, of every file that is not in the index."""
        rows = self._db.execute("SELECT file, bytes, modified, reason FROM left_out ORDER BY file")
        return {os.fsdecode(file): (size, modified, reason) for file, size, modified, reason in rows}

    def add(self, file: str, facts: FileFacts, picture: PictureFacts, vector: Floats | None, embedding: Floats) -> int:
        """Add a picture in place of an earlier one of that path, and return its id.

        Its embedding is kept where it has no vector yet, or where the spaces may change.
        """
        self.remove_files([file])
        looks = picture.looks
        values = (
            *(os.fsencode(file), *facts, picture.content, picture.pixels, *picture.size),
            *(looks.hash.tobytes(), looks.colour.tobytes(), looks.detail, looks.contrast, picture.taken),
            None if vector is None else packed(vector),
        )
        marks = ", ".join("?" * len(values))
        columns = f"{_COLUMNS[4:].removesuffix(', taken')}, hash, colour, detail, contrast, taken, vector"
        number = int(self._db.execute(f"INSERT INTO pictures ({columns}) VALUES ({marks})", values).lastrowid or 0)
        if len(embedding):
            self._db.execute("INSERT INTO embeddings VALUES (?, ?)", (number, packed(embedding)))
        return number

    def leave_out(self, file: str, facts: FileFacts, reason: str) -> None:
        """Note why a file is not in the index."""
        self.remove_files([file])
        row = (os.fsencode(file), facts.bytes, facts.modified, reason)
        self._db.execute("INSERT OR REPLACE INTO left_out VALUES (?, ?, ?, ?)", row)

    def same_file(self, number: int, file: str, facts: FileFacts) -> None:
        """A picture has another path or time now, and the same content."""
        self.remove_files([file], but=number)
        self._db.execute(
            "UPDATE pictures SET file = ?, bytes = ?, modified = ?, device = ?, inode = ? WHERE id = ?",
            (os.fsencode(file), *facts, number),
        )

    def remove_files(self, files: Iterable[str], but: int = -1) -> list[int]:
        """Remove pictures and notes of paths; returns the ids of the pictures that were there."""
        gone: list[int] = []
        for file in files:
            name = os.fsencode(file)
            rows = self._db.execute("SELECT id FROM pictures WHERE file = ? AND id != ?", (name, but)).fetchall()
            gone += [int(number) for (number,) in rows]
            self._db.execute("DELETE FROM left_out WHERE file = ?", (name,))
        for number in gone:
            self._db.execute("DELETE FROM pictures WHERE id = ?", (number,))
            self._db.execute("DELETE FROM embeddings WHERE id = ?", (number,))
        return gone

    def scrub(self) -> None:
        """Rewrite the database, so that nothing that was removed can be found in its files."""
        with explained(self.path):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def pictures(self, ids: Sequence[int] | Ints | None = None) -> dict[int, IndexedFile]:
        """Pictures by id, all of them if None; ids that are not there are left out."""
        if ids is None:
            return {row[0]: _indexed(row) for row in self._db.execute(f"SELECT {_COLUMNS} FROM pictures ORDER BY id")}
        found = {}
        for start in range(0, len(ids), _AT_ONCE):
            part = [int(number) for number in ids[start : start + _AT_ONCE]]
            marks = ", ".join("?" * len(part))
            rows = self._db.execute(f"SELECT {_COLUMNS} FROM pictures WHERE id IN ({marks})", part)
            found.update({row[0]: _indexed(row) for row in rows})
        return found

    def equal(self, content: bytes, pixels: bytes) -> list[IndexedFile]:
        """Pictures whose file, or whose pixels, are the same to the last bit."""
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM pictures WHERE content = ? OR pixels = ? ORDER BY id", (content, pixels)
        )
        return [_indexed(row) for row in rows]

    def with_content(self, content: bytes) -> list[IndexedFile]:
        """Pictures whose file has the same bytes."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM pictures WHERE content = ? ORDER BY id", (content,))
        return [_indexed(row) for row in rows]

    def vectors(self, after: int = -1) -> tuple[Ints, Floats]:
        """int64 (N,) ids in order, and float16 (N, K) their vectors; of pictures added after an id."""
        rows = self._db.execute(
            "SELECT id, vector FROM pictures WHERE vector IS NOT NULL AND id > ? ORDER BY id", (after,)
        ).fetchall()
        return _columns(rows)

    def vectors_of(self, ids: Sequence[int]) -> tuple[Ints, Floats]:
        """int64 (N,) and float16 (N, K): those of these ids that have vectors."""
        rows: list[tuple[int, bytes]] = []
        for start in range(0, len(ids), _AT_ONCE):
            part = list(ids[start : start + _AT_ONCE])
            marks = ", ".join("?" * len(part))
            rows += self._db.execute(
                f"SELECT id, vector FROM pictures WHERE vector IS NOT NULL AND id IN ({marks})", part
            ).fetchall()
        return _columns(rows)

    def embeddings(self) -> tuple[Ints, Floats]:
        """int64 (N,) ids, and float16 (N, D) embeddings, as far as they are kept."""
        return _columns(self._db.execute("SELECT id, value FROM embeddings ORDER BY id").fetchall())

    def set_vectors(self, ids: Ints, vectors: Floats) -> None:
        """Replace the vectors of pictures."""
        rows = ((packed(row), int(number)) for number, row in zip(ids, vectors, strict=True))
        self._db.executemany("UPDATE pictures SET vector = ? WHERE id = ?", rows)

    def drop_arrays(self) -> None:
        """Forget all arrays: there is no picture that they could be of."""
        self._db.execute("DELETE FROM arrays")

    def drop_embeddings(self) -> None:
        """Forget embeddings: the spaces stay as they are from now on."""
        self._db.execute("DELETE FROM embeddings")

    def looks(self) -> tuple[Ints, Looks]:
        """int64 (N,) ids in order, and the looks of their pictures."""
        rows = self._db.execute(
            "SELECT id, content, hash, colour, detail, contrast, width, height FROM pictures ORDER BY id"
        ).fetchall()
        ids, contents, hashes, colours, details, contrasts, widths, heights = (
            zip(*rows, strict=True) if rows else [()] * 8
        )
        return np.array(ids, np.int64), Looks(
            np.array([int.from_bytes(one[:8], "little") for one in contents], np.uint64),
            np.frombuffer(b"".join(hashes), np.uint64).reshape(-1, 4),
            np.frombuffer(b"".join(colours), np.int8).reshape(-1, 32),
            np.array(details, np.uint8),
            np.array(contrasts, np.float32),
            np.array(widths, np.float64) / np.maximum(np.array(heights, np.float64), 1),
        )


def packed(vector: Floats) -> bytes:
    """A vector as float16, little-endian, with its checksum."""
    return _with_sum(np.ascontiguousarray(vector, VECTOR).tobytes())


def _columns(rows: Sequence[tuple[int, bytes]]) -> tuple[Ints, Floats]:
    """int64 (N,) ids, and float16 (N, K) their vectors."""
    if len({len(vector) for _, vector in rows}) > 1:
        raise ModelError(_DAMAGED)
    wide: Any = np.frombuffer(b"".join([_checked(vector) for _, vector in rows]), VECTOR)
    return np.array([number for number, _ in rows], np.int64), wide.reshape(len(rows), -1 if rows else 1)


def _with_sum(content: bytes) -> bytes:
    return content + zlib.crc32(content).to_bytes(_SUM, "little")


def _checked(value: bytes) -> bytes:
    """What `_with_sum` was given; raises ModelError where it was damaged since."""
    content = value[:-_SUM]
    if zlib.crc32(content) != int.from_bytes(value[-_SUM:], "little"):
        raise ModelError(_DAMAGED)
    return content


def _indexed(row: Sequence[Any]) -> IndexedFile:
    number, file, size, modified, device, inode, content, pixels, height, width, taken = row
    facts = FileFacts(size, modified, device, inode)
    return IndexedFile(number, os.fsdecode(file), facts, content, pixels, (height, width), taken)
