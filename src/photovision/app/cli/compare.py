"""compare: is model B really better than model A?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Data, Json, ReportFolder, Split, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions


@reads_data
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A model.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another model that knows the same classes.")],
    data: Data,
    output: ReportFolder = None,
    split: Split = None,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Tell whether model B is really better than model A on the same pictures."""
    from photovision.app.cli.output import print_report
    from photovision.app.judged import judged_part
    from photovision.app.progress import counted, shown
    from photovision.data.read import read_dataset
    from photovision.models.ready import bundle_at
    from photovision.tasks.compare import check_kinds
    from photovision.tasks.compare import compare as weigh
    from photovision.tasks.load import load

    models = load(bundle_at(a)), load(bundle_at(b))
    check_kinds(*models)
    dataset = read_dataset(data, **vars(reading))
    # The model that learnt from this very data decides which pictures are fair.
    fair = max(models, key=lambda model: (model.info.get("data") or {}).get("fingerprint") == dataset.fingerprint)
    with shown() as listener:
        part = judged_part(dataset, fair.info, split, counted(listener, "checking pictures"))
        report = weigh(*models, part.dataset, progress=counted(listener, "judging"))
    print_report(replace(report, summary=(*report.summary, part.note)), output, as_json)
