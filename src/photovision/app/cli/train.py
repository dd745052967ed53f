"""train: from pictures to a tested model."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from photovision.app.cli.options import Data, Events, Json, ScanWindow, SessionsBy, output_option
from photovision.app.cli.own_options import has_own_options
from photovision.app.cli.reading import read_data, reads_data
from photovision.core.task import tasks
from photovision.data.read_options import DEFAULTS, ReadOptions

if TYPE_CHECKING:
    from photovision.data.dataset import Dataset
    from photovision.engine.train_config import TrainConfig


TaskName = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="|".join(row.name for row in tasks() if row.has("learn")),
        help="Default: what the data teach.",
    ),
]
Weights = Annotated[
    str, typer.Option(help="auto, none (from scratch), hub, a name of weights that are here, or a file.")
]
Backbone = Annotated[
    str | None,
    typer.Option(
        help="A network of timm, hf-hub:OWNER/NAME, a name of weights that are here, or a folder; for boxes"
        " also dfine-s, rf-detr-nano and the like."
    ),
]
Flip = Annotated[
    Literal["auto", "on", "off"], typer.Option(help="Learn from mirrored views: auto (measured), on, off.")
]
FairBy = Annotated[
    str | None,
    typer.Option(metavar="ATTRIBUTE", help="A column of the table whose groups should be served equally well."),
]
Robust = Annotated[
    str | None,
    typer.Option(
        metavar="NAMES",
        help="Corruptions the model should be robust to: weather, blur, noise, digital, geometry, single ones (fog),"
        " augmix; separated by commas.",
    ),
]
Replay = Annotated[
    Path | None,
    typer.Option(help="Repeat the training of this model exactly; other options are ignored."),
]


_NONE: Mapping[str, Any] = {}


@reads_data
@has_own_options("train")
def train(  # noqa: PLR0913 - one parameter a flag
    data: Data,
    output: Annotated[Path, output_option("model", "Folder of the model to write.")],
    minutes: Annotated[float, typer.Option(help="Wall time for everything.")] = 5.0,
    task: TaskName = None,
    backbone: Backbone = None,
    weights: Weights = "auto",
    size: Annotated[int | None, typer.Option(help="Side of the network's input in pixels.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of the last stage; default: what the time allows.")] = None,
    flip: Flip = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    fair_by: FairBy = None,
    robust: Robust = None,
    sessions_by: SessionsBy = None,
    window: ScanWindow = None,
    commercial: Annotated[bool, typer.Option("--commercial", help="Refuse parts with an unsafe licence.")] = False,
    allow_download: Annotated[bool, typer.Option("--allow-download", help="Fetch weights that are not here.")] = False,
    track: Annotated[list[str] | None, typer.Option(help="tensorboard or mlflow; may be given twice.")] = None,
    replay: Replay = None,
    own: Mapping[str, Any] = _NONE,
    reading: ReadOptions = DEFAULTS,
    events: Events = None,
    as_json: Json = False,
) -> None:
    """Train a model within a time budget, and test it.

    Interrupted or killed, the same command resumes.
    """
    started = time.monotonic()
    # Read before torch is imported, so that a mistyped path is told at once.
    dataset = read_data(data, reading, task)

    from photovision.core.output import check_folder
    from photovision.engine.train_config import TrainConfig
    from photovision.runtime.bundle import read_bundle

    if replay is not None:
        check_folder(output, "model", [replay])
        options = TrainConfig.replaying(read_bundle(replay).info)
    else:
        options = TrainConfig(minutes, backbone, weights, size, epochs, flip, seed, commercial, allow_download)
        options = dataclasses.replace(options, track=tuple(track or ()), fair_by=fair_by, robust=_names(robust))
        options = dataclasses.replace(options, sessions_by=sessions_by, window=window, task=task, own=own)
    _run(dataset, output, options, events, as_json, started)


def _names(listed: str | None) -> tuple[str, ...]:
    """Names that are separated by commas."""
    return tuple(filter(None, (name.strip() for name in (listed or "").split(","))))


def _run(
    dataset: Dataset, output: Path, options: TrainConfig, events: Path | None, as_json: bool, started: float
) -> None:
    from photovision.app.cli.output import first_process, note
    from photovision.app.progress import counted, shown, with_events
    from photovision.core.phrases import count
    from photovision.core.progress import silent
    from photovision.data.scan_ahead import scanning
    from photovision.engine.heartbeat import beating

    first, dataset = first_process(), options.windowed(dataset)
    if first:
        classes = count(len(dataset.classes), "class", "classes")
        note(f"{count(len(dataset), 'picture')} of {classes}, {options.minutes:g} min")
    with (
        shown() as people,
        with_events(people, events if first else None) as listener,
        beating(listener if first else silent, 60 * options.minutes, started) as alive,
        scanning(dataset, counted(alive, "checking pictures, loading the libraries")) as scanned,
    ):
        from photovision.engine.train import run

        model = run(dataset, output, options, alive, started=started, scanned=scanned)
    if first:
        _print(model, output, as_json)


def _print(model: Any, output: Path, as_json: bool) -> None:
    from photovision.app.cli.output import print_json, print_rows, print_story
    from photovision.core.text import printable
    from photovision.engine.stage import STAGE_COLUMNS, stage_rows

    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    if as_json:
        print_json({"model": str(output), **report})
        return
    if report.get("assessment"):
        print(printable("{label}. {text}".format(**report["assessment"])))
    if rows := stage_rows(model.info):
        print_rows([STAGE_COLUMNS, *rows])
    print_story(report["summary"], report["warnings"])
    print(f"\nModel:  {output}\nReport: {output / 'report.html'}")
