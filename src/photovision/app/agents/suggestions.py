"""Suggestions: labels that an agent proposes, as a rater's column of a table that `audit --attributes` reads.

    file_name,rater_agent
    cats/7.jpg,dog

No data set applies them: they are one more opinion, which a person or the rater study of an audit compares with others.
"""

from __future__ import annotations

import re
from pathlib import Path

from photovision.core.errors import UsageError
from photovision.data.journal import TableJournal

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


class Suggestions:
    """The table of an agent's suggestions; rows are only added, and the last one of a picture counts.

    Args:
        file: the table, CSV; it is made with the first suggestion.
        rater: what the agent is called; its column is "rater_" and this.

    Raises:
        UsageError: the name has other letters than A to Z, digits, "_" and "-", or the file does not end in ".csv".
    """

    def __init__(self, file: str | Path, rater: str = "agent") -> None:
        if not _NAME.fullmatch(rater):
            raise UsageError(f"a rater's name has up to 40 letters, digits, '_' and '-', got '{rater[:80]}'")
        if Path(file).suffix.lower() != ".csv":
            raise UsageError(f"{file} should be a table whose name ends in .csv")
        self.column = f"rater_{rater}"
        self._journal = TableJournal(Path(file), ("file_name", self.column))
        if Path(file).exists():
            for _ in self._journal.rows():  # another table of that name is refused before anything is added to it
                break

    @property
    def file(self) -> Path:
        """The table."""
        return self._journal.file

    def add(self, picture: str, label: str) -> None:
        """Add one; raises UsageError where the table cannot be written."""
        with self._journal.adding("to keep suggestions") as add:
            add([(picture, label)])
