"""check: what should be known about the pictures before training on them?"""

from __future__ import annotations

from typing import Annotated

import typer

from photovision.app.cli.options import Data, Json, LabelColumn, Multilabel, ReportFolder


def check(
    data: Data,
    output: ReportFolder = None,
    label_column: LabelColumn = None,
    multilabel: Multilabel = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the split that would be drawn.")] = 0,
    as_json: Json = False,
) -> None:
    """Examine pictures before training: broken files, copies, leaks, skew, giveaways."""
    from photovision.app.check import check as examine
    from photovision.app.cli.output import print_report
    from photovision.app.progress import counted, shown
    from photovision.data.read import read_dataset

    dataset = read_dataset(data, label_column=label_column, multilabel=multilabel)
    with shown() as listener:
        report = examine(dataset, seed=seed, progress=counted(listener, "checking pictures"))
    print_report(report, output, as_json)
