"""evaluate: how good is a model on these pictures, and where does it fail?"""

from __future__ import annotations

from dataclasses import replace

from photovision.app.cli.options import (
    Coverage,
    Data,
    FalseAlarms,
    Json,
    LabelColumn,
    Model,
    Multilabel,
    ReportFolder,
    Split,
    Unknown,
)


def evaluate(
    model: Model,
    data: Data,
    output: ReportFolder = None,
    split: Split = None,
    unknown: Unknown = None,
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    label_column: LabelColumn = None,
    multilabel: Multilabel = None,
    as_json: Json = False,
) -> None:
    """Judge a model on labelled pictures."""
    from photovision.app.cli.output import print_report
    from photovision.app.judged import judged_part
    from photovision.app.pictures import strangers
    from photovision.app.progress import counted, shown
    from photovision.data.read import read_dataset
    from photovision.tasks.evaluate import evaluate as judge
    from photovision.tasks.recognizer import load

    recognizer = load(model, coverage=coverage, false_alarms=false_alarms)
    others = strangers(unknown) if unknown else None
    dataset = read_dataset(data, label_column=label_column, multilabel=multilabel)
    with shown() as listener:
        part = judged_part(dataset, recognizer.info, split, counted(listener, "checking pictures"))
        progress = counted(listener, "judging")
        report = judge(recognizer, part.dataset, leaked=part.leaked, unknown=others, progress=progress)
    print_report(replace(report, summary=(*report.summary, part.note)), output, as_json)
