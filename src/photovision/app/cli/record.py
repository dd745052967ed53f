"""record: what a record of predictions holds, and forgetting the old ones."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.drift import RecordArgument
from photovision.app.cli.options import Json

app = typer.Typer(rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False, no_args_is_help=False)


@app.command("stats")
def stats(record: RecordArgument, as_json: Json = False) -> None:
    """Say how many predictions there are, of which models and from when."""
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


@app.command("prune")
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
