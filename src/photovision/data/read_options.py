"""ReadOptions: what a user chose about reading a data set. Imports nothing slow, since every --help shows it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from photovision.core.errors import UsageError

UNCERTAIN = ("negative", "positive", "ignore")
"""What may be done with the -1 of a column of 0 and 1."""


@dataclass(frozen=True)
class ReadOptions:
    """What the user chose about reading; None where nothing was chosen.

    A format lists in `Format.accepts` which of these it obeys; `photovision.data.read` refuses the others, so that
    none is ever ignored. `format` belongs to no format: it chooses one.

    Attributes:
        format: name of the format, one of `FORMATS.names()`.
        multilabel: whether a picture may have several labels.
        label_column: the table's column of labels.
        file_column: the table's column of file names.
        root: the folder that names of pictures start from.
        uncertain: what -1 means in a column of 0 and 1: "negative", "positive", or "ignore" (the picture is left out).
        label_separator: what separates several labels in one cell.
        label_from: how a file name tells its label, see `photovision.data.formats.names`.
        unlabelled: whether the table needs no labels, and those that it has are left out.
    """

    format: str | None = None
    multilabel: bool | None = None
    label_column: str | None = None
    file_column: str | None = None
    root: Path | None = None
    uncertain: str | None = None
    label_separator: str | None = None
    label_from: str | None = None
    unlabelled: bool | None = None

    def __post_init__(self) -> None:
        if self.uncertain not in (None, *UNCERTAIN):
            raise UsageError(
                f"uncertain should be {', '.join(UNCERTAIN[:-1])} or {UNCERTAIN[-1]}, got '{self.uncertain}'"
            )
        if self.label_separator == "":
            raise UsageError("label_separator should be the text between two labels, such as ';', got nothing")

    def chosen(self) -> dict[str, Any]:
        """Name -> value of the options that were chosen, without `format`."""
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "format"}
        return {name: value for name, value in given.items() if value is not None}


DEFAULTS = ReadOptions()
