"""shards: pictures packed into tars that training and clusters read, with an index of every picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, output_option
from photovision.app.cli.reading import reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions


@reads_data
def shards(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Pictures with classes; or s3://bucket/folder.")],
    output: Annotated[Path, output_option("data set", "A new folder for the shards and their index.")],
    size: Annotated[int, typer.Option(min=1, max=4096, help="Megabytes of a shard.")] = 128,
    group: Annotated[
        str, typer.Option(metavar="COLUMN", help="Attribute for the index's column 'group'; default: the first.")
    ] = "",
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Pack pictures into tar shards with an index.

    webdataset, Ray Data, DALI and datasets read them, and so does every command here, without unpacking.
    """
    from dataclasses import asdict

    from photovision.app.cli.output import alert, print_json
    from photovision.app.progress import counted, shown
    from photovision.core.address import is_address
    from photovision.core.phrases import count
    from photovision.core.text import printable
    from photovision.data.read import read_dataset
    from photovision.data.shards import shards as pack

    path: str | Path = source if is_address(source) else Path(source)
    dataset = read_dataset(path, **vars(reading))
    with shown() as people:
        done = pack(dataset, output, size=size, group=group, progress=counted(people, "packing pictures"))
    if as_json:
        print_json({"kind": "shards", "output": str(output), **asdict(done)})
    else:
        print(f"{count(done.pictures, 'picture')} in {count(done.shards, 'shard')}, {done.bytes / 1e6:,.1f} MB")
        print(f"Index: {printable(str(output / 'index.parquet'))}")
    if done.left_out:
        id, why = done.left_out[0]
        alert(f"{count(len(done.left_out), 'file')} left out, the first: {printable(id)}: {printable(why)}")
