"""audit: which groups and conditions a model fails on, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photovision.app.cli.options import Coverage, Data, FalseAlarms, Json, Model, ReportFolder, Split, Unknown
from photovision.app.cli.reading import read_data, reads_data
from photovision.core.errors import UsageError
from photovision.data.read_options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from photovision.core.report import Report
    from photovision.data.dataset import Dataset
    from photovision.engine.audit_context import AuditRequest

By = Annotated[
    str | None, typer.Option(help="Attributes to compare groups by, such as sex,age; default: all with few values.")
]
_CHANGED = "tells what was found"
_KEPT = "was edited by hand and stays as it is; audit.json beside it holds what was found"
Conditions = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="What can happen at the place of use: outdoor, indoor, line, microscope, scanner, or conditions such as"
        " fog,noise; default: all.",
    ),
]
Attributes = Annotated[
    Path | None,
    typer.Option(metavar="TABLE", help="A table with a column file_name and more attributes of the images."),
]


Privacy = Annotated[bool, typer.Option("--privacy", help="Attack it instead: which pictures did it learn from?")]


@reads_data
def audit(  # noqa: PLR0913 - one parameter a flag
    model: Model,
    data: Data,
    by: By = None,
    attributes: Attributes = None,
    output: ReportFolder = None,
    minutes: Annotated[float, typer.Option(help="Time for all checks; more time means more images.")] = 3.0,
    only: Annotated[str | None, typer.Option(help="Checks to run, such as groups,shortcuts; default: all.")] = None,
    unknown: Unknown = None,
    conditions: Conditions = None,
    privacy: Privacy = False,
    card: Annotated[bool, typer.Option("--card", help="Write what was found into the model's card.")] = False,
    split: Split = None,
    coverage: Coverage = None,
    false_alarms: FalseAlarms = None,
    reading: ReadOptions = DEFAULTS,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    as_json: Json = False,
) -> None:
    """Find groups and conditions that a model fails on, and why.

    The task of the model decides which checks there are, such as groups, slices, conditions, shortcuts and labels.
    """
    from photovision.app.cli.output import note, print_report
    from photovision.engine.audit import checks_of, rewrite_card
    from photovision.engine.audit_context import AuditRequest
    from photovision.engine.load import load

    if privacy:
        _refuse_beside_privacy({"by": by, "attributes": attributes, "only": only, "unknown": unknown, "card": card})
        _refuse_beside_privacy(
            {"conditions": conditions, "split": split, "coverage": coverage, "false-alarms": false_alarms}
        )
        print_report(_privacy(model, data, reading, seed), output, as_json)
        return
    groups, checks, places = _names("--by", by), _names("--only", only), _names("--conditions", conditions)
    request = AuditRequest(groups, checks, minutes, seed, places)
    own = load(model, coverage=coverage, false_alarms=false_alarms)
    checks_of(own, request)  # a mistaken name is reported before the data is read
    report = _checked(own, read_data(data, reading, own.bundle.task), request, split, attributes, unknown)
    print_report(report, output, as_json)
    if card:
        note(f"the card {own.bundle.path / 'README.md'} {_CHANGED if rewrite_card(own, report) else _KEPT}")


def _checked(
    own: Any,
    dataset: Dataset,
    request: AuditRequest,
    split: str | None,
    attributes: Path | None,
    unknown: Path | None,
) -> Report:
    from photovision.app.progress import shown
    from photovision.data.image_paths import strangers
    from photovision.engine.audit import audit

    others = None if unknown is None else strangers(unknown)
    more: dict[str, Any] = {"split": split, "attributes": attributes, "unknown": others}
    with shown() as listener:
        return audit(own, dataset, **vars(request), **more, listener=listener)


def _refuse_beside_privacy(given: Mapping[str, object]) -> None:
    """Raise UsageError for options of the other checks."""
    for name, value in given.items():
        if value:
            raise UsageError(f"--{name} does not go with --privacy: attacks are made on all pictures; leave it out")


def _privacy(model: Path, data: Path, reading: ReadOptions, seed: int) -> Report:
    from photovision.app.progress import shown
    from photovision.engine.load import load
    from photovision.engine.privacy import audit_privacy

    own = load(model)
    own.bundle.row.part("privacy_audit", "audit --privacy")
    with shown() as listener:
        return audit_privacy(own, read_data(data, reading, own.bundle.task), seed=seed, listener=listener)


def _names(flag: str, text: str | None) -> tuple[str, ...]:
    """Names with commas between them; raises UsageError where there is none."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    if text is not None and not names:
        raise UsageError(f"{flag} should be names with commas between them, got '{text}'")
    return names
