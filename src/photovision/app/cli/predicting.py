"""What `predict` and `detect` do with a model of any task: files in, a line each out, drawings where asked."""

from __future__ import annotations

import csv
import json
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from photovision.core.result import Result
    from photovision.core.types import Image
    from photovision.runtime.model import OnnxModel
    from photovision.video.reader import Frame
    from photovision.video.tags import Tagger, Tags

    Print = Callable[[Result[Any], Frame | None, Tags | None], None]


def form_of(as_json: bool, as_csv: bool) -> str:
    """ "text", "json" or "csv"; raises UsageError for two at once."""
    from photovision.core.errors import UsageError

    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other: choose one")
    return "json" if as_json else "csv" if as_csv else "text"


def check_names(names: list[str]) -> list[str]:
    """The names of what is to be read; raises UsageError where there are none."""
    from photovision.core.errors import UsageError

    if not names:
        raise UsageError("give pictures, a folder, a pattern, or '-' to read file names from standard input")
    return names


def model_at(model: str | Path) -> Path:
    """The folder of a model or of a ready one, which is made at its first use; what is not known of it is stated."""
    if Path(model).exists():  # the usual case, which needs no more modules
        return Path(model)
    from photovision.models.pretrained import READY, bundle_at, is_ready

    name = str(model)
    if name not in READY:
        return bundle_at(model)
    from photovision.app.cli.output import note
    from photovision.models.weights import locate
    from photovision.runtime.bundle import read_bundle

    if not is_ready(name) and locate(READY[name].name) is not None:
        note(f"making {name} ready on this machine, once")
    place = bundle_at(model)
    if (known := len(read_bundle(place).classes)) > 1:  # what cuts out names nothing
        note(
            f"{name} is used as published, for its {known:,} classes: how good it is on your pictures was not measured,"
            " and its confidence is not calibrated"
        )
    return place


def size_of(text: str) -> tuple[int, int]:
    """(H, W) from a side or HxW; raises UsageError."""
    from photovision.core.errors import UsageError

    sides = text.lower().split("x")
    if not 1 <= len(sides) <= 2 or not all(side.isascii() and side.isdigit() for side in sides):
        raise UsageError(f"--tile should be a side or HxW in pixels, such as 640 or 480x640, got '{text}'")
    return int(sides[0]), int(sides[-1])


def predict_files(
    model: OnnxModel[Any],
    names: list[str],
    *,
    lines: Any,
    form: str,
    output: Path | None = None,
    tags: Path | None = None,
    batch_size: int | None = None,
) -> None:
    """Print what a model predicts for files, and write drawings into a folder.

    Args:
        model: of any task.
        names: files, folders, patterns and "-", in order; videos are read where the model's lines have frames.
        lines: the part "lines" of the task.
        form: "text", "json" or "csv".
        output: folder for what the parts "draw" or "files" of the task give.
        tags: a classifier whose tags are printed beside the predictions.
        batch_size: images a call of the network; None: the default of the task.

    Raises:
        Exit: with 2 where something could not be read.
    """
    from photovision.app.cli.drawing import drawings
    from photovision.app.cli.output import alert
    from photovision.app.cli.tagging import tagger_of

    tagger = tagger_of(tags)
    say = {"json": _json_line, "csv": _csv_lines, "text": _text_line}[form](lines, tagger is not None)
    draw = None if output is None else drawings(model, output)
    total = unreadable = 0
    try:
        for result, frame in _results(model, names, lines.frames, batch_size):
            say(result, frame, None if tagger is None else _tags(tagger, result, frame))
            if draw is not None and result.value is not None:
                draw(result, frame)
            total += frame is None or frame.index == 0
            unreadable += result.value is None
    finally:
        if draw is not None:
            draw.close()
    if unreadable:
        alert(f"{unreadable:,} of {total:,} files could not be read")
        raise typer.Exit(2)


def _results(
    model: OnnxModel[Any], names: list[str], videos: bool, batch_size: int | None
) -> Iterator[tuple[Result[Any], Frame | None]]:
    """The result for every image, and for every frame of a video, in order."""
    from photovision.data.image_paths import VIDEOS, find_pictures

    for video, run in groupby(names, lambda name: videos and Path(name).suffix.lower() in VIDEOS):
        if video:
            for name in run:
                yield from _frames(model, name, batch_size)
        else:
            found = model.results(find_pictures(run, sys.stdin), batch_size=batch_size)
            yield from ((result, None) for result in found)


def _frames(model: OnnxModel[Any], name: str, batch_size: int | None) -> Iterator[tuple[Result[Any], Frame | None]]:
    from photovision.core.errors import DataError, UnreadableImage
    from photovision.core.result import Result
    from photovision.video.reader import open_video

    waiting: deque[Frame] = deque()
    try:
        with open_video(name, live=False) as video:
            for result in model.results(_remembered(video, waiting), batch_size=batch_size):
                yield replace(result, file=name), waiting.popleft()
    except DataError as error:
        yield Result(name, (0, 0), None, UnreadableImage(str(error))), None


def _remembered(frames: Iterable[Frame], waiting: deque[Frame]) -> Iterator[Image]:
    for frame in frames:
        waiting.append(frame)
        yield frame.image


def _tags(tagger: Tagger, result: Result[Any], frame: Frame | None) -> Tags:
    if result.value is None or result.file is None:
        return {}
    if frame is None:
        return tagger.picture(result.file)
    if frame.index == 0:
        tagger.begin()
    return tagger.frame(frame.image)


def _json_line(lines: Any, tagged: bool) -> Print:
    def say(result: Result[Any], frame: Frame | None, tags: Tags | None) -> None:
        fields = result.to_json() | ({} if tags is None or result.value is None else {"tags": tags})
        if frame is not None:
            fields = {"file": fields.pop("file"), "frame": frame.index, "time": round(frame.time, 3), **fields}
        print(json.dumps(fields), flush=True)

    return say


def _csv_lines(lines: Any, tagged: bool) -> Print:
    from photovision.core.text import cells

    writer = csv.writer(sys.stdout, lineterminator="\n")
    frames = ["frame"] if lines.frames else []
    writer.writerow(cells(["file", *lines.columns, *frames, "error", *(["tags"] if tagged else [])]))

    def say(result: Result[Any], frame: Frame | None, tags: Tags | None) -> None:
        scene = [] if tags is None else ["|".join(tags)]
        if result.value is None:
            blank = [""] * (len(lines.columns) + len(frames))
            writer.writerow(cells([result.file, *blank, result.to_json()["error"], *scene]))
        else:
            number = ["" if frame is None else frame.index] if frames else []
            for row in lines.rows(result.value, result.size):
                writer.writerow(cells([result.file, *row, *number, "", *scene]))
        sys.stdout.flush()

    return say


def _text_line(lines: Any, tagged: bool) -> Print:
    from photovision.app.cli.output import alert
    from photovision.app.cli.tagging import tags_text
    from photovision.core.text import printable

    def say(result: Result[Any], frame: Frame | None, tags: Tags | None) -> None:
        if result.value is None:
            alert(str(result.error))
            return
        at = "" if frame is None else f" at {frame.time:.2f} s"
        print(f"{lines.text(printable(str(result.file)) + at, result.value)}{tags_text(tags)}", flush=True)

    return say
