"""audit: whom and where does a model fail, in what conditions, and by what shortcuts?"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

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


def audit(  # noqa: PLR0913 - one parameter a flag
    model: Model,
    data: Data,
    by: Annotated[
        str | None, typer.Option(help="Attributes to compare groups by, such as sex,age; default: all with few values.")
    ] = None,
    output: ReportFolder = None,
    minutes: Annotated[float, typer.Option(help="Wall time for all checks; more pictures are looked at.")] = 3.0,
    only: Annotated[str | None, typer.Option(help="Checks to run, such as groups,shortcuts; default: all.")] = None,
    unknown: Unknown = None,
    card: Annotated[bool, typer.Option("--card", help="Write what was found into the model's card.")] = False,
    split: Split = None,
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    label_column: LabelColumn = None,
    multilabel: Multilabel = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    as_json: Json = False,
) -> None:
    """Question a model: groups, failing slices, shortcuts, conditions, labels, people, explanations."""
    from photovision.app.cli.output import note, print_report
    from photovision.app.judged import judged_part
    from photovision.app.pictures import strangers
    from photovision.app.progress import counted, shown
    from photovision.data.read import read_dataset
    from photovision.tasks.audit import Wish, audit, rewrite_card
    from photovision.tasks.recognizer import load

    recognizer = load(model, coverage=coverage, false_alarms=false_alarms)
    wish = Wish(_names(by), _names(only), minutes, seed)
    dataset = read_dataset(data, label_column=label_column, multilabel=multilabel)
    others = strangers(unknown) if unknown else None
    with shown() as listener:
        part = judged_part(dataset, recognizer.info, split, counted(listener, "checking pictures"))
        report = audit(recognizer, part.dataset, **vars(wish), leaked=part.leaked, unknown=others, listener=listener)
    report = replace(report, summary=(*report.summary, part.note))
    print_report(report, output, as_json)
    if card:
        rewrite_card(recognizer, report)
        note(f"the card {recognizer.bundle.path / 'README.md'} tells what was found")


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
