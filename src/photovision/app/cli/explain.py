"""explain: which places of an image a prediction rests on, and whether to rely on that."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Json, Model, ReportFolder
from photovision.app.cli.reading import needs_data, read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

Files = Annotated[list[str], typer.Argument(metavar="FILE|FOLDER|PATTERN|-...", help="Images to explain, up to 200.")]
Methods = Annotated[
    list[str] | None,
    typer.Option(
        "--method",
        metavar="NAME",
        help="Classifiers: cam, eigencam, occlusion, rise; with torch also gradcam, hirescam, integrated-gradients,"
        " rollout; may be repeated. Boxes and regions: drise; with torch also hirescam. Default: what suits the model.",
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
        help="For classifiers the training data, to show the nearest training images; for detectors labelled images, to"
        " explain the objects that were missed."
    ),
]
Boxes = Annotated[
    int | None,
    typer.Option(
        min=1, max=50, help="Detectors and segmenters: boxes or regions to explain in each image; default: 3."
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
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the tests.")] = 0,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Show which parts of an image a prediction rests on.

    Each heatmap is tested: does hiding what it marks change the prediction, and does a scrambled network give another?
    """
    import sys

    from photovision.app.cli.output import print_report
    from photovision.app.progress import counted, shown
    from photovision.data.image_paths import find_pictures
    from photovision.engine.explain import explain as explain_images
    from photovision.engine.load import load
    from photovision.trust.explain.request import AUTO

    needs_data(data, reading, "--data")
    opened = load(model)
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
