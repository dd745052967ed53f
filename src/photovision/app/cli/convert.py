"""convert: the same pictures and labels in the format of another program."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from photovision.app.cli.options import Json, output_option
from photovision.app.cli.reading import ALWAYS_SHOWN, reads_data, say_reading
from photovision.data.read_options import DEFAULTS, ReadOptions

Target = Literal[
    "coco", "yolo", "voc", "labelstudio", "cvat", "labelme", "via", "createml", "boxcsv", "masks", "folder", "table"
]


@reads_data
def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Pictures with labels, boxes or masks.")],
    to: Annotated[Target, typer.Option("--to", help="The format to write.")],
    output: Annotated[Path, output_option("data set", "A new folder for the pictures and their labels.")],
    lossy: Annotated[bool, typer.Option("--lossy", help="Convert although the format cannot hold everything.")] = False,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Write pictures and labels in another format.

    What the format cannot hold is refused, or with --lossy left out and reported.
    """
    from dataclasses import asdict

    from photovision.app.cli.output import note, print_json
    from photovision.core.text import printable
    from photovision.data.convert import convert as rewrite
    from photovision.data.convert import counted
    from photovision.data.read import read_dataset

    dataset = read_dataset(source, **vars(reading))
    done = rewrite(dataset, to, output, lossy=lossy)
    say_reading(dataset, source, reading)
    odd = [one for one in dataset.notes if one.kind not in ALWAYS_SHOWN]
    for one in odd[:5]:
        note(f"{one.id}: {one.message}")
    if len(odd) > 5:
        note(f"and {len(odd) - 5:,} more remarks; photovision check {source} names them")
    if as_json:
        print_json({"kind": "convert", "output": str(output), **asdict(done)})
        return
    for line in counted(done):
        print(printable(line))
