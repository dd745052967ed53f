"""evaluate: how good is a model on these pictures, and where does it fail?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from photovision.app.cli.options import (
    Coverage,
    Data,
    FalseAlarms,
    Json,
    Model,
    ReportFolder,
    Split,
    Unknown,
    reads_data,
)
from photovision.data.read_options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from photovision.app.judged import Judged
    from photovision.core.report import Report
    from photovision.runtime.bundle import Bundle

    Judge = Callable[[Judged, Callable[[int, int], None]], Report]


@reads_data
def evaluate(
    model: Model,
    data: Data,
    output: ReportFolder = None,
    split: Split = None,
    unknown: Unknown = None,
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Judge a model on labelled pictures."""
    from photovision.app.cli.output import print_report
    from photovision.app.judged import judged_part
    from photovision.app.progress import counted, shown
    from photovision.data.read import read_dataset
    from photovision.models.ready import bundle_at
    from photovision.runtime.bundle import read_bundle

    bundle = read_bundle(bundle_at(model))
    judges = {"detect": _detector, "segment": _segmenter}
    own = judges.get(bundle.task)
    judge = _classifier(bundle, unknown, coverage, false_alarms) if own is None else own(bundle)
    dataset = read_dataset(data, **vars(reading))
    with shown() as listener:
        part = judged_part(dataset, bundle.info, split, counted(listener, "checking pictures"))
        report = judge(part, counted(listener, "judging"))
    print_report(replace(report, summary=(*report.summary, part.note)), output, as_json)


def _classifier(bundle: Bundle, unknown: Path | None, coverage: float | None, false_alarms: float | None) -> Judge:
    from photovision.app.pictures import strangers
    from photovision.tasks.evaluate import evaluate as judge
    from photovision.tasks.recognizer import Recognizer

    recognizer = Recognizer(bundle, coverage=coverage, false_alarms=false_alarms)
    others = strangers(unknown) if unknown else None
    return lambda part, progress: judge(recognizer, part.dataset, leaked=part.leaked, unknown=others, progress=progress)


def _detector(bundle: Bundle) -> Judge:
    from photovision.runtime.detector import Detector
    from photovision.tasks.evaluate_boxes import evaluate_boxes

    detector = Detector(bundle)
    return lambda part, progress: evaluate_boxes(detector, part.dataset, progress=progress)


def _segmenter(bundle: Bundle) -> Judge:
    from photovision.runtime.segmenter import Segmenter
    from photovision.tasks.evaluate_masks import evaluate_masks

    segmenter = Segmenter(bundle)
    return lambda part, progress: evaluate_masks(segmenter, part.dataset, progress=progress)
