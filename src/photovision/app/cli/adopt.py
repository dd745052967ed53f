"""adopt: somebody else's network as a model of ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from photovision.app.cli.options import Json, output_option
from photovision.app.cli.reading import needs_data, read_data, reads_data
from photovision.core.errors import UsageError
from photovision.data.read_options import DEFAULTS, ReadOptions

Source = Annotated[
    str,
    typer.Argument(metavar="MODEL", help="An ONNX file, timm:NAME, torchvision:NAME, or hf:FOLDER."),
]
ClassNames = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Names of the classes in the order of the outputs, one a line, or JSON."),
]
LabelledData = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Labelled images, best new to the network: the preparation is found on them, half of them judge.",
    ),
]


Size = Annotated[str | None, typer.Option(metavar="PIXELS|HxW", help="Input of the network; default: its own.")]
Channels = Annotated[Literal["rgb", "bgr"] | None, typer.Option(help="Order of the colours; default: found.")]
Range = Annotated[
    Literal["0-1", "-1-1", "0-255"] | None, typer.Option("--range", help="Scale of the values; default: found.")
]
Mean = Annotated[
    str | None, typer.Option(metavar="R,G,B", help="Subtracted from R, G and B, on the scale of the range.")
]
Std = Annotated[str | None, typer.Option(metavar="R,G,B", help="What R, G and B are divided by, on the same scale.")]
Fitted = Annotated[
    Literal["squash", "crop", "pad"] | None, typer.Option(help="How a picture is brought to the size; default: found.")
]
Crop = Annotated[float | None, typer.Option(help="Share of a picture's sides that is kept, such as 0.875.")]
LayoutName = Annotated[
    str | None, typer.Option(metavar="NAME", help="What the outputs mean, such as yolov8; default: recognised.")
]
Weights = Annotated[
    str, typer.Option(help="Of timm and torchvision: auto (those on this machine), none (random), or a file.")
]
Licence = Annotated[str | None, typer.Option(metavar="NAME", help="Licence of the network; default: unknown.")]


@reads_data
def adopt(  # noqa: PLR0913 - one parameter a flag
    source: Source,
    output: Annotated[Path, output_option("model", "Folder of the adopted model.")],
    classes: ClassNames = None,
    data: LabelledData = None,
    size: Size = None,
    channels: Channels = None,
    value_range: Range = None,
    mean: Mean = None,
    std: Std = None,
    fit: Fitted = None,
    crop: Crop = None,
    layout: LayoutName = None,
    weights: Weights = "auto",
    licence: Licence = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the halves.")] = 0,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Make a model of somebody else's network, and test it.

    How it wants its pictures is found on labelled ones, and its confidence is calibrated on them. The model that is
    written serves every other command. What is not known of it is stated in its report and card.
    """
    from photovision.app.progress import shown
    from photovision.engine.adopt import adopt as take
    from photovision.models.preparation import StatedPreparation

    needs_data(data, reading, "--data")
    colours = _numbers("mean", mean), _numbers("std", std)
    given = StatedPreparation(_sides(size), *colours, channels, value_range, fit, crop)
    labelled = None if data is None else read_data(data, reading)
    chosen: dict[str, Any] = {"weights": weights, "layout": layout, "licence": licence, "seed": seed}
    with shown() as listener:
        take(source, output, classes=classes, data=labelled, given=given, listener=listener, **chosen)
    _print(output, as_json)


def _sides(text: str | None) -> tuple[int, int] | int | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) not in (1, 2) or not all(part.isascii() and part.isdecimal() for part in parts):
        raise UsageError(f"--size should be a number of pixels, or HxW such as 480x640, got '{text}'")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def _numbers(name: str, text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--{name} should be three numbers such as 0.485,0.456,0.406, got '{text}'") from None


def _print(output: Path, as_json: bool) -> None:
    from photovision.app.cli.output import print_json, print_story

    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    if as_json:
        print_json({"model": str(output), **report})
        return
    print_story(report["summary"], report["warnings"])
    print(f"\nModel:  {output}\nReport: {output / 'report.html'}")
