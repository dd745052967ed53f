"""suggest: which pictures to label next, and what more labels would buy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, ReportFolder
from photovision.app.cli.reading import needs_data, read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

Folder = Annotated[
    Path, typer.Argument(metavar="INDEX|FOLDER", help="Pictures of which some or all have no label, or an index.")
]
Labelled = Annotated[
    Path | None, typer.Option(metavar="DATA", help="What is labelled so far; its pictures are not suggested again.")
]
UnsureModel = Annotated[
    Path | None,
    typer.Option("--model", metavar="MODEL", help="A model of any task: what it is unsure of is suggested."),
]
RandomShare = Annotated[
    float, typer.Option(min=0, max=1, help="Part of them drawn at random, which estimates accuracy without bias.")
]


@reads_data
def suggest(
    folder: Folder,
    labelled: Labelled = None,
    model: UnsureModel = None,
    count_next: Annotated[int, typer.Option("--next", min=1, help="Pictures to suggest.")] = 50,
    random_share: RandomShare = 0.1,
    output: ReportFolder = None,
    reading: ReadOptions = DEFAULTS,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Suggest the pictures whose labels teach most.

    With --labelled it also says how accurate a linear head is and what more labels would buy. With neither --labelled
    nor --model it takes pictures that differ most. -o writes next.csv, whose column "label" is to be filled in.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import shown
    from photovision.core.text import printable
    from photovision.retrieval.suggest import suggest as choose
    from photovision.retrieval.suggest_text import check_next, next_lines, write_next

    needs_data(labelled, reading, "--labelled")
    check_next(output)
    data = None if labelled is None else read_data(labelled, reading)
    with shown() as listener:
        report = choose(
            folder,
            labelled=data,
            model=model,
            count=count_next,
            random_share=random_share,
            seed=seed,
            listener=listener,
        )
    print_report(report, output, as_json)
    table = None if output is None else write_next(report.data["next"], output)
    if not as_json:
        for line in next_lines(report.data["next"], table):
            print(printable(line))
