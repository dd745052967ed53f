"""index: the pictures of a folder, made searchable."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Events, Json

Pictures = Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder of pictures, searched to the bottom.")]
Output = Annotated[Path, typer.Option("--output", "-o", metavar="INDEX", help="Folder of the index.")]
FeaturesOf = Annotated[
    Path | None,
    typer.Option(
        "--model", metavar="MODEL", help="Whose features are compared: a model you trained; default: imagenet."
    ),
]


def index(
    folder: Pictures,
    output: Output,
    model: FeaturesOf = None,
    check: Annotated[
        int | None,
        typer.Option(min=0, help="Pictures that are edited and searched for, to measure wrong verdicts; default: 15."),
    ] = None,
    events: Events = None,
    as_json: Json = False,
) -> None:
    """Index a folder of pictures, to be searched.

    Run it again to bring the index up to date: only new and changed files are read. It holds no pictures.
    """
    from photovision.app.cli.output import print_json, print_rows
    from photovision.app.progress import shown, with_events
    from photovision.core.text import printable
    from photovision.retrieval.build import index as build
    from photovision.retrieval.measure import CHECKED_PICTURES
    from photovision.retrieval.text import counts, facts, left_out, verdict_rows

    number = CHECKED_PICTURES if check is None else check
    with (
        shown() as people,
        with_events(people, events) as listener,
        build(folder, output, model=model, check=number, listener=listener) as made,
    ):
        if as_json:
            print_json(facts(made))
            return
        print(counts(made))
        for line in left_out(made):
            print(f"  {printable(line)}")
        known = facts(made)
        print_rows(verdict_rows(known["rates"], known["limits"]))
