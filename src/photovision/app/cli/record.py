"""record: what a record of predictions holds, its rows for other programs, and forgetting the old ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from photovision.app.cli.drift import RecordArgument, ServedAs, Since, Until, moment
from photovision.app.cli.options import Json
from photovision.app.cli.program import Commands

if TYPE_CHECKING:
    from photovision.service.record import Row

app = Commands()


def stats(record: RecordArgument, as_json: Json = False) -> None:
    """Show how many predictions are stored, by model and date."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.service.record import Record

    with Record.open(record, create=False) as opened:
        found = opened.stats()
    first, last = (None if at is None else at.isoformat(timespec="seconds") for at in (found.first, found.last))
    if as_json:
        models = [{"model": model, "version": version, "rows": n} for (model, version), n in found.models.items()]
        print_json({"rows": found.rows, "first": first, "last": last, "pictures": found.pictures, "models": models})
        return
    print(f"{found.rows:,} predictions, {found.pictures:,} with their picture")
    if found.rows:
        print(f"from {first} to {last}")
        print_rows([(model, f"version {version}", n) for (model, version), n in found.models.items()])


def export(
    record: RecordArgument,
    since: Since = None,
    until: Until = None,
    last: Annotated[int | None, typer.Option(min=1, help="Only the newest so many predictions.")] = None,
    served_as: ServedAs = None,
) -> None:
    """Write predictions to standard output, one JSON object a line, the oldest first: answers, boxes, shares."""
    import json

    from photovision.service.record import Record

    name, _, version = (served_as or "").partition("/")
    window = name or None, moment("--since", since), moment("--until", until), last
    with Record.open(record, create=False) as opened:
        for row in opened.read(*window, version=version or None):
            print(json.dumps(_told(row)))


def _told(row: Row) -> dict[str, Any]:
    """A row without its embedding; what only classifiers say is left out for other models."""
    fields: dict[str, Any] = {"id": row.id, "at": row.at.isoformat(), "model": row.model, "version": row.version}
    if row.found is not None:
        fields |= row.found
    else:
        fields |= {"label": row.label, "best": row.best, "prob": row.prob, "known": row.known, "novelty": row.novelty}
        fields["set"] = list(row.prediction_set)
    return {**fields, "seconds": row.seconds, "picture": row.kept}


def prune(
    record: RecordArgument,
    days: Annotated[float, typer.Option(min=0, help="Delete predictions older than so many days.")],
    pictures: Annotated[Path | None, typer.Option(help="The folder in which the service kept pictures.")] = None,
    as_json: Json = False,
) -> None:
    """Delete old predictions, and with --pictures their pictures."""
    from datetime import UTC, datetime, timedelta

    from photovision.app.cli.output import print_json
    from photovision.service.record import Record

    limit = datetime.now(UTC) - timedelta(days=days)
    with Record.open(record, pictures=pictures, create=False) as opened:
        count = opened.prune(limit)
    if as_json:
        print_json({"deleted": count, "older_than": limit.isoformat(timespec="seconds")})
    else:
        print(f"{count:,} predictions from before {limit.isoformat(timespec='seconds')} were deleted")


app.add(stats, "record stats sqlite:///predictions.db", name="stats")
app.add(export, "record export sqlite:///predictions.db --last 100", name="export")
app.add(prune, "record prune sqlite:///predictions.db --days 30", name="prune")
