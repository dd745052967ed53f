"""What commands print: aligned text for people, JSON for programs."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.app.verbosity import Verbosity, verbosity
from photovision.core.glossary import TERMS, heading
from photovision.core.report import Metric, Report, cell_text
from photovision.core.text import aligned, printable

if TYPE_CHECKING:
    from PIL import Image as Pillow


def free_name(stem: str, taken: set[str], joint: str) -> str:
    """A name that no other file of the run has, also where letter case does not count: `stem`, or one with a number.

    Example:
        >>> taken: set[str] = set()
        >>> [free_name(stem, taken, ".") for stem in ("a", "A", "a.2")]
        ['a', 'A.2', 'a.2.2']
    """
    name, number = stem, 1
    while name.casefold() in taken:
        number += 1
        name = f"{stem}{joint}{number}"
    taken.add(name.casefold())
    return name


def write_png(picture: Pillow.Image, path: Path, source: str | Path | None) -> None:
    """Write a PNG file that says whose it is; the picture it was made from, and files of the user's, are refused."""
    from PIL.PngImagePlugin import PngInfo

    from photovision.core.output import SIGNATURE, write_output

    buffer, facts = io.BytesIO(), PngInfo()
    facts.add_text("Software", SIGNATURE.decode())
    picture.save(buffer, "PNG", pnginfo=facts)
    write_output(path, buffer.getvalue(), [] if source is None else [source])


def print_json(value: Any) -> None:
    """One JSON document, in ASCII so that no terminal or pipe can garble it."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_report(report: Report, folder: Path | None, as_json: bool) -> None:
    """Write a report to `folder`, if there is one, and print it."""
    if folder is not None:
        from photovision.core.page import write_report

        write_report(report, folder)
    if as_json:
        print_json(report.to_json())
        return
    print(report.title)
    if report.assessment is not None:
        print(printable(str(report.assessment)))
    print_story(report.summary, report.warnings)
    if report.metrics:
        print()
        print_rows(metric_rows(report.metrics))
        print_legend(report.metrics)
    if folder is not None:
        print(f"\nReport: {folder / 'report.html'}")


def metric_rows(metrics: Mapping[str, Metric]) -> list[tuple[str, str]]:
    """Figures under the headings that reports give them; programs read their names, with --json."""
    return [(heading(name, metric)[0], str(metric)) for name, metric in metrics.items()]


def print_legend(metrics: Mapping[str, Metric]) -> None:
    """What the terms among some figures mean, a line each."""
    for name in metrics:
        title, meaning = heading(name, metrics[name])
        if name in TERMS and meaning:
            print(printable(f"  {title}: {meaning}."))


def print_story(summary: Sequence[str], warnings: Sequence[str]) -> None:
    """Sentences, then warnings, a line each."""
    for sentence in summary:
        print(printable(sentence))
    for warning in warnings:
        print(f"Warning: {printable(warning)}")


def print_rows(rows: Sequence[Sequence[Any]], indent: str = "  ") -> None:
    """Rows of cells in columns as wide as they need."""
    for line in aligned([[cell_text(cell) for cell in row] for row in rows]):
        print(indent + line)


def first_process() -> bool:
    """Whether this process is the one that speaks, of those that torchrun or accelerate started."""
    return os.environ.get("RANK", "0") == "0"


def note(message: str) -> None:
    """A remark for people, on standard error, which --quiet leaves out."""
    if verbosity() is not Verbosity.QUIET:
        alert(message)


def alert(message: str) -> None:
    """A line that people need, on standard error."""
    print(f"photovision: {printable(message)}", file=sys.stderr, flush=True)
