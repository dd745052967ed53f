"""recipe basket: what was taken from a shelf into a basket, and returned, in a video; review: a person's decisions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from photovision.app.cli.options import Json, ReportFolder
from photovision.app.cli.watch import Model, Source

Zones = Annotated[
    list[str],
    typer.Option(
        "--zone",
        metavar="NAME:x,y;x,y;x,y...",
        help="An area: a basket where NAME begins with 'basket' or 'cart', else a shelf. May be repeated.",
    ),
]


Only = Annotated[list[str] | None, typer.Option("--class", help="Items are of this class only. May be repeated.")]
Threshold = Annotated[
    float | None, typer.Option(min=0, max=1, help="Score from which on an item is followed; default: the model's.")
]
ReviewBelow = Annotated[float, typer.Option(min=0, max=1, help="Moves with less confidence are left to a person.")]
Evidence = Annotated[
    bool, typer.Option("--evidence", help="Keep pictures of what moved, cut out around it; needs --output.")
]
MaxSeconds = Annotated[float | None, typer.Option(min=0, help="End after so many seconds of the video.")]
Moves = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Add moves to this file as they happen, as JSON Lines.")
]


def basket(
    source: Source,
    zone: Zones,
    model: Model = None,
    only: Only = None,
    threshold: Threshold = None,
    review_below: ReviewBelow = 0.5,
    evidence: Evidence = False,
    max_seconds: MaxSeconds = None,
    events: Moves = None,
    output: ReportFolder = None,
    as_json: Json = False,
) -> None:
    """Tell from a video what was taken from shelves into baskets, and what was returned."""
    from photovision.app.cli.output import print_report
    from photovision.app.cli.watch import zone_of
    from photovision.app.progress import counted, shown
    from photovision.core.errors import UsageError
    from photovision.recipes.basket.basket import BasketRequest, watch_basket
    from photovision.recipes.basket.page import check_basket, report, write_basket
    from photovision.video.watch_model import known_classes, predicting, tracking_detector

    if evidence and output is None:
        raise UsageError("--evidence keeps pictures in the report's folder: name one with --output")
    if output is not None:
        check_basket(output)
    zones = dict(map(zone_of, zone))
    detector, high = tracking_detector(model, threshold)
    wanted = BasketRequest(zones, known_classes(detector, tuple(only or ())), high, review_below, evidence, max_seconds)
    with shown() as listener:
        progress = counted(listener, "watching")
        found = watch_basket(source, predicting(detector), wanted, events=events, progress=progress)
    name = str(model or "yolov4-tiny")
    made = report(found, wanted, name) if output is None else write_basket(found, wanted, name, output)
    print_report(made, None, as_json)
    if output is not None and not as_json:
        print(f"\nReport: {output / 'report.html'}\nReview: {output / 'review.html'}")


def review(
    folder: Annotated[Path, typer.Argument(metavar="REPORT", help="A folder that 'recipe basket -o' wrote.")],
    accept: Annotated[
        str | None, typer.Option(metavar="1,2...", help="Numbers of moves that happened as reported.")
    ] = None,
    reject: Annotated[str | None, typer.Option(metavar="1,2...", help="Numbers of moves that did not happen.")] = None,
    as_json: Json = False,
) -> None:
    """Decide on doubtful moves of a basket; prints what still waits, and the receipt."""
    from photovision.app.cli.output import print_json, print_rows
    from photovision.recipes.basket.receipt import review as decide

    found = decide(folder, _numbers("--accept", accept), _numbers("--reject", reject))
    if as_json:
        print_json(found)
        return
    print(f"{len(found['open']):,} wait, {len(found['accepted']):,} accepted, {len(found['rejected']):,} rejected")
    print_rows([(f"no. {m['number']}", m["event"], m["class"], f"{100 * m['confidence']:.0f}%") for m in found["open"]])
    print_rows(_lines(found["receipt"]))


def _lines(receipt: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (basket, label, f"{n['items']:,}" + (f" ({n['in_review']:,} in review)" if n["in_review"] else ""))
        for basket, labels in receipt.items()
        for label, n in labels.items()
    ]


def _numbers(flag: str, text: str | None) -> tuple[int, ...]:
    from photovision.core.errors import UsageError

    try:
        return tuple(int(part) for part in (text or "").split(",") if part.strip())
    except ValueError:
        raise UsageError(f"{flag} should be numbers of moves with commas between them, got '{text}'") from None
