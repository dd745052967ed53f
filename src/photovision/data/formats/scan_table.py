"""Tables whose rows are studies, series, instances or patients of DICOM files, in place of files.

StudyInstanceUID,label          every file of the study has the label; likewise SeriesInstanceUID, SOPInstanceUID
1.2.840.113...,pneumonia        and PatientID
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from photovision.core.errors import UnreadableImage
from photovision.core.phrases import count
from photovision.data.dicom.headers import ScanFacts, is_dicom, pseudonym, read_facts
from photovision.data.formats.rows import Row, columns_of, text_of
from photovision.data.formats.table_columns import FILE_NAMES, squeezed
from photovision.data.formats.tree import files_of, list_files

FILE = "file_name"
_KEYS = {
    "instance": ("sopinstanceuid", "sopuid", "instanceuid"),
    "series": ("seriesinstanceuid", "seriesuid", "series"),
    "study": ("studyinstanceuid", "studyuid", "study"),
    "patient": ("patientid", "patient"),
}
"""What a row is about, the narrowest first -> names of its column, without blanks, signs and letter case."""


class Widened(NamedTuple):
    """Rows for files, and a sentence on where they come from."""

    rows: list[Row]
    note: str


def by_scan(rows: Sequence[Row], root: Path) -> Widened | None:
    """A row for each file of what the rows are about; None where they are about files, or the folder holds no DICOM.

    A row of nothing that is there keeps its place, so that it is named as missing.
    """
    columns = columns_of(rows)
    if any(squeezed(name) in FILE_NAMES for name in columns):
        return None
    kinds = ((kind, name) for kind, names in _KEYS.items() for name in columns if squeezed(name) in names)
    kind, column = next(kinds, ("", ""))
    if not kind:
        return None
    files: dict[str, list[str]] = {}
    for file in files_of(list_files(root).pictures):
        for value in _values(root / file, kind):
            files.setdefault(value, []).append(file)
    if not files:
        return None
    found: list[Row] = []
    for row in rows:
        key = text_of(row.get(column))
        rest = {name: cell for name, cell in row.items() if name != column}
        names = files.get(pseudonym("", key) if kind == "patient" else key, [f"{column} {key}" if key else ""])
        found += [{FILE: name, **rest} for name in names]
    note = (
        f"a row is about a {kind} ({column}): its labels count for all files of it; {count(len(found), 'file')} in all"
    )
    return Widened(found, note)


def _values(path: Path, kind: str) -> tuple[str, ...]:
    """By what a row finds a file."""
    if os.path.splitext(path)[1].lower() not in (".dcm", ".dicom", ".ima", "") and not is_dicom(path):
        return ()
    try:
        facts: ScanFacts = read_facts(path)
    except UnreadableImage:
        return ()
    if facts.size is None or facts.localizer:
        return ()
    value = facts.numbered if kind == "patient" else str(getattr(facts, kind))
    return (value,) if value else ()
