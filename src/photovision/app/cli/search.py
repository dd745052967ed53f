"""search: pictures of a folder that show the same as a picture, or something like it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.index import FeaturesOf

Source = Annotated[
    Path,
    typer.Argument(metavar="INDEX|FOLDER", help="An index, or a folder of pictures, which is then indexed in a cache."),
]
Queries = Annotated[
    list[str],
    typer.Argument(metavar="PICTURE|-...", help="What to search for; '-' reads file names from standard input."),
]


def search(
    source: Source,
    pictures: Queries,
    top: Annotated[int, typer.Option(min=1, help="Results for each picture at most.")] = 20,
    crop: Annotated[
        str | None,
        typer.Option(metavar="x1,y1,x2,y2", help="Search for this part of the picture, in pixels."),
    ] = None,
    model: FeaturesOf = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Find pictures that show the same, or something like it.

    Verdicts: same file, same picture, mirrored, turned or tilted, a crop, same object, alike; or nothing like it.
    """
    import json
    import sys

    from photovision.app.cli.output import alert
    from photovision.app.cli.reading import numbers
    from photovision.app.progress import shown
    from photovision.core.errors import UnreadableImage
    from photovision.core.text import printable
    from photovision.data.image_paths import find_pictures
    from photovision.retrieval.search import open_index
    from photovision.retrieval.text import result_lines

    part = None if crop is None else numbers(crop, 4, "--crop")
    failed = False
    with shown() as listener, open_index(source, model=model, listener=listener) as opened:
        for name in find_pictures(pictures, sys.stdin):
            try:
                found = opened.search(name, top=top, crop=part)
            except UnreadableImage as error:
                alert(str(error))
                failed = True
                continue
            if as_json:
                print(json.dumps(found.to_json()), flush=True)
                continue
            for line in result_lines(found):
                print(printable(line), flush=True)
    if failed:
        raise typer.Exit(2)
