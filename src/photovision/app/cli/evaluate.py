"""evaluate: how good is a model on these pictures, and where does it fail?"""

from __future__ import annotations

from dataclasses import replace

from photovision.app.cli.options import Data, Json, LabelColumn, Model, Multilabel, ReportFolder, Split


def evaluate(
    model: Model,
    data: Data,
    output: ReportFolder = None,
    split: Split = None,
    label_column: LabelColumn = None,
    multilabel: Multilabel = None,
    as_json: Json = False,
) -> None:
    """Judge a model on labelled pictures."""
    from photovision.app.cli.output import print_report
    from photovision.app.judged import judged_part
    from photovision.app.progress import counted, shown
    from photovision.data.read import read_dataset
    from photovision.tasks.evaluate import evaluate as judge
    from photovision.tasks.recognizer import load

    recognizer = load(model)
    dataset = read_dataset(data, label_column=label_column, multilabel=multilabel)
    with shown() as listener:
        part = judged_part(dataset, recognizer.info, split, counted(listener, "checking pictures"))
        report = judge(recognizer, part.dataset, leaked=part.leaked, progress=counted(listener, "judging"))
    print_report(replace(report, summary=(*report.summary, part.note)), output, as_json)
