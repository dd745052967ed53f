"""What the cells of a row say about its picture: one label, several in one cell, or columns of 0 and 1.

Nothing is guessed in silence: every reading that is not the plainest one is stated in a note.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

from photovision.core.errors import DataError
from photovision.data.formats import clean
from photovision.data.formats.locate import shown
from photovision.data.formats.rows import Row, text_of
from photovision.data.read_options import ReadOptions

SEPARATORS = {"|": "|", ";": ";", ",": ",", "\n": "a line break", "\t": "a tab", "/": "/", "+": "+", " ": "a blank"}
"""What may stand between two labels -> its name in messages, the most telling first."""
_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "t", "x"), 1),
    **dict.fromkeys(("", "false", "no", "n", "f", "nan", "na", "null", "none"), 0),
}
_DISTINCT = 5000
"""So many different cells are looked at for a separator."""


class Unusable(NamedTuple):
    """Why a row gives no target: the kind and message of a `Problem`."""

    kind: str
    message: str


Target = tuple[str, ...] | Unusable


@dataclass(frozen=True)
class Labelling:
    """How rows give targets.

    Attributes:
        target: the names of the true classes of a row, or why there are none.
        multilabel: whether there may be any number of them.
        classes: classes that exist even where no row has them.
        notes: lines on what was recognised.
    """

    target: Callable[[Row], Target]
    multilabel: bool
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def unlabelled(column: str | None) -> Labelling:
    """Rows that need no label; cells of `column`, where there is one, are kept as they are, to tell that they exist."""

    def target(row: Row) -> Target:
        text = "" if column is None else clean(text_of(row.get(column)))
        return (text,) if text else ()

    return Labelling(target, multilabel=True)


def one_column(rows: Sequence[Row], column: str, plural: bool, options: ReadOptions) -> Labelling:
    """Labels from one column: one in each cell, or several, with a separator or as a list.

    Cells are parted at a separator only on evidence. With one between them, the parts recur: at least half of the
    parts (in a column whose name is singular four fifths) occur in two different cells or more, and there are no more
    different parts than different cells (in a singular one fewer, in cells of different lengths). So "scab,rust",
    "rust" and "scab" are two labels in three combinations, while "tench, Tinca tinca" and "golden retriever" are one
    each. In a column whose name is plural, `|` and `;` always separate, in one whose name is singular on the lesser
    evidence; there, blanks and `/` never do.

    Args:
        rows: all rows.
        column: the column.
        plural: whether the name of the column, or the user, says that there may be several labels.
        options: multilabel, label_separator.
    """
    cells = [row.get(column) for row in rows]
    if options.label_separator is not None:
        if not any(options.label_separator in text_of(cell) for cell in cells):
            raise DataError(
                f"no cell of the column '{shown(column)}' has the label separator '{shown(options.label_separator)}':"
                " leave it out, or choose another"
            )
        return _parted(column, options.label_separator, options.multilabel)
    if any(isinstance(cell, list) for cell in cells):
        return _parted(column, None, options.multilabel)
    texts = list(islice(dict.fromkeys(text_of(cell) for cell in cells), _DISTINCT))
    if options.multilabel is False:
        return Labelling(lambda row: _single(row.get(column)), False)
    if any(map(_choices, texts)) or (any(map(_is_list, texts)) and all(_is_list(text) or not text for text in texts)):
        return _parted(column, None, None)
    for separator, name in SEPARATORS.items():
        if _separates(texts, separator, plural):
            note = (
                f"cells of the column '{shown(column)}' hold several labels, with {name} between them"
                " (--label-separator names another one, --single-label takes each cell as one class)"
            )
            return _parted(column, separator, None, note)
    notes = tuple(_doubtful(column, texts, plural))
    if options.multilabel or (plural and "" in texts):
        return _parted(column, None, None, *notes)
    if plural:
        notes = (f"each picture has one label in the column '{shown(column)}': read as single-label", *notes)
    return Labelling(lambda row: _single(row.get(column)), False, notes=notes)


def indicators(rows: Sequence[Row], columns: Sequence[str], options: ReadOptions) -> Labelling:
    """Labels from columns of 0 and 1, one for each class; blank is 0, and -1 what the user says.

    Raises DataError where there is a -1 and no option for it, or where rows do not have exactly one 1 each and neither
    several labels nor one were asked for.
    """
    counts = Counter(flag(row.get(column)) for row in rows for column in columns)
    if counts[-1] and options.uncertain is None:
        raise DataError(
            f"{counts[-1]:,} cells of the columns of 0 and 1 are -1, which often means uncertain: choose with"
            " --uncertain negative, positive or ignore (leaves these pictures out)"
        )
    as_flag = {1: 1, 0: 0, None: 0, -1: 1 if options.uncertain == "positive" else 0}
    names = {column: clean(column) for column in columns}

    def target(row: Row) -> Target:
        flags = {column: flag(row.get(column)) for column in columns}
        if options.uncertain == "ignore" and -1 in flags.values():
            return Unusable("uncertain", "the table is uncertain (-1) about this picture")
        return tuple(sorted(names[column] for column, value in flags.items() if as_flag[value]))

    notes = [f"{len(columns)} columns of 0 and 1 are the classes: {_listed(columns)}"]
    if counts[-1]:
        done = {"ignore": "their pictures are left out", "positive": "taken as 1", "negative": "taken as 0"}
        notes.append(f"{counts[-1]:,} cells are -1 (uncertain): {done[options.uncertain or 'ignore']}")
    blank = sum(not text_of(row.get(column)) for row in rows for column in columns)
    notes += [f"{blank:,} empty cells of these columns are taken as 0"] if blank else []
    if options.multilabel:
        return Labelling(target, True, tuple(names.values()), tuple(notes))
    ones = Counter(len(found) for found in map(target, rows) if not isinstance(found, Unusable))
    if options.multilabel is None and set(ones) - {1}:
        raise DataError(
            f"{_listed(columns)} are columns of 0 and 1, but {ones.total() - ones[1]:,} of {ones.total():,} rows do not"
            " have exactly one 1: --multilabel reads them as several labels, --single-label leaves such rows out, and"
            " --label-column A,B,C takes some of the columns only"
        )
    notes[0] += ", exactly one for each picture: read as single-label"
    return Labelling(lambda row: _only(target(row)), False, tuple(names.values()), tuple(notes))


def flag(value: Any) -> int | None:
    """1, 0 or -1 of a cell of 0 and 1, however it is written, 0 for an empty one; None for any other cell.

    Example:
        >>> [flag(cell) for cell in ("1.0", " 0", "-1,0", "", "Yes", False, "cat")]
        [1, 0, -1, 0, 1, 0, None]
    """
    text = text_of(value).lower()
    if text in _WORDS:
        return _WORDS[text]
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        return None
    return int(number) if number in (1, 0, -1) else None


def is_indicator(rows: Iterable[Row], column: str) -> bool:
    """Whether a column holds 0 and 1 only, and not just empty cells."""
    filled = False
    for row in rows:
        if flag(row.get(column)) is None:
            return False
        filled = filled or bool(text_of(row.get(column)))
    return filled


def _single(cell: Any) -> Target:
    label = clean(text_of(cell))
    return (label,) if label else Unusable("unlabelled", "the table gives no label for this file")


def _only(target: Target) -> Target:
    if isinstance(target, Unusable) or len(target) == 1:
        return target
    found = f"gives this picture {len(target)} labels, not one" if target else "gives no label for this file"
    return Unusable("contradictory" if target else "unlabelled", f"the table {found}")


def _parted(column: str, separator: str | None, multilabel: bool | None, *notes: str) -> Labelling:
    """Several labels in a cell; with `multilabel` False only pictures with one of them are used."""

    def target(row: Row) -> Target:
        value = row.get(column)
        if value is None:
            return Unusable("unlabelled", "the table gives no label for this file")
        parts = value if isinstance(value, list) else _list_of(text_of(value), separator)
        return tuple(sorted({clean(text_of(part)) for part in parts} - {""}))

    if multilabel is False:
        return Labelling(lambda row: _only(target(row)), False, notes=notes)
    return Labelling(target, True, notes=notes)


def _is_list(text: str) -> bool:
    return text.startswith("[") and text.endswith("]")


def _choices(text: str) -> list[str]:
    """The labels of a cell such as {"choices": ["a", "b"]}, as Label Studio writes them into CSV; [] for any other."""
    if not text.startswith('{"choices"'):
        return []
    try:
        found = json.loads(text)["choices"]
    except (ValueError, RecursionError):
        return []
    return [str(label) for label in found] if isinstance(found, list) else []


def _list_of(text: str, separator: str | None) -> list[str]:
    """The parts of a cell; one like ['a', "b"], as Python and JSON write lists, has its brackets and quotes off."""
    if separator is None:
        if not _is_list(text):
            return _choices(text) or [text]
        text, separator = text[1:-1], ","
        return [part.strip().strip("'\"") for part in text.split(separator)]
    return text.split(separator)


def _separates(texts: Sequence[str], separator: str, plural: bool) -> bool:
    """Whether the cells are several labels with this separator, see `one_column`."""
    if not plural and separator in " /":
        return False
    if plural and separator in "|;":
        return any(separator in text for text in texts)
    return _recur(texts, separator, plural or separator in "|;")


def _recur(texts: Sequence[str], separator: str, plural: bool) -> bool:
    share, parts, cells = _recurring(texts, separator)
    if share < (0.5 if plural and separator != " " else 0.8) or parts > len(cells):
        return False
    return plural or (parts < len(cells) and len(set(cells)) > 1)


def _recurring(texts: Sequence[str], separator: str) -> tuple[float, int, list[int]]:
    """The share of the parts of torn cells that are in other cells, too, how many parts there are, those of a cell."""
    cells = [dict.fromkeys(filter(None, map(str.strip, text.split(separator)))) for text in texts if text]
    counts = Counter(part for cell in cells for part in cell)
    torn = {part for cell in cells if len(cell) > 1 for part in cell}
    share = sum(counts[part] > 1 for part in torn) / len(torn) if torn else 0.0
    return share, len(counts), [len(cell) for cell in cells]


def _doubtful(column: str, texts: Sequence[str], plural: bool) -> Iterable[str]:
    """A line where the cells might be several labels, but the evidence was too weak to part them."""
    for separator in (",", ";", "|", " "):
        example = next((text for text in texts if separator in text), None)
        if example is not None and (
            _recur(texts, separator, True) or (plural and _recurring(texts, separator)[0] >= 0.5)
        ):
            yield (
                f"cells of the column '{shown(column)}' such as '{shown(example)}' are taken as one class each; if they"
                f" are several labels, add --label-separator '{separator}'"
            )
            return


def _listed(columns: Sequence[str]) -> str:
    names = ", ".join(shown(column) for column in columns[:8])
    return f"{names} and {len(columns) - 8} more" if len(columns) > 8 else names
