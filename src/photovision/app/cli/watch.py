"""watch: what moves how in a video, a folder of frames, a camera or a stream."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from photovision.app.cli.options import Json, TagModel

Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="A video, a folder of frames, a camera (0, /dev/video0) or an address (rtsp://...)."
    ),
]
Model = Annotated[
    Path | None,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="Your detector's folder; default: the built-in detector of 80 everyday things.",
    ),
]
Lines = Annotated[
    list[str] | None,
    typer.Option(
        "--line",
        metavar="[NAME:]x1,y1,x2,y2",
        help="Count what crosses a line; pixels, or shares of the frame where all are at most 1. May be repeated.",
    ),
]
Zones = Annotated[
    list[str] | None,
    typer.Option("--zone", metavar="NAME:x,y;x,y;x,y...", help="Count what is in an area. May be repeated."),
]
Film = Annotated[Path | None, typer.Option("--output", "-o", help="Write an MP4 with what was seen drawn over it.")]


def watch(  # noqa: PLR0913 - one parameter a flag
    source: Source,
    model: Model = None,
    line: Lines = None,
    zone: Zones = None,
    only: Annotated[list[str] | None, typer.Option("--class", help="Follow this class only. May be repeated.")] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Score from which on an object is followed; default: the model's."),
    ] = None,
    events: Annotated[Path | None, typer.Option(help="Add events to this file, as JSON Lines.")] = None,
    record: Annotated[Path | None, typer.Option(help="Add events to this SQLite file.")] = None,
    output: Film = None,
    tags: TagModel = None,
    every: Annotated[int, typer.Option(min=1, help="Look at every so many frames.")] = 1,
    max_seconds: Annotated[float | None, typer.Option(min=0, help="End after so many seconds of the video.")] = None,
    as_json: Json = False,
) -> None:
    """Follow and count objects in a video or a camera's stream.

    It counts what crosses lines and what stays in zones. Ctrl-C ends it with its summary.
    """
    from photovision.app.cli.output import note, print_json
    from photovision.app.cli.tagging import tagger_of
    from photovision.app.progress import counted, shown
    from photovision.video.sources import without_secrets
    from photovision.video.watch import LOW, WatchRequest
    from photovision.video.watch import watch as look
    from photovision.video.watch_model import known_classes, predicting, tracking_detector

    lines = dict(_line(text, number) for number, text in enumerate(line or (), 1))
    zones = dict(zone_of(text) for text in zone or ())
    detector, high = tracking_detector(model, threshold)
    classes, ranges = known_classes(detector, tuple(only or ())), detector.preprocess.value_ranges
    asked = WatchRequest(lines, zones, classes, high, min(LOW, high), every, max_seconds, ranges=ranges)
    tagger = tagger_of(tags)
    note(f"watching {without_secrets(source)}; Ctrl-C ends it with its summary")
    with shown() as listener:
        kept = {"events": events, "record": record, "output": output}
        found = look(source, predicting(detector), asked, tagger=tagger, progress=counted(listener, "watching"), **kept)
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _line(text: str, number: int) -> tuple[str, Any]:
    name, _, numbers = text.rpartition(":")
    values = _numbers(numbers, text)
    if len(values) != 4:
        raise _wrong("--line", "x1,y1,x2,y2 or NAME:x1,y1,x2,y2", text)
    return name or f"line {number}", ((values[0], values[1]), (values[2], values[3]))


def zone_of(text: str) -> tuple[str, Any]:
    """Name and corners of a zone from NAME:x,y;x,y;x,y; raises UsageError."""
    name, _, numbers = text.rpartition(":")
    corners = [_numbers(corner, text) for corner in numbers.split(";") if corner.strip()]
    if not name or len(corners) < 3 or any(len(corner) != 2 for corner in corners):
        raise _wrong("--zone", "NAME:x,y;x,y;x,y with three corners or more", text)
    return name, tuple((x, y) for x, y in corners)


def _numbers(text: str, whole: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise _wrong("--line or --zone", "numbers with commas between them", whole) from None


def _wrong(flag: str, wanted: str, text: str) -> Exception:
    from photovision.core.errors import UsageError

    return UsageError(f"{flag} should be {wanted}, got '{text}'")


def _tell(found: dict[str, Any]) -> None:
    from photovision.app.cli.output import print_rows, print_story
    from photovision.core.text import printable

    speed = "" if found["frames_per_second"] is None else f", {found['frames_per_second']:g} frames/s"
    print(f"{found['frames']:,} frames in {found['seconds']:.1f} s{speed}; {found['tracks']:,} objects followed")
    if found["lines"]:
        print_rows([(name, f"{n['left']} left", f"{n['right']} right") for name, n in found["lines"].items()])
    if found["zones"]:
        print_rows(
            [
                (name, f"{n['entered']} entered", f"most at once {n['most_at_once']}", f"mean stay {_stay(n)}")
                for name, n in found["zones"].items()
            ]
        )
    if "tags" in found:
        shares = ", ".join(f"{printable(name)} {100 * share:.0f}%" for name, share in found["tags"].items())
        print(f"Scene, by share of the frames: {shares or 'no tag'}")
    odd = {name: found[name] for name in ("corrupt", "dropped", "reconnects") if found[name]}
    if odd:
        print("  ".join(f"{name} {number:,}" for name, number in odd.items()))
    print_story((), found["warnings"])
    if found["interrupted"]:
        print("Interrupted; what was seen until then is counted and written.")


def _stay(zone: dict[str, Any]) -> str:
    return "–" if zone["mean_dwell_s"] is None else f"{zone['mean_dwell_s']:.1f} s"
