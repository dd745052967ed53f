"""calibrate: make a model's confidence honest for pictures from another place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Coverage, Data, FalseAlarms, Json, LabelColumn, Model, Multilabel


def calibrate(
    model: Model,
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the recalibrated model.")],
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    label_column: LabelColumn = None,
    multilabel: Multilabel = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the parts of the cross-validation.")] = 0,
    as_json: Json = False,
) -> None:
    """Learn confidence, prediction sets and the gate anew on labelled pictures from the place of use.

    The network stays as it is; a copy of the model is written.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import counted, shown
    from photovision.data.read import read_dataset
    from photovision.tasks.recalibrate import recalibrate
    from photovision.tasks.recognizer import load

    recognizer = load(model, coverage=coverage, false_alarms=false_alarms)
    dataset = read_dataset(data, label_column=label_column, multilabel=multilabel)
    with shown() as listener:
        report = recalibrate(recognizer, dataset, output, seed=seed, progress=counted(listener, "calibrating"))
    print_report(report, None, as_json)
