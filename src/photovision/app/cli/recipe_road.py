"""recipe road: where may a detector or a segmenter be relied on, at night, in rain, in fog?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from photovision.app.cli.options import Data, Json, ReportFolder, Split
from photovision.app.cli.reading import read_data, reads_data
from photovision.data.read_options import DEFAULTS, ReadOptions

Model = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A detector or a segmenter; yolov4-tiny is the ready detector.")
]
Conditions = Annotated[
    str | None,
    typer.Option(
        "--condition", help="Attributes that tell the condition, such as weather,timeofday; default: what is called so."
    ),
]
Simulate = Annotated[
    bool | None,
    typer.Option(
        "--simulate/--no-simulate", help="Make bad weather from the pictures; default: where they tell of no condition."
    ),
]
Weather = Annotated[
    str, typer.Option(metavar="NAMES", help="What is simulated: corruptions, or families of them such as weather.")
]
Classes = Annotated[
    list[str] | None, typer.Option("--class", help="Judge this class; default: those of roads. May be repeated.")
]


Attributes = Annotated[
    Path | None,
    typer.Option(metavar="TABLE", help="A table with a column file_name and attributes of the pictures to add."),
]


@reads_data
def road(  # noqa: PLR0913 - one parameter a flag
    model: Model,
    data: Data,
    condition: Conditions = None,
    attributes: Attributes = None,
    tags: Annotated[Path | None, typer.Option(help="A model whose tags tell the condition of every picture.")] = None,
    simulate: Simulate = None,
    weather: Weather = "night,rain,fog,snow,motion-blur",
    severity: Annotated[str, typer.Option(help="Severities of what is simulated, 1 to 5.")] = "1,3,5",
    only: Classes = None,
    pictures: Annotated[int, typer.Option(min=10, help="Pictures in every simulated condition, at most.")] = 200,
    split: Split = None,
    output: ReportFolder = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated weather.")] = 0,
    reading: ReadOptions = DEFAULTS,
    as_json: Json = False,
) -> None:
    """Judge a model on road scenes condition by condition: day and night, rain, fog, snow; with a verdict on each."""
    from photovision.app.cli.output import print_report
    from photovision.app.progress import counted, shown
    from photovision.data.attributes import with_attributes
    from photovision.engine.holdout import hold_out
    from photovision.models.pretrained import bundle_at
    from photovision.recipes.road.evaluation import seeing, tagged
    from photovision.recipes.road.road import RoadRequest
    from photovision.recipes.road.road import road as judge

    seer = seeing(bundle_at(model))
    severities = tuple(_severity(part) for part in severity.split(","))
    asked = RoadRequest(_names(condition), simulate, _names(weather), severities, tuple(only or ()), pictures, seed)
    dataset = read_data(data, reading)
    with shown() as listener:
        part = hold_out(dataset, [seer], split, counted(listener, "checking pictures"))
        judged = part.dataset if attributes is None else with_attributes(part.dataset, attributes)
        condition_tags = None if tags is None else tagged(tags, judged.samples)
        report = judge(seer, judged, asked, tags=condition_tags, progress=counted(listener, "evaluating"))
    print_report(replace(report, summary=(*report.summary, part.note)), output, as_json)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (text or "").split(",") if name.strip())


def _severity(text: str) -> int:
    from photovision.core.errors import UsageError

    if text.strip() not in ("1", "2", "3", "4", "5"):
        raise UsageError(f"--severity should be numbers from 1 to 5 with commas between them, got '{text}'")
    return int(text)
