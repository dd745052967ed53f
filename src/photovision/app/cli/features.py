"""features: what has a network learned, layer by layer?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from photovision.app.cli.options import Json, Model, ReportFolder
from photovision.app.cli.reading import needs_data, read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from photovision.data.dataset import Dataset

Shown = Annotated[
    Path | None,
    typer.Argument(
        metavar="[DATA]",
        help="Pictures to show to it: a folder per class, a table, or a folder of pictures without labels.",
    ),
]


@reads_data
def features(
    model: Model,
    data: Shown = None,
    output: ReportFolder = None,
    units: Annotated[int, typer.Option(min=1, max=64, help="Units to show of each stage, and classes.")] = 6,
    pictures: Annotated[int, typer.Option(min=20, help="Pictures to show to the network at most.")] = 400,
    stages: Annotated[str, typer.Option(help="all, or numbers from 1 for the first layer, such as 1,3.")] = "all",
    minutes: Annotated[float, typer.Option(help="Time for everything; more time makes clearer pictures.")] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the choice of pictures and of the optimisation.")] = 0,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Show what a network has learned, layer by layer.

    One page with what excites its units.
    """
    from photovision.engine.load import load

    recognizer, numbers = load(model), _numbers(stages)
    needs_data(data, reading, "DATA")
    dataset = None if data is None else _pictures(data, reading)

    from photovision.app.cli.output import print_report
    from photovision.app.progress import counted, shown
    from photovision.learned_features.report import features as draw

    with shown() as listener:
        report = draw(
            recognizer,
            dataset,
            units=units,
            pictures=pictures,
            stages=numbers,
            seed=seed,
            minutes=minutes,
            progress=counted(listener, "looking inside"),
        )
    print_report(report, output, as_json)


def _numbers(stages: str) -> list[int] | None:
    from photovision.core.errors import UsageError

    if stages == "all":
        return None
    parts = [part.strip() for part in stages.split(",")]
    if not all(part.isdecimal() and part.isascii() for part in parts):
        raise UsageError(f"--stages should be all or numbers such as 1,3, got '{stages}'")
    return [int(part) for part in parts]


def _pictures(path: Path, reading: ReadOptions) -> Dataset:
    """The dataset at a path; a folder whose pictures lie directly in it has no labels."""
    from photovision.data.dataset import Dataset, FileSamples
    from photovision.data.formats import folder, table

    if path.is_dir() and not table.detects(path) and reading == DEFAULTS:
        tree = folder.pictures_below(path)
        if set(tree) == {()}:
            names = tree[()]
            return Dataset(FileSamples(path, names, [None] * len(names)), ())
    return read_data(path, reading)
