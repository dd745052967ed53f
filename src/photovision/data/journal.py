"""A journal: a table beside the pictures of a data set to which rows are only ever added, whatever happens meanwhile.

Threads and processes share it safely, a row is on the disk before it is confirmed, and one that was cut off by a crash
does not count. Data sets come from strangers: a table that is a link to another place is neither read nor written.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from photovision.core.errors import DataError, UsageError
from photovision.core.files import explained, open_regular
from photovision.core.text import cells

Add = Callable[[Iterable[Sequence[str]]], None]
"""Adds rows, and returns when they are on the disk."""
Row = dict[Any, Any]
"""Column -> cell; None for cells without a column."""


class TableJournal:
    """A table of rows that are never changed.

    Args:
        file: the table; it is made with the first row.
        columns: their names.
    """

    def __init__(self, file: Path, columns: Sequence[str]) -> None:
        self.file, self.columns = file, tuple(columns)

    def state(self) -> tuple[int, int, int] | None:
        """Another value after the table was changed; None where there is none."""
        try:
            facts = self.file.stat()
        except OSError:
            return None
        return facts.st_ino, facts.st_size, facts.st_mtime_ns

    def rows(self) -> Iterator[tuple[str, Row]]:
        """Where each row stands, in words, and its cells by column; raises DataError for a damaged table."""
        file = self.file
        if file.is_symlink() and not file.resolve().is_relative_to(file.parent.resolve()):
            raise DataError(
                f"{file} is a link that leads out of the data set: put the table itself there, or remove it"
            )
        with open_regular(file) as opened:
            content = opened.read()
        text = content[: content.rfind(b"\n") + 1].decode("utf-8-sig", "replace")
        table = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        try:
            missing = [] if not text else [name for name in self.columns if name not in (table.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{file} should have the columns {', '.join(self.columns)}, it lacks {missing[0]}: mend or move it"
                )
            for row in table:
                yield f"{file}, line {table.line_num}", dict(row)
        except csv.Error as error:
            where = f"{file}, line {table.line_num}"
            raise DataError(f"{where}: not readable as CSV ({error}): correct that line") from None

    @contextmanager
    def adding(self, purpose: str) -> Iterator[Add]:
        """A function that adds rows, while no other thread or process does.

        Args:
            purpose: what the person wanted, for the message: "to correct labels".

        Raises:
            UsageError: the table cannot be written.
        """
        if self.file.is_symlink():  # data come from strangers, and a link may lead to anything
            raise UsageError(f"{self.file} is a link to another place: put the table itself there {purpose}")
        if self.file.exists() and not self.file.is_file():
            raise UsageError(f"{self.file} is no regular file: remove it {purpose}")
        with explained(self.file), _alone(self.file) as file:
            yield lambda rows: self._append(file, rows)

    def _append(self, file: BinaryIO, rows: Iterable[Sequence[str]]) -> None:
        """Add rows in one write, and wait until they are on the disk."""
        size = file.seek(0, os.SEEK_END)
        whole = _whole(file, size)
        if whole < size:  # a row that was cut off by a crash was never confirmed to anybody
            file.truncate(whole)
        page = io.StringIO()
        table = csv.writer(page, lineterminator="\n")
        if not whole:
            table.writerow(self.columns)
        table.writerows(cells(row) for row in rows)
        file.write(page.getvalue().encode("utf-8"))
        os.fsync(file.fileno())


@contextmanager
def _alone(path: Path) -> Iterator[BinaryIO]:
    """The table opened to add to it, while no other process does; Windows keeps others out by itself less strictly."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b", buffering=0) as file:
        try:
            import fcntl
        except ImportError:
            yield file
            return
        fcntl.flock(file, fcntl.LOCK_EX)  # let go when the file is closed, also by a killed process
        yield file


def _whole(file: BinaryIO, size: int) -> int:
    """How many bytes belong to rows that were written to their end."""
    if size == 0:
        return 0
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1
