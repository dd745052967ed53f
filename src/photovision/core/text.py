"""Names of strangers where a program would obey them: escape sequences on a terminal, formulas in a spreadsheet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TextIO, cast
from unicodedata import combining, east_asian_width

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Control characters of ASCII and of ISO 8859 (which terminals obey as they do ESC), line separators, and what turns the
# direction of writing or is never seen. Tabulators and line ends are what commands print.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""What a spreadsheet takes for a formula, or for our mark before one."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE | re.ASCII)


def printable(text: str) -> str:
    """The text of one cell or name without control characters: terminals obey escape sequences.

    Example:
        >>> printable("a\\x1b[2Jb\\nc") == "a\\ufffd[2Jb\\ufffdc"
        True
    """
    return text if text.isprintable() else "".join(c if c.isprintable() else _REPLACEMENT for c in text)


def width(text: str) -> int:
    """How many columns of a terminal the text takes."""
    if text.isascii():
        return len(text)
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text if not combining(c))


def pad(text: str, wide: int) -> str:
    """The text followed by blanks up to `wide` columns."""
    return text + " " * (wide - width(text))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, in columns as wide as they need.

    Example:
        >>> aligned([("a", "1"), ("long", "2")])
        ['a     1', 'long  2']
    """
    texts = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(width, column)) for column in zip(*texts, strict=True)]
    return ["  ".join(pad(cell, wide) for cell, wide in zip(row, widths, strict=True)).rstrip() for row in texts]


class Guarded:
    """A stream of text for people, on which no control character arrives but tabulators and line ends.

    Args:
        stream: where the text goes; everything but writing is left to it.

    Example:
        >>> import io
        >>> page = Guarded(io.StringIO()); print("a\\x1b]0;b", file=page); page.getvalue() == "a\\ufffd]0;b\\n"
        True
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write it without control characters."""
        self.stream.write(_CONTROLS.sub(_REPLACEMENT, text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write them one after the other."""
        for line in lines:
            self.write(line)

    def __iter__(self) -> Iterator[str]:
        return iter(self.stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guarded(stream: TextIO) -> TextIO:
    """The stream as one of `Guarded`; itself where it is one."""
    return stream if isinstance(stream, Guarded) else cast("TextIO", Guarded(stream))


def unguarded(stream: TextIO) -> TextIO:
    """The stream itself, for a library that moves the cursor; what it shows has to be `printable`."""
    return stream.stream if isinstance(stream, Guarded) else stream


def cells(row: Iterable[Any]) -> list[Any]:
    """A row of a CSV file that no spreadsheet runs: an apostrophe before texts that begin with one of = + - @.

    Numbers stay numbers. `plain_cell` takes the apostrophe away again.

    Example:
        >>> cells(["=1+1", "-2.5", 3, "a-b", "'=x"])
        ["'=1+1", '-2.5', 3, 'a-b', "''=x"]
    """
    return [f"'{cell}" if isinstance(cell, str) and _is_formula(cell) else cell for cell in row]


def plain_cell(cell: str) -> str:
    """What `cells` made a cell from.

    Example:
        >>> plain_cell("'=1+1"), plain_cell("'tis"), plain_cell("-2.5")
        ('=1+1', "'tis", '-2.5')
    """
    return cell[1:] if cell.startswith("'") and _is_formula(cell[1:]) else cell


def _is_formula(cell: str) -> bool:
    return _FORMULA.match(cell) is not None and _NUMBER.fullmatch(cell) is None
