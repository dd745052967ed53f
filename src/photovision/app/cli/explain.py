"""explain: which places of a picture did the model decide by, and may that be believed?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, Model, ReportFolder
from photovision.app.cli.reading import needs_data, read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

Files = Annotated[list[str], typer.Argument(metavar="FILE|FOLDER|PATTERN|-...", help="Pictures to explain, up to 200.")]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="cam, eigencam, occlusion, rise; in torch: gradcam, hirescam, integrated-gradients, rollout. May be"
        " repeated; default: what suits the model. Of boxes and regions: drise; in torch: hirescam.",
        show_default=False,
    ),
]
Target = Annotated[
    str | None,
    typer.Option("--target", "--class", metavar="CLASS", help="Class to explain; default: what the model predicts."),
]
TrainingData = Annotated[
    Path | None,
    typer.Option(
        help="The model's training data, to show the pictures that it was reminded of; of a detector labelled pictures,"
        " to explain what it missed."
    ),
]
Boxes = Annotated[
    int | None,
    typer.Option(
        min=1, max=50, help="Of detectors and segmenters: boxes or regions to explain in a picture; default: 3."
    ),
]


@reads_data
def explain(
    model: Model,
    pictures: Files,
    output: ReportFolder = None,
    method: Methods = None,
    target: Target = None,
    data: TrainingData = None,
    boxes: Boxes = None,
    tests: Annotated[bool, typer.Option("--tests/--no-tests", help="Whether each map is tested.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of the random orders and shuffled weights of the tests.")] = 0,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Show why a model answers pictures as it does, and whether the explanation may be believed."""
    import sys

    from photovision.app.cli.output import print_report
    from photovision.app.image_paths import find_pictures
    from photovision.app.progress import counted, shown
    from photovision.engine.explain import explain as explain_images
    from photovision.engine.load import load
    from photovision.models.pretrained import bundle_at
    from photovision.trust.explain.request import AUTO

    needs_data(data, reading, "--data")
    opened = load(bundle_at(model))
    with shown() as listener:
        report = explain_images(
            opened,
            find_pictures(pictures, sys.stdin),
            methods=method or (AUTO,),
            target=target,
            data=None if data is None else read_data(data, reading),
            boxes=boxes,
            tests=tests,
            seed=seed,
            progress=counted(listener, "explaining"),
        )
    print_report(report, output, as_json)
