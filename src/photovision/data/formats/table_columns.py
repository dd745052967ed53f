"""Which column of a table names the pictures, which ones hold their labels and their split; the rest are attributes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from photovision.core.errors import DataError
from photovision.core.suggest import did_you_mean
from photovision.data.formats.locate import is_picture_name, shown
from photovision.data.formats.rows import Row, columns_of, text_of
from photovision.data.formats.split_names import split_named
from photovision.data.formats.table_labels import Labelling, flag, indicators, is_indicator, one_column, unlabelled
from photovision.data.read_options import ReadOptions

_FILE = """
filename filepath file path imagepath imagefile imagefilename imagefilepath imagename image images img imgpath imgname
imgfile imgfilename picture picturename photo photoname fname relativepath relpath imageindex imageid imgid pictureid
photoid idcode isicid imageuid fileid uid uuid id key name url imageurl uri
"""
FILE_NAMES = tuple(_FILE.split())
"""Names of the column that names the pictures, the most telling first; letter case, blanks and - _ do not count."""
_LABEL = """
label class category target labelname classname categoryname classlabel imagelabel species breed diagnosis dx choice
groundtruth labelid classid categoryid
"""
LABEL_NAMES = tuple(_LABEL.split())
_PLURAL = "labels tags classes categories targets findinglabels labelnames classnames keywords"
PLURAL_NAMES = tuple(_PLURAL.split())
"""Names of columns that may hold several labels in a cell."""
SPLIT_NAMES = ("split", "set", "subset", "partition", "phase", "dataset", "datasplit", "usage")
SPLIT_FLAGS = {
    **dict.fromkeys(("isvalid", "isval", "isvalidation", "valid"), ("val", "train")),
    **dict.fromkeys(("istest", "istesting"), ("test", "train")),
    **dict.fromkeys(("istrain", "istraining", "istrainingimage"), ("train", "test")),
}
"""Columns of 0 and 1 that tell the split -> the splits of 1 and of 0."""
_WEAK_NAMES = frozenset(("id", "key", "uid", "uuid", "name", "fileid"))
"""Names of columns that often number the rows: another column of picture files goes before them."""
_OF_MASKS = re.compile("mask|segm|label|truth")
_BOXES = frozenset(("xmin", "ymin", "xmax", "ymax"))
_RUNS = frozenset(("encodedpixels", "rle", "rlemask", "maskrle", "mask", "segmentation", "annotation"))
_RUN = re.compile(r"\d+ \d+(?: \d+ \d+)*")
_MAX_SHOWN = 30
_ODD = 0.1
_FEW = 10
"""Fewer cells say nothing on whether they repeat."""
_TRIED = 60
"""So many pictures of a column are looked for, to see whether it names pictures at all."""
Finds = Callable[[int, str], bool]


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are for.

    Attributes:
        file: names the pictures.
        labelling: how a row tells what is true of its picture.
        split: the column that tells the split; None where there is none.
        denied: a column that is 0 where the label of a row is not true; None where there is none.
        attributes: all others.
        notes: lines on what was recognised.
    """

    file: str
    labelling: Labelling
    split: str | None
    denied: str | None
    attributes: tuple[str, ...]
    notes: tuple[str, ...]


def choose(table: str, rows: Sequence[Row], options: ReadOptions, finds: Finds) -> Columns:
    """Give every column its part.

    Args:
        table: what the table is called in messages.
        rows: all rows.
        options: file_column, label_column, multilabel, label_separator, uncertain.
        finds: whether the picture that a cell of the row of that number names is found.

    Raises:
        DataError: a column that was chosen is not there, or none fits.
    """
    columns = columns_of(rows)
    if not columns:
        raise DataError(f"{table} has no columns: expected file_name and label")
    if {squeezed(column) for column in columns} >= _BOXES and options.label_column is None:
        raise DataError(
            f"{table} is a table of boxes ({listed(columns)}), which is not read as one of labels: choose --format"
            " boxcsv for the boxes, or --label-column for labels of whole pictures"
        )
    if options.label_column is None:
        _refuse_runs(table, rows, columns)
    file, notes = _file(table, rows, columns, options.file_column, finds)
    split = _split(rows, [column for column in columns if column != file])
    rest = [column for column in columns if column not in (file, split)]
    used, labelling, more = _labels(table, rows, rest, options)
    attributes = tuple(column for column in rest if column not in used and not _is_nested(rows, column))
    denied = next((name for name in attributes if squeezed(name) == "confidence" and is_indicator(rows, name)), None)
    if split is not None and squeezed(split) in SPLIT_FLAGS:
        one, zero = SPLIT_FLAGS[squeezed(split)]
        notes = (*notes, f"the column '{shown(split)}' tells the splits: 1 is {one}, 0 is {zero}")
    return Columns(file, labelling, split, denied, attributes, (*notes, *more, *labelling.notes))


