"""group: an unlabelled folder as piles of pictures that are alike, for a person to name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json

Source = Annotated[
    Path | None,
    typer.Argument(metavar="[INDEX|FOLDER]", help="A folder of pictures, which is indexed in a cache, or an index."),
]
Confirm = Annotated[
    Path | None,
    typer.Option(metavar="PILES", help="Make labels.csv of piles whose names were filled in; takes nothing else."),
]


def group(
    source: Source = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PILES", help="Folder for the piles; it names them nothing."),
    ] = None,
    piles: Annotated[
        int | None, typer.Option(min=2, help="How many; default: the root of the number of pictures, at most 100.")
    ] = None,
    confirm: Confirm = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Sort unlabelled pictures into piles that are alike.

    -o writes a contact sheet and piles.csv. Fill in a name for each pile there, then --confirm makes labels.csv, from
    which 'photovision train labels.csv --root FOLDER' learns. Pictures between two piles are left out.
    """
    from photovision.app.cli.output import print_json, print_report
    from photovision.app.progress import shown
    from photovision.core.errors import UsageError
    from photovision.core.phrases import count
    from photovision.core.text import printable
    from photovision.retrieval.piles import PILES, label_piles
    from photovision.retrieval.piles import group as sort

    if confirm is not None:
        if source is not None or output is not None or piles is not None:
            raise UsageError("--confirm takes the folder of piles and nothing else")
        table, named = label_piles(confirm)
        if as_json:
            print_json({"labels": str(table), "pictures": named})
        else:
            print(printable(f"{count(named, 'picture')} named: {table}"))
        return
    if source is None:
        raise UsageError("name a folder of pictures, or --confirm PILES")
    with shown() as listener:
        report = sort(source, output, piles=piles, seed=seed, listener=listener)
    print_report(report, None, as_json)
    if output is not None and not as_json:
        print(f"\nPiles:  {printable(str(output / PILES))}\nReport: {printable(str(output / 'report.html'))}")
