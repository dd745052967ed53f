"""The report of a visit: counts, slots and changes as tables, and pictures with slots and changes drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from photovision.core.errors import UnreadableImage
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.thumbnail import jpeg
from photovision.core.types import Floats, Image
from photovision.recipes.shelf.counts import Count
from photovision.recipes.shelf.shelf import ShelfMonitor, ShelfVisit

SIDE = 960
"""Longest side of a drawn picture in pixels."""
MAX_PICTURES = 40
"""Pictures that the page shows, those with alarms and changes first."""
COLOURS = {
    "full": (40, 170, 80),
    "short": (235, 140, 20),
    "empty": (225, 40, 40),
    "unsure": (235, 200, 40),
    "hidden": (140, 140, 150),
    "appeared": (60, 120, 255),
    "vanished": (225, 40, 40),
    "moved": (180, 80, 220),
}
"""Colour of every state of a slot and kind of change, RGB."""
_LEGEND = (
    " Slots: green full, red empty, orange too few, yellow unsure, grey hidden. Changes: blue appeared, red vanished,"
    " violet moved."
)
_ORDER = ("empty", "short", "unsure", "hidden", "full", "outside")


def report(visit: ShelfVisit, model: str) -> Report:
    """The report of a visit.

    Args:
        visit: what was found out.
        model: name of the detector.
    """
    shelves = visit.shelves
    tables = [_totals(visit.totals, len(shelves))]
    if len(shelves) > 1:
        tables.append(_by_picture(shelves))
    tables += [*_slots(shelves), *_changes(shelves)]
    first = sorted(shelves, key=lambda shelf: -_urgency(shelf))
    figures = [found for shelf in first[:MAX_PICTURES] if (found := _figure(shelf)) is not None]
    if figures and any(shelf.slots or shelf.changes is not None for shelf in shelves):
        figures[0] = replace(figures[0], note=figures[0].note + _LEGEND)
    return Report(
        "shelf",
        "What stands on the shelves",
        summary(visit),
        metrics(visit),
        tables,
        figures,
        warnings(visit),
        {"model": model, "at": datetime.now(UTC).isoformat(timespec="seconds")},
        {
            "calibrated": visit.calibrated,
            "counts": {label: found.to_json() for label, found in visit.totals.items()},
            "alarms": [slot.to_json() for _, slot in visit.alarms],
            "pictures": [shelf.to_json() for shelf in shelves],
        },
    )


def summary(visit: ShelfVisit) -> tuple[str, ...]:
    """Sentences for a reader who reads nothing else."""
    sentences = []
    slots = [slot for shelf in visit.shelves for slot in shelf.slots]
    if slots:
        states = {state: sum(slot.state == state for slot in slots) for state in _ORDER}
        sentences.append(
            f"{len(slots):,} slots: " + ", ".join(f"{n:,} {state}" for state, n in states.items() if n) + "."
        )
    compared = [shelf.changes for shelf in visit.shelves if shelf.changes is not None]
    if compared:
        sure = [change for changes in compared for change in changes if change.sure]
        kinds = {kind: sum(change.kind == kind for change in sure) for kind in ("appeared", "vanished", "moved")}
        sentences.append("Since the visit before: " + ", ".join(f"{n:,} {kind}" for kind, n in kinds.items()) + ".")
    number = len(visit.shelves)
    counts = "; ".join(f"{name}: {_range(found)}" for name, found in list(visit.totals.items())[:8]) or "nothing"
    return (*sentences, f"Counted in {number:,} picture{'s' * (number > 1)}: {counts}.")


def metrics(visit: ShelfVisit) -> dict[str, Metric]:
    """The shares of slots that are full, and that somebody should fill, of those that can be seen."""
    decisions = [s for shelf in visit.shelves for s in shelf.slots if s.state in ("full", "short", "empty", "unsure")]
    if not decisions:
        return {}
    full, alarms = sum(s.state == "full" for s in decisions), sum(s.alarm for s in decisions)
    return {"slots_full": Metric(full / len(decisions)), "slots_to_fill": Metric(alarms / len(decisions))}


def warnings(visit: ShelfVisit) -> tuple[str, ...]:
    """What a careful reader must know."""
    sentences = [*visit.warnings, *(line for shelf in visit.shelves for line in shelf.warnings)]
    if not visit.calibrated:
        sentences.append(
            "The scores of this detector are not calibrated: expected counts and intervals are as good as its scores."
            " A detector trained on your own pictures has calibrated ones."
        )
    return tuple(sentences)


def _totals(totals: Mapping[str, Count], pictures: int) -> Table:
    rows = [(name, one.boxes, one.expected, f"{one.low} to {one.high}") for name, one in totals.items()]
    return Table(
        "Counts",
        ("class", "boxes shown", "expected", "95% interval"),
        tuple(rows),
        f"Over {pictures:,} pictures. Expected: the sum of the probabilities of all boxes, doubtful ones, too. The"
        " interval takes boxes as right or wrong independently of each other, and knows nothing of objects that no box"
        " speaks of.",
    )


def _by_picture(shelves: Sequence[ShelfMonitor]) -> Table:
    rows = [(s.view.name, name, one.boxes, _range(one)) for s in shelves for name, one in s.counts.items()]
    return Table("Counts by picture", ("picture", "class", "boxes shown", "expected"), tuple(rows))


def _slots(shelves: Sequence[ShelfMonitor]) -> list[Table]:
    pairs = [(shelf, slot) for shelf in shelves for slot in shelf.slots]
    if not pairs:
        return []
    pairs.sort(key=lambda pair: _ORDER.index(pair[1].state))
    rows = tuple(
        (
            shelf.view.name,
            one.slot.name,
            one.slot.label,
            one.state + (f" ({one.other} there)" if one.other and one.state != "full" else ""),
            f"{one.expected:.1f} of {one.slot.count}",
            f"{100 * one.missing:.0f}%",
            None if one.unchanged is None else f"{100 * one.unchanged:.0f}%",
        )
        for shelf, one in pairs
    )
    columns = ("picture", "slot", "class", "state", "expected", "probably too few", "looks as before")
    note = "A slot is full where boxes say so, or it looks as it did when it was full; unsure where both leave it open."
    return [Table("Slots", columns, rows, note)]


def _changes(shelves: Sequence[ShelfMonitor]) -> list[Table]:
    compared = [shelf for shelf in shelves if shelf.changes is not None]
    if not compared:
        return []
    rows = tuple(
        (shelf.view.name, one.kind, one.label, f"{100 * one.confidence:.0f}%")
        for shelf in compared
        for one in shelf.changes or ()
        if one.sure
    )
    doubtful = sum(not one.sure for shelf in compared for one in shelf.changes or ())
    note = f"{doubtful:,} doubtful differences are left out; report.json has them." if doubtful else ""
    return [Table("Since the visit before", ("picture", "what", "class", "confidence"), rows, note)]


def _range(found: Count) -> str:
    return f"{found.expected:.1f} ({found.low} to {found.high})"


def _urgency(shelf: ShelfMonitor) -> int:
    return sum(slot.alarm for slot in shelf.slots) + sum(change.sure for change in shelf.changes or ())


def _figure(shelf: ShelfMonitor) -> Figure | None:
    try:
        picture = draw(shelf)
    except UnreadableImage:  # it went away meanwhile
        return None
    alarms, changed = sum(slot.alarm for slot in shelf.slots), sum(change.sure for change in shelf.changes or ())
    sentences = [f"{alarms} to fill" if shelf.slots else "", f"{changed} changed" if shelf.changes is not None else ""]
    caption = ", ".join([shelf.view.name, *filter(None, sentences)])
    return Figure("The shelves", pictures=((jpeg(picture, 85), caption),), note=f"{caption}.", lead=True)


def draw(shelf: ShelfMonitor, side: int = SIDE) -> Image:
    """The picture of a shelf with its slots and sure changes, or with its boxes where there are neither.

    Returns:
        uint8 RGB, its longest side at most `side` pixels.
    """
    page = Pillow.fromarray(shelf.view.image)
    page.thumbnail((side, side), Pillow.Resampling.LANCZOS)
    pen, scale = ImageDraw.Draw(page), page.width / shelf.view.size[1]
    wide = max(2, min(page.size) // 300)
    letters = ImageFont.load_default(max(11, page.width // 60))
    for slot in shelf.slots:
        if slot.state in COLOURS:
            text = "" if slot.state == "full" else f"{slot.slot.name}: {slot.state}"
            _box(pen, slot.box * scale, COLOURS[slot.state], text, letters, wide * (1 + (slot.state != "full")))
    for change in shelf.changes or ():
        if change.sure:
            sides = [box * scale for box in (change.before, change.now) if box is not None]
            for box in sides:
                _box(pen, box, COLOURS[change.kind], f"{change.label} {change.kind}", letters, 2 * wide)
            if len(sides) == 2:
                ends = [((box[0] + box[2]) / 2, (box[1] + box[3]) / 2) for box in sides]
                pen.line([(float(x), float(y)) for x, y in ends], fill=COLOURS["moved"], width=2)
    if not shelf.slots and shelf.changes is None:
        for row in np.flatnonzero(shelf.view.shown).tolist():
            _box(pen, shelf.view.found.boxes[row] * scale, COLOURS["full"], "", letters, wide)
    return np.asarray(page, dtype=np.uint8)


def _box(
    pen: ImageDraw.ImageDraw,
    box: Floats,
    colour: tuple[int, int, int],
    text: str,
    letters: ImageFont.ImageFont | ImageFont.FreeTypeFont,
    wide: int,
) -> None:
    x1, y1, x2, y2 = box.tolist()
    pen.rectangle((x1, y1, max(x1 + 1, x2 - 1), max(y1 + 1, y2 - 1)), outline=colour, width=wide)
    if text:
        text = "".join(c if c.isprintable() else "?" for c in text)[:40]
        left, top, right, bottom = pen.textbbox((x1 + wide + 2, y1 + wide), text, font=letters)
        pen.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=colour)
        bright = colour[0] * 0.3 + colour[1] * 0.59 + colour[2] * 0.11 > 140
        pen.text((x1 + wide + 2, y1 + wide), text, font=letters, fill=(0, 0, 0) if bright else (255, 255, 255))
