"""compare: is model B really better than model A?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Data, Json, ReportFolder, Split
from photovision.app.cli.reading import read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions


@reads_data
def compare(
    a: Annotated[Path, typer.Argument(metavar="MODEL_A", help="A model.")],
    b: Annotated[Path, typer.Argument(metavar="MODEL_B", help="Another model that knows the same classes.")],
    data: Data,
    output: ReportFolder = None,
    split: Split = None,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Tell whether model B is really better than model A."""
    from photovision.app.cli.output import print_report
    from photovision.app.progress import shown
    from photovision.engine.compare import check_comparable
    from photovision.engine.compare import compare as judge
    from photovision.engine.load import opened

    models = opened(a, "compare"), opened(b, "compare")
    check_comparable(*models)
    dataset = read_data(data, reading, models[0].bundle.task)
    with shown() as listener:
        report = judge(*models, dataset, split=split, listener=listener)
    print_report(report, output, as_json)
