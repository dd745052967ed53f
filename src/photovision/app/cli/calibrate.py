"""calibrate: make a model's confidence honest for pictures from another place."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Coverage, Data, FalseAlarms, Json, Model, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions


@reads_data
def calibrate(
    model: Model,
    data: Data,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the recalibrated model.")],
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
    from photovision.app.judged import judged_part
    from photovision.app.progress import counted, shown
    from photovision.core.errors import UsageError
    from photovision.data.read import read_dataset
    from photovision.models.ready import bundle_at
    from photovision.runtime.detector import Detector
    from photovision.tasks.load import load
    from photovision.tasks.recalibrate import recalibrate
    from photovision.tasks.recalibrate_boxes import recalibrate_boxes
    from photovision.tasks.recognizer import Recognizer

    own = load(bundle_at(model), coverage=coverage, false_alarms=false_alarms)
    if not isinstance(own, Recognizer | Detector):
        raise UsageError(f"{model} has no scores to calibrate: classifiers and detectors have, segmenters have not")
    dataset = read_dataset(data, **vars(reading))
    with shown() as listener:
        progress = counted(listener, "calibrating")
        if isinstance(own, Detector):
            # Of the very data it was trained on, only pictures that it did not learn from tell what scores mean.
            known = (own.info.get("data") or {}).get("fingerprint") == dataset.fingerprint
            part = judged_part(dataset, own.info).dataset if known else dataset
            report = recalibrate_boxes(own, part, output, seed=seed, progress=progress)
        else:
            report = recalibrate(own, dataset, output, seed=seed, progress=progress)
    print_report(report, None, as_json)
