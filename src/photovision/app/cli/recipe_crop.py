"""recipe crop: diseased leaves, or the area of weeds, by day and by plot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import FalseAlarms, Json, ReportFolder, Unknown

Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A classifier of leaves, or a segmenter of fields.")]
Pictures = Annotated[
    Path,
    typer.Argument(
        metavar="DATA", help="A table with file_name, date and plot, or folders of days and plots; no labels needed."
    ),
]
Healthy = Annotated[
    list[str] | None,
    typer.Option(help="Class without a disease; default: those with 'healthy' in their name. May be repeated."),
]
Watched = Annotated[
    list[str] | None,
    typer.Option("--watch", help="Class of a segmenter that ought not to be there, such as weed. May be repeated."),
]
Pixel = Annotated[
    float | None, typer.Option("--cm-per-pixel", help="Width of a pixel on the ground in cm: tells square metres.")
]


def crop(
    model: Model,
    data: Pictures,
    date: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with the day.")] = None,
    plot: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column with the plot.")] = None,
    healthy: Healthy = None,
    watch: Watched = None,
    pixel: Pixel = None,
    unknown: Unknown = None,
    false_alarms: FalseAlarms = None,
    fail_on_alarm: Annotated[
        bool, typer.Option("--fail-on-alarm", help="Exit with 1 where disease or weeds rose significantly.")
    ] = False,
    output: ReportFolder = None,
    as_json: Json = False,
) -> None:
    """Report on fields: diseased leaves or the area of weeds by day and plot, with alarms where they rise
    significantly."""
    from photovision.app.cli.output import print_report
    from photovision.app.progress import counted, shown
    from photovision.data.image_paths import strangers
    from photovision.engine.load import load
    from photovision.recipes.crop.crop import CropField
    from photovision.recipes.crop.crop import crop as report_on
    from photovision.recipes.crop.shots import read_shots

    field = CropField(tuple(healthy or ()), tuple(watch or ()), pixel)
    opened = load(model, false_alarms=false_alarms)
    shots = read_shots(data, opened.classes, date_column=date, plot_column=plot)
    others = strangers(unknown).samples if unknown else ()
    with shown() as listener:
        report = report_on(opened, shots, field, strangers=others, progress=counted(listener, "looking"))
    print_report(report, output, as_json)
    if fail_on_alarm and report.data["crop"]["alarms"]:
        raise typer.Exit(1)