def split_of(column: str, cell: Any) -> str | None:
    """The split that a cell of a split column names; None where it names none."""
    if (splits := SPLIT_FLAGS.get(squeezed(column))) is not None:
        return splits[0] if flag(cell) == 1 else splits[1]
    return split_named(text_of(cell))


def squeezed(name: str) -> str:
    """A column's name without blanks, signs and letter case: "Image Index" is "imageindex"."""
    return re.sub(r"[\W_]+", "", name.casefold())


def listed(columns: Sequence[str]) -> str:
    """Columns for a message."""
    more = f" and {len(columns) - _MAX_SHOWN} more" if len(columns) > _MAX_SHOWN else ""
    return ", ".join(shown(column) for column in columns[:_MAX_SHOWN]) + more or "none"


def _file(
    table: str, rows: Sequence[Row], columns: Sequence[str], chosen: str | None, finds: Finds
) -> tuple[str, tuple[str, ...]]:
    if chosen is not None:
        return _existing(table, columns, chosen, "to take file names from"), ()
    named = sorted((c for c in columns if squeezed(c) in FILE_NAMES), key=lambda c: FILE_NAMES.index(squeezed(c)))
    weak = [column for column in named if squeezed(column) in _WEAK_NAMES]
    others = [column for column in columns if column not in named]
    files = [column for column in others if not _OF_MASKS.search(squeezed(column)) and _has_suffixes(rows, column)]
    for column in dict.fromkeys([*(c for c in named if c not in weak), *files, *weak, *others]):
        if not _names_pictures(rows, column, finds, distinct=column in others):
            continue
        if column in others:
            note = f"the column '{shown(column)}' names the pictures, for its cells are files (--file-column chooses)"
            return column, (note,)
        return column, ()
    if not named:
        raise DataError(
            f"{table} needs a column 'file_name' with the pictures' paths, but its columns are: {listed(columns)}, and"
            " none of them names pictures that are there; name it with --file-column, and their folder with --root"
        )
    return named[0], ()


def _refuse_runs(table: str, rows: Sequence[Row], columns: Sequence[str]) -> None:
    """Raise DataError for masks as run lengths, which are neither labels nor attributes."""
    for column in (column for column in columns if squeezed(column) in _RUNS):
        texts = [text for row in rows if (text := text_of(row.get(column)))]
        if texts and all(map(_RUN.fullmatch, texts)):
            raise DataError(
                f"{table} holds masks as run lengths in the column '{shown(column)}', which are not read: convert them"
                " into PNG masks or COCO, or choose labels of whole pictures with --label-column"
            )


def _has_suffixes(rows: Sequence[Row], column: str) -> bool:
    """Whether the first cell of a column that is not empty is the name of a picture file with its suffix."""
    return is_picture_name(next((text for row in rows if (text := text_of(row.get(column)))), ""))


