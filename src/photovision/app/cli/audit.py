"""audit: whom and where does a model fail, in what conditions, and by what shortcuts?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    from photovision.core.report import Report
    from photovision.runtime.detector import Detector
    from photovision.runtime.segmenter import Segmenter
    from photovision.tasks.recognizer import Recognizer


By = Annotated[
    str | None, typer.Option(help="Attributes to compare groups by, such as sex,age; default: all with few values.")
]
Attributes = Annotated[
    Path | None,
    typer.Option(metavar="TABLE", help="A table with a column file_name and attributes of the pictures to add."),
]


@reads_data
def audit(  # noqa: PLR0913 - one parameter a flag
    model: Model,
    data: Data,
    by: By = None,
    attributes: Attributes = None,
    output: ReportFolder = None,
    minutes: Annotated[float, typer.Option(help="Wall time for all checks; more pictures are looked at.")] = 3.0,
    only: Annotated[str | None, typer.Option(help="Checks to run, such as groups,shortcuts; default: all.")] = None,
    unknown: Unknown = None,
    card: Annotated[bool, typer.Option("--card", help="Write what was found into the model's card.")] = False,
    split: Split = None,
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    reading: ReadOptions = DEFAULTS,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    as_json: Json = False,
) -> None:
    """Question a model: groups, failing slices, shortcuts, conditions, labels, people, explanations.

    Detectors and segmenters are questioned, too: groups, kinds of objects, failing slices, conditions, scores, labels.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.judged import judged_part
    from photovision.app.pictures import strangers
    from photovision.app.progress import counted, shown
    from photovision.data.attributes import with_attributes
    from photovision.data.read import read_dataset
    from photovision.tasks.audit import audit
    from photovision.tasks.wish import Wish

    wish = Wish(_names(by), _names(only), minutes, seed)
    own = _opened(model, coverage, false_alarms)
    dataset = read_dataset(data, **vars(reading))
    with shown() as listener:
        part = judged_part(dataset, own.info, split, counted(listener, "checking pictures"))
        asked = with_attributes(part.dataset, attributes) if attributes else part.dataset
        others = strangers(unknown) if unknown else None
        report = audit(own, asked, **vars(wish), leaked=part.leaked, unknown=others, listener=listener)
    report = _noted(report, part.note, dataset.fingerprint)
    print_report(report, output, as_json)
    if card:
        _tell_card(own, report)


def _opened(model: Path, coverage: float | None, false_alarms: float | None) -> Recognizer | Detector | Segmenter:
    """What answers with the model, or with a ready detector of that name."""
    from photovision.models.ready import bundle_at
    from photovision.tasks.load import load

    own: Recognizer | Detector | Segmenter = load(bundle_at(model), coverage=coverage, false_alarms=false_alarms)
    return own


def _tell_card(model: Recognizer | Detector | Segmenter, report: Report) -> None:
    """Write what was found into the model's card."""
    from photovision.app.cli.output import note
    from photovision.tasks.audit import rewrite_card

    rewrite_card(model, report)
    note(f"the card {model.bundle.path / 'README.md'} tells what was found")


def _noted(report: Report, note: str, fingerprint: str) -> Report:
    """The report with how its pictures were chosen, and from which data."""
    data = {**report.provenance["data"], "drawn_from": fingerprint}
    return replace(report, summary=(*report.summary, note), provenance={**report.provenance, "data": data})


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())
