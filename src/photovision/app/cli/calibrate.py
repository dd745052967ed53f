"""calibrate: make a model's confidence honest for pictures from another place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Coverage, Data, FalseAlarms, Json, Model, output_option
from photovision.app.cli.reading import read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions


@reads_data
def calibrate(
    model: Model,
    data: Data,
    output: Annotated[Path, output_option("model", "Folder of the recalibrated model.")],
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    reading: ReadOptions = DEFAULTS,
    seed: Annotated[int, typer.Option(min=0, help="Of the parts of the cross-validation.")] = 0,
    as_json: Json = False,
) -> None:
    """Learn confidence, prediction sets and the gate anew on labelled pictures from the place of use.

    Of a detector scores and thresholds are learned anew. The network stays as it is; a copy of the model is written.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import shown
    from photovision.engine.load import load, opened
    from photovision.models.pretrained import bundle_at
    from photovision.tasks.calibrate import calibrate as learn

    own = load(bundle_at(model), coverage=coverage, false_alarms=false_alarms)
    opened(own, "calibrate")
    dataset = read_data(data, reading)
    with shown() as listener:
        report = learn(own, dataset, output, seed=seed, listener=listener)
    print_report(report, None, as_json)
