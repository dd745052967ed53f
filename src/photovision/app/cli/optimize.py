"""optimize: a model made smaller and faster, with what that loses measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photovision.app.cli.options import Json, Model, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from photovision.data.dataset import Dataset
    from photovision.runtime.detector import Detector
    from photovision.runtime.segmenter import Segmenter
    from photovision.tasks.recognizer import Recognizer

Data = Annotated[
    Path | None,
    typer.Argument(metavar="[DATA]", help="Labelled pictures, best those of the training: they calibrate and judge."),
]
MaxDrop = Annotated[
    float, typer.Option(min=0, help="Points of accuracy, mAP or mean IoU that may be lost; else nothing is written.")
]
DistillTo = Annotated[str | None, typer.Option(metavar="BACKBONE", help="Teach a smaller network by the model.")]


@reads_data
def optimize(
    model: Model,
    data: Data = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of the smaller model.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Compute in 8 bits, calibrated on your pictures.")] = False,
    bf16: Annotated[bool, typer.Option("--bf16", help="Compute in bf16 where the processor can.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Take out channels, and fine-tune.")] = False,
    distill_to: DistillTo = None,
    max_drop: MaxDrop = 0.5,
    minutes: Annotated[float, typer.Option(min=0, help="Wall time for everything.")] = 10.0,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Make a model smaller and faster, and measure what that loses; refuse where it loses more than allowed."""
    from photovision.core.errors import UsageError
    from photovision.data.read import read_dataset
    from photovision.models.ready import bundle_at
    from photovision.tasks.load import load

    if data is None:
        raise UsageError(
            "labelled pictures are needed, to calibrate and to measure what is lost: photovision optimize MODEL DATA"
        )
    if output is None:
        raise UsageError("where should the smaller model go? give a folder with --output")
    asked = {"distill": distill_to is not None, "prune": prune, "int8": int8, "bf16": bf16}
    methods = [name for name, wanted in asked.items() if wanted]
    opened = load(bundle_at(model))
    dataset = read_dataset(data, **vars(reading))
    _run(opened, dataset, output, methods, max_drop / 100, minutes, distill_to, as_json)


def _run(
    model: Recognizer | Detector | Segmenter,
    dataset: Dataset,
    output: Path,
    methods: list[str],
    max_drop: float,
    minutes: float,
    backbone: str | None,
    as_json: bool,
) -> None:
    from photovision.app.cli.output import note, print_report
    from photovision.app.progress import counted, shown
    from photovision.deploy.judging import need_regions
    from photovision.deploy.optimize import aligned, optimize
    from photovision.deploy.optimize_regions import check_method, optimize_regions
    from photovision.tasks.material import gather
    from photovision.tasks.recognizer import Recognizer

    seed = int((model.info.get("training") or {}).get("seed", 0))
    if isinstance(model, Recognizer):
        fitting = aligned(dataset, model)
    else:
        check_method(model, methods)
        fitting = need_regions(dataset, model)
    with shown() as listener:
        material = gather(fitting, seed=seed, progress=counted(listener, "checking pictures"))
    if isinstance(model, Recognizer):
        report = optimize(
            model, material, output, methods, max_drop=max_drop, minutes=minutes, backbone=backbone, say=note
        )
    else:
        report = optimize_regions(model, material, output, methods, max_drop=max_drop, minutes=minutes, say=note)
    print_report(report, None, as_json)
    if not as_json:
        print(f"\nModel: {output}\nReport: {output / 'report.html'}")
