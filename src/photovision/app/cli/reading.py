"""The flags about reading data, the same on every command that reads some, and the lines about the reading."""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from photovision.app.verbosity import Verbosity, verbosity
from photovision.core.errors import UsageError
from photovision.data.read_options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from photovision.data.dataset import Dataset, Problem
    from photovision.data.unlabelled import Unlabelled

_READING: dict[str, Any] = {
    "format": Annotated[
        str | None,
        typer.Option("--format", "--from", help="Format of the data; default: recognised."),
    ],
    "multilabel": Annotated[
        bool | None,
        typer.Option("--multilabel/--single-label", help="Whether pictures have several labels."),
    ],
    "label_column": Annotated[str | None, typer.Option(help="Column of the table that holds the labels.")],
    "file_column": Annotated[str | None, typer.Option(help="Column of the table that names the pictures.")],
    "root": Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of the pictures; default: that of the table."),
    ],
    "uncertain": Annotated[
        str | None,
        typer.Option(
            metavar="negative|positive|ignore",
            help="Meaning of -1 in columns of 0 and 1; ignore leaves the picture out.",
        ),
    ],
    "label_separator": Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What separates several labels in one cell."),
    ],
    "label_from": Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="Labels from file names: 'name' for what precedes the number, or a pattern such as '{label}_*'.",
        ),
    ],
}
"""The flags of `ReadOptions`, by the names of its fields."""

Pictures = Annotated[
    list[str],
    typer.Argument(
        metavar="FILE|FOLDER|PATTERN|TABLE...",
        help="Images from the place of use; they need no labels. '-' reads file names from standard input.",
    ),
]
FileColumn = _READING["file_column"]
Root = _READING["root"]

ALWAYS_SHOWN = ("reading", "masks", "equal class names", "not used")
"""Kinds of notes on which all else may depend."""


def reads_data(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with the flags of `ReadOptions` in place of its parameter `reading`, which gets them as one value.

    Typer asks a function's signature for its flags, so the signature is what is changed.
    """
    hints = get_type_hints(command, include_extras=True)
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        if parameter.name != "reading":
            parameters.append(parameter.replace(annotation=hints[parameter.name]))
            continue
        for name, flag in _READING.items():
            parameters.append(inspect.Parameter(name, parameter.kind, default=None, annotation=flag))

    @functools.wraps(command)
    def told(*arguments: Any, **values: Any) -> Any:
        options = ReadOptions(**{name: values.pop(name, None) for name in _READING})
        return command(*arguments, **values, reading=options)

    told.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    told.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return told


def needs_data(data: Path | None, reading: ReadOptions, wanted: str) -> None:
    """Raise UsageError where flags about reading were given, but no data that they could be about."""
    if data is None and reading != DEFAULTS:
        flag = next(iter(reading.chosen()), "format").replace("_", "-")
        raise UsageError(f"--{flag} is about reading labelled pictures: give them with {wanted}")


def read_data(path: Path, reading: ReadOptions, task: str | None = None) -> Dataset:
    """The data set at a path, read for a task where one is named; what it was taken for goes to standard error."""
    from photovision.engine.read import read_for

    dataset = read_for(path, task, reading)
    say_reading(dataset, path, reading)
    return dataset


def read_pictures(sources: Sequence[str], file_column: str | None = None, root: Path | None = None) -> Unlabelled:
    """Unlabelled images: files, folders and patterns, or one table, archive or file of annotations."""
    from photovision.data.image_paths import find_pictures, is_pattern
    from photovision.data.unlabelled import read_unlabelled

    options = ReadOptions(file_column=file_column, root=root)
    if len(sources) == 1 and sources[0] != "-" and not is_pattern(sources[0]):
        found = read_unlabelled(Path(sources[0]), options)
        say_notes(found.dataset)
        return found
    if chosen := next(iter(options.chosen()), None):
        raise UsageError(f"--{chosen.replace('_', '-')} is about a table: give the table alone, or leave it out")
    return read_unlabelled(list(find_pictures(sources, sys.stdin)))


def say_notes(dataset: Dataset) -> None:
    """One line for each guess of a reading; with --verbose for everything that was noticed."""
    _say(dataset.notes)


def _say(lines: Iterable[Problem]) -> None:
    from photovision.app.cli.output import note

    for line in lines:
        if line.kind in ALWAYS_SHOWN or verbosity() is Verbosity.VERBOSE:
            note(f"{line.id}: {line.message}")


def say_reading(dataset: Dataset, path: Path, reading: ReadOptions) -> None:
    """One line on what the data were taken for, where no option states it, and one for each guess within."""
    from photovision.app.cli.output import first_process, note
    from photovision.core.phrases import count
    from photovision.data.formats.rows import SUFFIXES as TABLES
    from photovision.data.read import unnamed

    if not first_process():
        return
    if reading.format is None and path.suffix.lower() not in TABLES:
        what = f"{count(len(dataset), 'picture')} of {count(len(dataset.classes), 'class', 'classes')}"
        note(f"{what}, read as: {dataset.reading}{_others(path, dataset)}; --format chooses another reading")
    _say([*dataset.notes, *unnamed(path, dataset)])


def _others(path: Path, dataset: Dataset) -> str:
    """Other formats that the data could be read as, but a folder per class, which all folders could be."""
    from photovision.data.dataset import FORMAT_WORDS
    from photovision.data.formats import FORMATS

    if not path.is_dir() or dataset.source == "folder":
        return ""
    others = [name for name in FORMATS.names() if name not in ("folder", dataset.source)]
    found = [FORMAT_WORDS.get(name, name) for name in others if FORMATS.load(name).detects(path)]
    return f" ({' and '.join(found)} are there, too)" if found else ""


def numbers(text: str, count: int, flag: str) -> list[float]:
    """The x,y or x1,y1,x2,y2 in pixels of a flag; raises UsageError."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        wanted = "x,y" if count == 2 else "x1,y1,x2,y2"
        raise UsageError(f"{flag} should be {wanted} in pixels, such as 120,80{',200,160' * (count > 2)}, got '{text}'")
    return values
