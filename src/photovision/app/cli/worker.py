"""worker: one process more for a work list of `predict --results`, on this machine or another that sees the folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from photovision.app.cli.options import Json


def worker(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What 'predict --results FOLDER' has begun.")],
    as_json: Json = False,
) -> None:
    """Help with predictions that are under way.

    Any number of processes and machines may join and leave; each takes what nobody else works on. It ends when all is
    predicted.
    """
    from photovision.app.cli.output import note
    from photovision.app.progress import counted, shown
    from photovision.core.subprocesses import end_with_parent
    from photovision.engine.work_list import open_work, work_on
    from photovision.engine.workers import forecast

    end_with_parent()
    work, ahead = open_work(folder), forecast(note)
    with shown() as people:
        bar = counted(people, "predicting")
        work_on(work, lambda done, total: (ahead(done, total), bar(done, total))[1])
    _print_summary(work, as_json)


def predict_into(
    folder: Path | None,
    model: Path,
    names: list[str],
    loading: dict[str, Any],
    choices: dict[str, Any],
    batch_size: int | None,
    workers: int | None,
    as_json: bool,
    others: Sequence[object],
) -> None:
    """Predict one source into a folder of results, by several processes where asked; refuses other forms of output."""
    from photovision.app.cli.output import note
    from photovision.app.progress import counted, shown
    from photovision.core.errors import UsageError
    from photovision.engine.work_list import new_work
    from photovision.engine.workers import forecast, work_with

    if folder is None:
        raise UsageError("--workers is for --results FOLDER, into which they write: name it, or leave it out")
    if any(others):
        raise UsageError("--results writes Parquet files: leave out --csv, --output and --tags")
    if len(names) != 1 or names[0] == "-":
        raise UsageError("--results takes one folder, table, archive or address: name it alone")
    ahead = forecast(note)
    with shown() as people:
        bar = counted(people, "predicting")
        work = new_work(folder, model, names[0], loading=loading, choices=choices, batch_size=batch_size)
        work_with(work, workers or 1, lambda done, total: (ahead(done, total), bar(done, total))[1])
    _print_summary(work, as_json)


def _print_summary(work: Any, as_json: bool) -> None:
    """What was predicted; ends with 2 where pictures could not be read."""
    from photovision.app.cli.output import alert, print_json
    from photovision.core.phrases import count
    from photovision.core.text import printable
    from photovision.engine.work_list import RESULTS, summary_of

    facts = summary_of(work)
    if as_json:
        print_json({"kind": "predict", "results": str(work.folder / RESULTS), **facts})
    else:
        read = count(facts["pictures"] - facts["unreadable"], "picture")
        print(f"{read} predicted, in {printable(str(work.folder / RESULTS))}")
    if facts["unreadable"]:
        first = facts["unreadable_first"][0]
        lost = count(facts["unreadable"], "picture")
        alert(f"{lost} could not be read, the first: {printable(first['id'])}: {printable(first['error'])}")
        raise typer.Exit(2)
