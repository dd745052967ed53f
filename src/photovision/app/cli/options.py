"""Arguments and options that several commands share, as annotated types."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from photovision.core.output import Kind, check_folder, check_report

REPORT_FILES = {
    "check": ("suspects.csv",),
    "shelf": ("slots.json",),
    "basket": ("review.jsonl", "review.html", "decisions.json"),
}
"""Command -> what it writes beside report.html, report.json and report.md."""


def output_option(kind: Kind, text: str) -> Any:
    """The option --output of a command that writes a folder; what is in the way is reported before anything is read."""

    def check(value: Path | None) -> Path | None:
        if value is not None:
            check_folder(value, kind)
        return value

    return typer.Option("--output", "-o", help=text, callback=check)


def _report_option(context: typer.Context, value: Path | None) -> Path | None:
    name = context.command.name or ""
    if value is not None:
        check_report(value, name, REPORT_FILES.get(name, ()))
    return value


Data = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="A folder per class, a table (CSV, JSONL, Parquet), or boxes or masks (COCO, YOLO, VOC ...).",
    ),
]
Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A folder that 'photovision train' wrote, or the name of a ready model.")
]
ScanWindow = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How CT is shown: lung, bone, brain, soft-tissue, ct (three windows as colours), or centre/width such as"
        " 40/400; default: as the files say.",
    ),
]
SessionsBy = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN|none", help="A column that tells capture sessions, or none for none; default: capture times."
    ),
]
ReportFolder = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="Folder for report.html, report.json and report.md.", callback=_report_option),
]
Json = Annotated[bool, typer.Option("--json", help="Write one JSON document to standard output.")]
Events = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write progress for programs into this file, as JSON Lines.")
]
Coverage = Annotated[
    float | None,
    typer.Option(help="Target coverage of the prediction sets; default: the model's, 0.95."),
]
FalseAlarms = Annotated[
    float | None,
    typer.Option(help="Share of familiar pictures that may be called unknown; default: the model's, 0.02."),
]
Unknown = Annotated[Path | None, typer.Option(help="Out-of-distribution images, for evaluating novelty detection.")]
TagModel = Annotated[
    Path | None,
    typer.Option(
        "--tags", metavar="MODEL", help="A classifier that tells what kind of scene it is, such as weather or light."
    ),
]
SplitName = Literal["all", "train", "val", "test"]
Split = Annotated[
    SplitName | None,
    typer.Option(
        help="all, train, val or test; default: the pictures that took no part in the training, if that is known."
    ),
]
