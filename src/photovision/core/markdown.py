"""Markdown that keeps names harmless: class names, attributes and file names come from strangers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from photovision.core.report import Metric, cell_text

MAX_ROWS = 30
"""Rows of a table that are shown; the number of the others is stated."""

# Control characters, the ends of lines, what turns the direction of writing, and what no file may hold.
_UNFIT = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]+")
_MARKS = re.compile(r"[\\`*\[\]|~#$]|(?<!\w)_|_(?!\w)")
_ADDRESS = re.compile(r"://|www\.|@", re.IGNORECASE)


def clean(text: str) -> str:
    r"""The text on one line, without characters that no document may hold or that reorder what is read.

    Example:
        >>> clean("a\nb")
        'a b'
    """
    return _UNFIT.sub(" ", text)


def harmless(text: str) -> str:
    """The text so that Markdown shows it as it is: no HTML, no link, no emphasis, on one line.

    Example:
        >>> harmless("<b>*cat*</b> [x](http://y)")
        '&lt;b&gt;\\\\*cat\\\\*&lt;/b&gt; \\\\[x\\\\](http&#58;//y)'
    """
    text = clean(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _MARKS.sub(lambda mark: "\\" + mark[0], text)
    # Addresses become links by themselves where Markdown is shown by GitHub or the Hub.
    return _ADDRESS.sub(lambda found: found[0].replace(":", "&#58;").replace(".", "&#46;").replace("@", "&#64;"), text)


def cell(value: Any) -> str:
    """A cell, harmless: text, a number, None, a Metric, or what `Metric.to_json` made of one."""
    if isinstance(value, Mapping) and "value" in value:
        value = Metric.from_json(value)
    return harmless(cell_text(value))


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], most: int = MAX_ROWS) -> list[str]:
    """Lines of a table with an empty line after it, and how many rows are not shown.

    Example:
        >>> table(("class", "n"), [("a|b", 1200)])
        ['| class | n |', '| --- | --- |', '| a\\\\|b | 1,200 |', '']
    """

    def line(cells: Iterable[Any]) -> str:
        return "| " + " | ".join(cell(value) for value in cells) + " |"

    lines = [line(columns), "|" + " --- |" * len(columns), *(line(row) for row in rows[:most]), ""]
    return [*lines, f"{len(rows) - most:,} more rows are not shown here.", ""] if len(rows) > most else lines


def bullets(sentences: Iterable[str]) -> list[str]:
    """Lines of a list with an empty line after it, every sentence made harmless; none for no sentences."""
    lines = [f"- {harmless(sentence)}" for sentence in sentences]
    return [*lines, ""] if lines else []


def facts(values: Mapping[str, Any]) -> list[str]:
    """Lines of a list of named facts with an empty line after it; those that are None or "" are left out.

    Example:
        >>> facts({"classes": 3, "weights": None})
        ['- **classes:** 3', '']
    """
    lines = [f"- **{harmless(name)}:** {cell(value)}" for name, value in values.items() if value not in (None, "")]
    return [*lines, ""] if lines else []
