"""duplicates: pictures of which one would do; they are moved only when asked for, and can be moved back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json

Source = Annotated[
    Path | None,
    typer.Argument(metavar="[INDEX|FOLDER]", help="An index, or a folder of pictures, which is indexed in a cache."),
]


def duplicates(
    source: Source = None,
    apply: Annotated[bool, typer.Option("--apply", help="Move duplicates to --to; nothing is ever deleted.")] = False,
    to: Annotated[Path | None, typer.Option(metavar="TRASH", help="With --apply: a new folder for them.")] = None,
    undo: Annotated[
        Path | None, typer.Option(metavar="TRASH", help="Move back what --apply moved to this folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find pictures that are there more than once.

    Every pair is compared pixel by pixel. --apply moves same files and pictures saved again, and the largest stays;
    turned and cropped ones are listed only.
    """
    from photovision.app.cli.output import print_json
    from photovision.app.progress import shown
    from photovision.core.errors import UsageError
    from photovision.core.text import printable
    from photovision.retrieval.duplicates import duplicates_in
    from photovision.retrieval.search import open_index
    from photovision.retrieval.text import duplicate_lines
    from photovision.retrieval.trash import move_duplicates

    if undo is not None:
        if source is not None or apply or to is not None:
            raise UsageError("--undo takes the folder of moved files and nothing else")
        _undo(undo, as_json)
        return
    if source is None:
        raise UsageError("name an index or a folder of pictures, or --undo TRASH")
    if apply != (to is not None):
        raise UsageError("--apply needs --to TRASH, a new folder for what is moved, and --to needs --apply")
    with shown() as listener, open_index(source, listener=listener) as opened:
        groups = duplicates_in(opened, listener)
        moved = [] if to is None else move_duplicates(groups, opened.folder, to)
    if as_json:
        print_json({"groups": [one.to_json() for one in groups], "moved": [move._asdict() for move in moved]})
        return
    for line in duplicate_lines(groups):
        print(printable(line))
    if to is not None:
        print(
            f"{len(moved):,} moved to {printable(str(to))}"
            + f"; back with: photovision duplicates --undo {to}" * bool(moved)
        )


def _undo(trash: Path, as_json: bool) -> None:
    """Move files back, and print how many."""
    from photovision.app.cli.output import print_json
    from photovision.retrieval.trash import undo

    back = [move._asdict() for move in undo(trash)]
    if as_json:
        print_json({"moved_back": back})
    else:
        print(f"{len(back):,} moved back")
