"""recipe products: which products of a catalogue stand on shelves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, ReportFolder
from photovision.app.cli.recipe_shelf import DetectorFolder, Least, Only, VisitFiles, Windows

Catalogue = Annotated[
    Path,
    typer.Argument(
        metavar="INDEX", help="An index of pictures of products, a folder for each; 'photovision index' makes it."
    ),
]


def products(
    catalogue: Catalogue,
    detector: DetectorFolder,
    files: VisitFiles,
    only: Only = None,
    threshold: Least = None,
    tile: Windows = None,
    output: ReportFolder = None,
    as_json: Json = False,
) -> None:
    """Recognise products on shelves: every object that is found is searched for in a catalogue of pictures."""
    from photovision.app.cli.output import print_report
    from photovision.app.cli.predicting import size_of
    from photovision.app.progress import counted, shown
    from photovision.data.image_paths import find_pictures
    from photovision.models.pretrained import bundle_at
    from photovision.recipes.products.page import report
    from photovision.recipes.products.products import find_products
    from photovision.recipes.shelf.shelf import Looker
    from photovision.retrieval.index import Index

    looker = Looker(bundle_at(detector), tuple(only or ()), threshold, None if tile is None else size_of(tile))
    with shown() as listener, Index(catalogue) as opened:
        found, problems = find_products(opened, looker, find_pictures(files), counted(listener, "looking"))
    print_report(report(found, problems, str(catalogue), str(detector)), output, as_json)
