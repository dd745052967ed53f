"""evaluate: how good is a model on these pictures, and where does it fail?"""

from __future__ import annotations

from photovision.app.cli.options import Coverage, Data, FalseAlarms, Json, Model, ReportFolder, Split, Unknown
from photovision.app.cli.reading import read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions


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
    """Test a model on labelled pictures."""
    from photovision.app.cli.output import print_report
    from photovision.app.progress import shown
    from photovision.data.image_paths import strangers
    from photovision.engine.evaluate import evaluate as judge
    from photovision.engine.load import load, opened

    own = opened(load(model, coverage=coverage, false_alarms=false_alarms), "evaluate")
    own.bundle.row.check_options("evaluate", {"unknown": unknown})
    others = None if unknown is None else strangers(unknown)
    dataset = read_data(data, reading, own.bundle.task)
    with shown() as listener:
        report = judge(own, dataset, split=split, unknown=others, listener=listener)
    print_report(report, output, as_json)
