"""optimize: a model made smaller and faster, with what that loses measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, Model, output_option
from photovision.app.cli.reading import read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

Data = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DATA]", help="Labelled images, best those of the training: for calibration and evaluation."
    ),
]
MaxDrop = Annotated[
    float,
    typer.Option(min=0, help="Points of the leading metric (accuracy, mAP, mean IoU) that may be lost, else refused."),
]
Output = Annotated[Path | None, output_option("model", "Folder of the smaller model.")]
DistillTo = Annotated[str | None, typer.Option(metavar="BACKBONE", help="Distil into a smaller network.")]


@reads_data
def optimize(
    model: Model,
    data: Data = None,
    output: Output = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to 8 bits, calibrated on your images.")] = False,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bf16 where the processor can.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Remove channels, then fine-tune.")] = False,
    distill_to: DistillTo = None,
    max_drop: MaxDrop = 0.5,
    minutes: Annotated[float, typer.Option(min=0, help="Time limit for everything.")] = 10.0,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Make a model smaller and faster, and measure the loss.

    Nothing is written where it loses more than --max-drop.
    """
    from photovision.app.cli.output import note, print_report
    from photovision.app.progress import shown
    from photovision.engine.optimize.optimize import optimize as make_smaller

    source, target = _given(data, output)
    asked = {"distill": distill_to is not None, "prune": prune, "int8": int8, "bf16": bf16}
    methods = [name for name, wanted in asked.items() if wanted]
    dataset = read_data(source, reading)
    with shown() as listener:
        report = make_smaller(
            model,
            dataset,
            target,
            methods,
            max_drop=max_drop / 100,
            minutes=minutes,
            backbone=distill_to,
            say=note,
            listener=listener,
        )
    print_report(report, None, as_json)
    if not as_json:
        print(f"\nModel: {target}\nReport: {target / 'report.html'}")


def _given(data: Path | None, output: Path | None) -> tuple[Path, Path]:
    """Both paths; raises UsageError where one is missing."""
    from photovision.core.errors import UsageError

    if data is None:
        raise UsageError(
            "labelled pictures are needed, to calibrate and to measure the loss: photovision optimize MODEL DATA"
        )
    if output is None:
        raise UsageError("where should the smaller model go? give a folder with --output")
    return data, output
