"""drift: do pictures in use differ from those that a model was validated on?"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photovision.app.cli.options import Json, Model, ReportFolder
from photovision.app.cli.reading import needs_data, read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from photovision.data.dataset import Dataset

RecordArgument = Annotated[
    str,
    typer.Argument(metavar="RECORD", help="What 'photovision serve --record' writes: a SQLite file or a database URL."),
]
Against = Annotated[
    Path | None,
    typer.Option(
        metavar="DATA",
        help="Pictures that it did not learn from, to compare with; default: those that it keeps answers of.",
    ),
]
ServedAs = Annotated[
    str | None, typer.Option(metavar="NAME[/VERSION]", help="Which model of the record, where it holds several.")
]
Since = Annotated[str | None, typer.Option(help="From this moment on, such as 2026-11-01 or 2026-11-01T12:30 (UTC).")]
Until = Annotated[str | None, typer.Option(help="Before this moment (UTC).")]
DRIFT = 1


@reads_data
def drift(  # noqa: PLR0913 - one parameter a flag
    model: Model,
    record: RecordArgument,
    since: Since = None,
    until: Until = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest so many predictions.")] = None,
    against: Against = None,
    false_alarms: Annotated[
        float, typer.Option(help="Share of reports that name a change where there is none, above 0 and below 1.")
    ] = 0.05,
    served_as: ServedAs = None,
    pictures: Annotated[Path | None, typer.Option(help="The folder in which the service kept pictures.")] = None,
    output: ReportFolder = None,
    fail_on_drift: Annotated[
        bool, typer.Option("--fail-on-drift", help="Exit with code 1 where a change was found, for scheduled jobs.")
    ] = False,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Tell whether pictures in use have changed.

    They are compared with those that the model was validated on.

    Classes, confidence, novelty and embeddings are compared, with one stated rate of false alarms over all of them.
    """
    from photovision.app.cli.output import print_report
    from photovision.app.progress import counted, shown
    from photovision.engine.load import opened
    from photovision.service.drift import Span
    from photovision.service.drift import drift as look
    from photovision.service.record import Record

    needs_data(against, reading, "--against")
    own = opened(model, "drift")
    name, _, version = (served_as or "").partition("/")
    span = Span(moment("--since", since), moment("--until", until), last, name or None, version or None)
    with shown() as listener, Record.open(record, pictures=pictures, create=False) as kept:
        other = None if against is None else _pictures(against, reading)
        answering = counted(listener, "answering")
        report = look(own, kept, span, against=other, false_alarms=false_alarms, progress=answering)
    print_report(report, output, as_json)
    if fail_on_drift and report.data["drift"]:
        raise typer.Exit(DRIFT)


def moment(flag: str, text: str | None) -> datetime | None:
    """A date or a time in ISO 8601, in UTC unless it says otherwise; raises UsageError."""
    from datetime import UTC

    from photovision.core.errors import UsageError

    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{flag} should be a moment such as 2026-11-01 or 2026-11-01T12:30, got '{text}'") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _pictures(path: Path, reading: ReadOptions) -> Dataset:
    """Pictures with or without labels."""
    from photovision.data.dataset import Dataset, FileSamples
    from photovision.data.formats import folder, table

    tree = {}
    if path.is_dir() and reading == DEFAULTS and not table.detects(path):
        tree = folder.pictures_below(path)
    if set(tree) == {()}:
        return Dataset(FileSamples(path, tree[()], [None] * len(tree[()])), ())
    return read_data(path, reading)
