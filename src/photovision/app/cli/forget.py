"""forget: pictures that leave an index for good."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def forget(
    source: Annotated[
        Path, typer.Argument(metavar="INDEX|FOLDER", help="An index, or a folder of pictures that was searched.")
    ],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Pictures; they need not exist any more.")],
) -> None:
    """Remove pictures from an index, to the last byte.

    The files themselves stay. One that is still in the folder is taken up again by the next 'photovision index'.
    """
    from photovision.app.cli.output import note
    from photovision.app.web.thumbnails import Thumbnails
    from photovision.core.phrases import count
    from photovision.retrieval.forget import forget as remove
    from photovision.retrieval.index import Index
    from photovision.retrieval.search import known_index

    gone = remove(source, files)
    with Index(known_index(source)) as opened:
        folder = opened.folder
    thumbnails = Thumbnails()
    for one in gone:
        thumbnails.forget(folder / one.file, one.facts.modified, one.facts.bytes)
    print(f"{count(len(gone), 'picture')} forgotten")
    left = sum((folder / one.file).exists() for one in gone)
    if left:
        them = "it" if left == 1 else "them"
        note(f"{count(left, 'file')} still in {folder}: the next 'photovision index' takes {them} up again")