def _names_pictures(rows: Sequence[Row], column: str, finds: Finds, distinct: bool = False) -> bool:
    """Whether most cells of a sample lead to pictures; `distinct`: and are as different as names of files are."""
    step = max(1, len(rows) // _TRIED)
    tried = [(i, text_of(rows[i].get(column))) for i in range(0, len(rows), step)]
    filled = [(i, text) for i, text in tried if text]
    if not filled or (distinct and len({text for _, text in filled}) * 2 <= len(filled)):
        return False
    return sum(finds(i, text) for i, text in filled) * 2 > len(filled)


def _split(rows: Sequence[Row], columns: Sequence[str]) -> str | None:
    """The column called split, or another one that holds nothing but names of splits."""
    by_name = {squeezed(column): column for column in reversed(columns)}
    for name in SPLIT_NAMES:
        column = by_name.get(name)
        if column is not None and (name == "split" or _all_splits(rows, column)):
            return column
    flags = (by_name[name] for name in SPLIT_FLAGS if name in by_name)
    return next((column for column in flags if is_indicator(rows, column)), None)


def _all_splits(rows: Sequence[Row], column: str) -> bool:
    texts = {text_of(row.get(column)) for row in rows}
    return texts != {""} and all(not text or split_named(text) for text in texts)


def _labels(
    table: str, rows: Sequence[Row], rest: Sequence[str], options: ReadOptions
) -> tuple[tuple[str, ...], Labelling, tuple[str, ...]]:
    """The columns of labels, how they are read, and lines on that."""
    if options.unlabelled:
        named = _by_name(rows, rest, options)
        return () if named is None else (named,), unlabelled(named), ()
    flags = _chosen(table, rows, rest, options.label_column)
    column = flags[0] if len(flags) == 1 else None if flags else _by_name(rows, rest, options)
    notes: tuple[str, ...] = ()
    if column is None:
        flags = flags or tuple(name for name in rest if is_indicator(rows, name))
        if len(flags) > 1:
            _no_separator(table, options)
            return flags, indicators(rows, flags, options), ()
        plain = [name for name in rest if not _is_object(rows, name)]
        others = [name for name in plain if squeezed(name) not in FILE_NAMES] or plain
        if len(others) != 1 or _all_different(rows, others[0]):
            raise DataError(
                f"{table} needs a column 'label' (or 'labels', or several columns of 0 and 1), but its columns are:"
                f" {listed(columns_of(rows))}; name the one to use with --label-column{_nearly(rows, plain)}"
            )
        column = others[0]
        notes = (f"the column '{shown(column)}' holds the labels, as it is the only other one",)
    if _is_object(rows, column):
        raise DataError(
            f"{table}: the column '{shown(column)}' holds objects, not labels: name another"
            " --label-column, or export boxes and outlines as COCO or JSON"
        )
    if options.uncertain is not None:
        raise DataError(
            f"{table}: --uncertain is about several columns of 0 and 1, but the column '{shown(column)}' holds the"
            " labels: leave it out"
        )
    plural = bool(options.multilabel) or squeezed(column) in PLURAL_NAMES
    return (column,), one_column(rows, column, plural, options), notes


def _no_separator(table: str, options: ReadOptions) -> None:
    if options.label_separator is not None:
        raise DataError(f"{table} has columns of 0 and 1, no cells with several labels: leave --label-separator out")


def _chosen(table: str, rows: Sequence[Row], rest: Sequence[str], chosen: str | None) -> tuple[str, ...]:
    """The column that the user chose, or several columns of 0 and 1 with commas between them."""
    if chosen is None:
        return ()
    parts = [part.strip() for part in chosen.split(",")]
    if chosen not in rest and len(parts) > 1 and all(part in rest for part in parts):
        for part in parts:
            if not is_indicator(rows, part):
                raise DataError(f"{table}: several label columns should hold 0 and 1, but '{shown(part)}' does not")
        return tuple(dict.fromkeys(parts))
    return (_existing(table, rest, chosen, "to take labels from"),)


def _existing(table: str, columns: Sequence[str], chosen: str, purpose: str) -> str:
    if chosen in columns:
        return chosen
    near = [column for column in columns if squeezed(column) == squeezed(chosen)]
    if len(near) == 1:
        return near[0]
    meant = did_you_mean(chosen, map(shown, columns), f"; its columns are: {listed(columns)}")
    raise DataError(f"{table} has no column '{shown(chosen)}' {purpose}{meant}")


def _by_name(rows: Sequence[Row], rest: Sequence[str], options: ReadOptions) -> str | None:
    by_name = {squeezed(column): column for column in reversed(rest)}
    single = next((by_name[name] for name in LABEL_NAMES if name in by_name), None)
    plural = next((by_name[name] for name in PLURAL_NAMES if name in by_name), None)
    wants_several = options.multilabel or (
        single is not None and any(isinstance(row.get(single), list) for row in rows)
    )
    return plural or single if wants_several else single or plural


def _nearly(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """A hint at the first cell that keeps a column from being one of 0 and 1, where there are few such cells."""
    for column in columns:
        others = [
            (number, text_of(row.get(column))) for number, row in enumerate(rows, 1) if flag(row.get(column)) is None
        ]
        if others and len(others) <= _ODD * len(rows):
            number, cell = others[0]
            return f"; '{shown(column)}' would be one of 0 and 1, but for '{shown(cell)}' in row {number:,}"
    return ""


def _all_different(rows: Sequence[Row], column: str) -> bool:
    """Whether cells are as different as numbers or captions of pictures are, not as classes."""
    texts = [text for row in rows if (text := text_of(row.get(column)))]
    return len(texts) >= _FEW and len(set(texts)) > len(texts) / 2


def _is_nested(rows: Sequence[Row], column: str) -> bool:
    """Whether cells hold lists or objects, which are no attribute."""
    return any(isinstance(row.get(column), list) for row in rows) or _is_object(rows, column)


def _is_object(rows: Sequence[Row], column: str) -> bool:
    cells = [row.get(column) for row in rows]
    parts = (part for cell in cells if isinstance(cell, list) for part in cell)
    return any(isinstance(cell, dict | bytes) or _is_object_text(cell) for cell in cells) or any(
        isinstance(part, dict | list) for part in parts
    )


def _is_object_text(cell: Any) -> bool:
    """Whether a cell is the text of an object or of a list of objects, but for the choices of Label Studio."""
    if not isinstance(cell, str) or not cell.lstrip().startswith(("{", "[{")):
        return False
    return cell.rstrip().endswith(("}", "}]")) and not cell.lstrip().startswith('{"choices"')
