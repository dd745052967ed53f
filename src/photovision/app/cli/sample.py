"""sample: new images of a generator, each a file that says how it was made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json

Generator = Annotated[Path, typer.Argument(metavar="GENERATOR", help="A model of 'train --task generate'.")]
Steps = Annotated[int, typer.Option(min=1, max=1000, help="Steps of the solver; more are finer and slower.")]


def sample(
    generator: Generator,
    output: Annotated[Path, typer.Option("--output", "-o", help="A new folder for the images.")],
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000, help="How many images.")] = 64,
    label: Annotated[str | None, typer.Option("--class", help="Show this class; default: all of them in turn.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed makes the same images.")] = 0,
    steps: Steps = 20,
    guidance: Annotated[
        float | None,
        typer.Option(min=0, max=20, help="1: as learned; more: more typical of their class. Default: the model's own."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make new images with a generator.

    Each image is a PNG file that says in its metadata that it was generated, by which model and from which seed; a
    picture of all is beside them.
    """
    from photovision.app.cli.output import print_json
    from photovision.core.output import check_folder
    from photovision.engine.load import load
    from photovision.tasks.generate.files import write_samples

    model = load(generator)
    model.bundle.row.part("sample", "sample")
    check_folder(output, "export", [generator])
    made = model.sample(count, label=label, seed=seed, steps=steps, guidance=guidance)
    files = write_samples(model, made, output, seed)
    if as_json:
        print_json({"files": [{"file": str(file), "class": name} for file, name in files]})
        return
    print(f"{len(files):,} images in {output}")
