"""check: what should be known about the pictures before training on them?"""

from __future__ import annotations

from typing import Annotated

import typer

from photovision.app.cli.options import Data, Events, Json, ReportFolder, SessionsBy
from photovision.app.cli.reading import read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions


@reads_data
def check(
    data: Data,
    output: ReportFolder = None,
    labels: Annotated[
        bool,
        typer.Option("--labels", help="Also look for wrong labels and outliers; with -o lists them in a CSV file."),
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.01, help="About how long --labels may take.")] = 2.0,
    reading: ReadOptions = DEFAULTS,
    seed: Annotated[int, typer.Option(min=0, help="Of the split that would be drawn.")] = 0,
    sessions_by: SessionsBy = None,
    events: Events = None,
    as_json: Json = False,
) -> object:
    """Show what a data set holds, and what is wrong with it.

    It names the classes and their sizes, unreadable files, near-duplicates, leaks between splits, imbalance and
    giveaways; with boxes also objects and faulty boxes, with --labels also labels that are probably wrong.
    """
    from photovision.app.check import SUSPECTS, write_suspects
    from photovision.app.check import check as examine
    from photovision.app.cli.output import note, print_report
    from photovision.app.progress import counted, shown, with_events

    dataset = read_data(data, reading)
    with shown() as people, with_events(people, events) as listener:
        report = examine(
            dataset,
            labels=labels,
            minutes=minutes,
            seed=seed,
            sessions_by=sessions_by,
            progress=counted(listener, "checking pictures"),
            describing=counted(listener, "examining labels"),
        )
    print_report(report, output, as_json)
    if output is not None and write_suspects(report, output):
        note(f"suspected labels: {output / SUSPECTS}")
    return report
