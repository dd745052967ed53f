"""The report of a basket: the receipt, every move, and a page of those that a person should decide on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from photovision.core.errors import UsageError
from photovision.core.files import explained, write_bytes, write_text
from photovision.core.output import check_report
from photovision.core.page import to_html, write_report
from photovision.core.report import Figure, Report, Table
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.recipes.basket.basket import BasketRequest, BasketResult, Move
from photovision.recipes.basket.receipt import DECISIONS, Receipt, is_basket
from photovision.video.counting import Point

MAX_SHOWN = 200
"""Moves whose pictures one page shows."""
_BASKET, _SHELF = (60, 120, 255), (40, 170, 80)


def report(outcome: BasketResult, wanted: BasketRequest, model: str) -> Report:
    """The report of a video.

    Args:
        outcome: what was found out.
        wanted: what was looked for.
        model: name of the detector.
    """
    moves = [move.to_json(wanted.review_below) for move in outcome.moves]
    baskets = [name for name in wanted.zones if is_basket(name)]
    receipt = Receipt(baskets)
    for move in moves:
        receipt.add(move)
    waiting = sum(move["review"] for move in moves)
    figures = [] if outcome.frame is None else [_zones(outcome.frame, wanted.zones)]
    return Report(
        "basket",
        "What was taken and returned",
        _summary(moves, receipt, waiting),
        {},
        [_receipt(receipt), _moves(moves), *_initial(outcome)],
        figures,
        _warnings(outcome),
        {"model": model, "source": outcome.source, "at": datetime.now(UTC).isoformat(timespec="seconds")},
        {
            "baskets": baskets,
            "review_below": wanted.review_below,
            "moves": moves,
            "receipt": receipt.to_json(),
            "watched": dict(outcome.summary),
        },
    )


def write_basket(outcome: BasketResult, wanted: BasketRequest, model: str, folder: Path) -> Report:
    """Write the report, review.jsonl and review.html, and evidence/ with pictures where they were asked for.

    Raises UsageError as `check_basket` does.
    """
    check_basket(folder)
    made = report(outcome, wanted, model)
    with explained(folder):
        if (folder / "report.json").is_file():
            _forget_evidence(folder / "evidence")
    write_report(made, folder)
    for move in outcome.moves:
        for name, view in zip(move.files, move.views, strict=True):
            write_bytes(folder / name, view)
    waiting = [move for move in outcome.moves if move.confidence < wanted.review_below]
    write_text(
        folder / "review.jsonl", "".join(json.dumps(move.to_json(wanted.review_below)) + "\n" for move in waiting)
    )
    write_text(folder / "review.html", to_html(_review(waiting, folder)))
    return made


def check_basket(folder: Path) -> None:
    """Refuse a folder with files of the user's, or with a person's decisions: their numbers would mean other moves."""
    check_report(folder, "basket", ("review.jsonl", "review.html", DECISIONS))
    if (folder / DECISIONS).exists():
        raise UsageError(
            f"{folder} holds decisions on an earlier report: choose another folder with --output, or remove {DECISIONS}"
        )


def _forget_evidence(folder: Path) -> None:
    """Remove the pictures of an earlier report, and the folder where nothing else is in it."""
    for old in folder.glob("[0-9][0-9][0-9][0-9][0-9]-[12].jpg"):
        old.unlink()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _summary(moves: Sequence[Mapping[str, Any]], receipt: Receipt, waiting: int) -> tuple[str, ...]:
    kinds = {kind: sum(m["event"] == kind for m in moves) for kind in ("taken", "returned", "moved", "gone")}
    first = ", ".join(f"{n:,} {kind}" for kind, n in kinds.items() if n) or "nothing moved"
    sentences = [f"Moves: {first}; {waiting:,} of {len(moves):,} wait for a person's decision."]
    for basket, items in receipt.items.items():
        inside = ", ".join(f"{n:,} {label}" for label, n in sorted(items.items()) if n) or "nothing"
        sentences.append(f"In {basket}: {inside}.")
    return tuple(sentences)


def _warnings(outcome: BasketResult) -> tuple[str, ...]:
    found = [str(line) for line in outcome.summary.get("warnings", ())]
    if outcome.summary.get("interrupted"):
        found.append("Interrupted: the video was not seen to its end.")
    if not outcome.persons:
        found.append("No person was seen: moves are reported without the person who made them.")
    return tuple(found)


def _receipt(receipt: Receipt) -> Table:
    rows = [
        (basket, label, numbers["items"], numbers["in_review"])
        for basket, labels in receipt.to_json().items()
        for label, numbers in labels.items()
    ]
    return Table(
        "Receipt",
        ("basket", "class", "items", "moves in review"),
        tuple(rows),
        "Taken less returned. What waits for a decision does not count yet; below 0: it was there at the start.",
    )


def _moves(moves: Sequence[Mapping[str, Any]]) -> Table:
    rows = [
        (
            move["number"],
            f"{move['time']:.1f} s",
            move["class"],
            f"{move['event']}: {move['from'] or 'unknown'} \N{RIGHTWARDS ARROW} {move['to'] or 'unknown'}",
            f"{100 * move['confidence']:.0f}%" + (", review" if move["review"] else ""),
            "; ".join(move["doubts"]),
        )
        for move in moves
    ]
    return Table("Moves", ("no.", "time", "class", "what", "confidence", "doubts"), tuple(rows))


def _initial(outcome: BasketResult) -> list[Table]:
    rows = tuple((zone, label, n) for (zone, label), n in sorted(outcome.initial.items()))
    return [Table("There at the start", ("zone", "class", "items"), rows)] if rows else []


def _review(waiting: Sequence[Move], folder: Path) -> Report:
    figures = [
        Figure(
            f"Move {move.number}: {move.label} {move.kind}, {100 * move.confidence:.0f}%",
            pictures=tuple(zip(move.views, ("left", "arrived")[2 - len(move.views) :], strict=True))
            if move.target
            else tuple((view, "last seen") for view in move.views),
            note=f"At {move.time:.1f} s, from {move.origin or 'unknown'} to {move.target or 'unknown'}."
            f" {'; '.join(move.doubts).capitalize()}.",
        )
        for move in waiting[:MAX_SHOWN]
    ]
    return Report(
        "basket-review",
        "Moves to decide on",
        (
            f"{len(waiting):,} moves wait." if waiting else "Nothing waits for a decision.",
            f"Decide with: photovision recipe review {folder.name} --accept 1,2 --reject 3",
        ),
        figures=figures,
        warnings=("There are no pictures: ask for them with --evidence, or look into the video at these times.",)
        if waiting and not any(move.views for move in waiting)
        else (),
    )


def _zones(frame: Image, zones: Mapping[str, tuple[Point, ...]]) -> Figure:
    page = Pillow.fromarray(frame)
    pen, letters = ImageDraw.Draw(page), ImageFont.load_default(max(11, page.width // 40))
    for name, corners in zones.items():
        shares = all(abs(value) <= 1 for corner in corners for value in corner)
        across, down = (page.width, page.height) if shares else (1, 1)
        points = [(x * across, y * down) for x, y in corners]
        colour = _BASKET if is_basket(name) else _SHELF
        pen.polygon(points, outline=colour, width=max(2, page.width // 240))
        pen.text((min(x for x, _ in points) + 6, min(y for _, y in points) + 4), name, font=letters, fill=colour)
    return Figure(
        "Zones", pictures=((jpeg(np.asarray(page, dtype=np.uint8)), "the first frame with its zones"),), lead=True
    )
