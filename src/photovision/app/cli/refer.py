"""refer: what should be done with each case, by costs or by sensitivity."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.audit import Attributes
from photovision.app.cli.options import Data, Json, Model, ReportFolder, Split
from photovision.app.cli.reading import read_data, reads_data
from photovision.core.errors import UsageError
from photovision.data.read_options import DEFAULTS, ReadOptions

Costs = Annotated[
    Path | None,
    typer.Option(metavar="TABLE", help="Costs: a row for each class, a column for each referral, most urgent first."),
]
Positive = Annotated[
    str | None, typer.Option(metavar="CLASSES", help="In place of costs: classes that should be referred.")
]
Sensitivity = Annotated[
    float | None, typer.Option(help="Sensitivity that is wanted, with --positive; default: highest balanced accuracy.")
]
By = Annotated[
    str | None,
    typer.Option(metavar="COLUMNS", help="Attributes that make one case, such as study,eye; default: what there is."),
]
Patient = Annotated[str, typer.Option(metavar="COLUMN", help="Attribute that tells whose a picture is.")]
Prevalence = Annotated[
    str | None, typer.Option(metavar="SHARES", help="Base rates to state predictive values for, such as 0.01,0.2.")
]
Bare = Annotated[bool, typer.Option("--unlabelled", help="Decide only: the pictures have no labels.")]


@reads_data
def refer(  # noqa: PLR0913 - one parameter a flag
    model: Model,
    data: Data,
    costs: Costs = None,
    positive: Positive = None,
    sensitivity: Sensitivity = None,
    by: By = None,
    patient: Patient = "",
    prevalence: Prevalence = None,
    attributes: Attributes = None,
    unlabelled: Bare = False,
    output: ReportFolder = None,
    split: Split = None,
    reading: ReadOptions = DEFAULTS,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the intervals.")] = 0,
    as_json: Json = False,
) -> None:
    """Decide what should be done with each case, and measure it.

    By a table of costs the referral of the least expected cost is taken; with --positive a case is referred from a
    probability on that is chosen on validation pictures. Columns rater_1, rater_2 ... hold what readers decided.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import shown
    from photovision.data.unlabelled import read_unlabelled
    from photovision.engine.load import opened
    from photovision.engine.refer import ReferralRequest
    from photovision.engine.refer import refer as decide

    own = opened(model, "refer")
    pictures = read_unlabelled(data, reading) if unlabelled else read_data(data, reading, own.bundle.task)
    request = ReferralRequest(costs, _names(positive), sensitivity, _names(by), patient, _shares(prevalence), seed)
    with shown() as listener:
        report = decide(own, pictures, **vars(request), attributes=attributes, split=split, listener=listener)
    print_report(report, output, as_json)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _shares(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in _names(text))
    except ValueError:
        raise UsageError(
            f"--prevalence should be shares with commas between them, such as 0.01,0.2, got '{text}'"
        ) from None
