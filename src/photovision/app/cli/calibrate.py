"""calibrate: a model's confidence fitted to images from another place."""

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
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the cross-validation.")] = 0,
    as_json: Json = False,
) -> None:
    """Fit a model's confidence to labelled images from your place.

    Scores, thresholds, prediction sets and novelty detection are fitted again, as far as the model has them. The
    network stays as it is; a copy of the model is written.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import shown
    from photovision.engine.calibrate import calibrate as learn
    from photovision.engine.load import load, opened

    own = load(model, coverage=coverage, false_alarms=false_alarms)
    opened(own, "calibrate")
    dataset = read_data(data, reading, own.bundle.task)
    with shown() as listener:
        report = learn(own, dataset, output, seed=seed, listener=listener)
    print_report(report, None, as_json)
