"""interpolate, invert: what a generator sees in given images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from photovision.app.cli.options import Json
from photovision.app.cli.sample import Generator, Steps

Picture = Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture file.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="A new folder for the images.")]


def interpolate(
    generator: Generator,
    first: Picture,
    second: Picture,
    output: Output,
    count: Annotated[int, typer.Option("--count", "-n", min=2, max=1000, help="Images, both ends among them.")] = 8,
    steps: Steps = 50,
    as_json: Json = False,
) -> None:
    """Go from one picture to another through a generator."""
    from photovision.app.cli.output import print_json
    from photovision.tasks.generate.files import write_images

    model = _opened(generator, output)
    ends = [model.preprocess.load(picture) for picture in (first, second)]
    files = write_images(model, model.interpolate(ends[0], ends[1], count, steps), output, {"from": "interpolation"})
    if as_json:
        print_json({"files": [str(file) for file in files]})
        return
    print(f"{len(files):,} images in {output}")


def invert(
    generator: Generator,
    picture: Picture,
    output: Output,
    steps: Steps = 50,
    as_json: Json = False,
) -> None:
    """Find the noise of a picture, and make it again.

    How far the second picture is from the first tells what the generator does not know.
    """
    from photovision.app.cli.output import print_json
    from photovision.tasks.generate.files import write_images

    model = _opened(generator, output)
    found = model.invert(model.preprocess.load(picture)[None], steps)
    (file,) = write_images(model, found.again, output, {"from": "inversion"})
    psnr = round(float(found.psnr[0]), 2)
    if as_json:
        print_json({"file": str(file), "psnr": psnr})
        return
    print(f"{file}: {psnr:.1f} dB beside the picture; 30 dB is hard to tell from it")


def _opened(generator: Path, output: Path) -> Any:
    """The generator, once it is sure that its images can be written."""
    from photovision.core.output import check_folder
    from photovision.engine.load import load

    model = load(generator)
    model.bundle.row.part("sample", "interpolate")
    check_folder(output, "export", [generator])
    return model
