"""Slots of a shelf: where what should stand; read from JSON or CSV, learned from a picture, and judged."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.files import write_json
from photovision.core.overlap import overlap
from photovision.core.regions import Detections
from photovision.core.types import Floats
from photovision.recipes.shelf.align import Alignment
from photovision.recipes.shelf.counts import distribution
from photovision.recipes.shelf.visits import AlignedView

ALARM, CALM = 0.8, 0.6
"""A slot is called empty or short from this probability on, and full below that one; between them it is unsure."""
UNCHANGED, SIMILAR = 0.9, 0.6
"""Correlation from which on a slot looks as it did when it was full, and below which it does not."""
MOST_BYTES, MOST_SLOTS = 10_000_000, 20_000
HIDERS = ("person",)
"""What stands before a shelf and does not belong to it."""
_INSIDE, _COVERED, _SAME_PLACE = 0.5, 0.5, 0.4  # shares of an object in a slot, of a slot hidden; union of two boxes


@dataclass(frozen=True)
class Slot:
    """A place on a shelf.

    Attributes:
        name: as people call it.
        box: x1, y1, x2, y2 as shares of the picture's width and height, 0 to 1.
        label: the class that should stand there.
        count: how many of it.
        picture: name of the picture without its ending, "" for every picture.
    """

    name: str
    box: tuple[float, float, float, float]
    label: str
    count: int = 1
    picture: str = ""

    def pixels(self, size: tuple[int, int]) -> Floats:
        """float32 (4,): the box in a picture of (H, W)."""
        return np.asarray(np.array(self.box) * [size[1], size[0], size[1], size[0]], dtype=np.float32)

    def to_json(self) -> dict[str, Any]:
        """`{"name", "picture", "class", "count", "box"}`."""
        box = [round(value, 5) for value in self.box]
        return {"name": self.name, "picture": self.picture, "class": self.label, "count": self.count, "box": box}


@dataclass(frozen=True, eq=False)
class SlotDecision:
    """What is known of a slot.

    Attributes:
        slot: which.
        state: "full", "short", "empty", "unsure", "hidden" (by a person) or "outside" (of the picture).
        missing: probability that fewer stand there than should, 0 to 1.
        expected: expected number of the wanted class.
        box: float32 (4,), where it is in this picture, in pixels.
        other: another class that stands in its place, or "".
        unchanged: how much it looks as in the reference, 0 to 1; None without one.
    """

    slot: Slot
    state: str
    missing: float
    expected: float
    box: Floats
    other: str = ""
    unchanged: float | None = None

    @property
    def alarm(self) -> bool:
        """Whether somebody should go there."""
        return self.state in ("empty", "short")

    def to_json(self) -> dict[str, Any]:
        """JSON-ready, with the slot's own fields but its box in pixels."""
        facts: dict[str, Any] = {**self.slot.to_json(), "state": self.state, "missing": round(self.missing, 4)}
        facts |= {"expected": round(self.expected, 3), "xyxy": [round(value, 1) for value in self.box.tolist()]}
        facts |= {"other": self.other} if self.other else {}
        return facts | ({} if self.unchanged is None else {"unchanged": round(self.unchanged, 3)})


def read_slots(path: Path) -> tuple[Slot, ...]:
    """Read a planogram.

    JSON: `{"slots": [{"name", "class", "count", "box": [x1, y1, x2, y2], "picture"}]}`; CSV: the columns name, class,
    count, x1, y1, x2, y2, picture. Boxes are shares of the picture; count (1) and picture (every one) may be left out.

    Raises:
        DataError: the file cannot be read, or an entry is none of a slot.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"the planogram {path} cannot be read ({error.strerror}): check the path") from None
    if len(content) > MOST_BYTES:
        raise DataError(f"the planogram {path} has {len(content):,} bytes, more than {MOST_BYTES:,}: is it one?")
    try:
        text = content.decode("utf-8-sig")
        rows = _csv_rows(text) if path.suffix.lower() == ".csv" else json.loads(text)["slots"]
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        reason = str(error)[:80] or type(error).__name__
        raise DataError(
            f'{path} should be JSON {{"slots": [...]}} or a .csv with a heading, but is not ({reason})'
        ) from None
    if not isinstance(rows, list) or not 0 < len(rows) <= MOST_SLOTS:
        raise DataError(f"{path} should hold a list of 1 to {MOST_SLOTS:,} slots")
    return tuple(_slot(row, f"{path}, slot {number}") for number, row in enumerate(rows, 1))


def write_slots(path: Path, slots: Sequence[Slot]) -> None:
    """Write a planogram as JSON, whole or not at all."""
    write_json(path, {"slots": [slot.to_json() for slot in slots]})


def learn_slots(found: Detections, size: tuple[int, int], picture: str = "") -> tuple[Slot, ...]:
    """A slot for every object of a picture of (H, W) pixels, from top to bottom and left to right."""
    order = sorted(range(len(found)), key=lambda row: (found.boxes[row, 1], found.boxes[row, 0]))
    numbers: Counter[str] = Counter()
    slots = []
    for row in order:
        label = found.names[row]
        numbers[label] += 1
        box = np.clip(found.boxes[row] / [size[1], size[0], size[1], size[0]], 0, 1).tolist()
        if box[2] > box[0] and box[3] > box[1]:
            slots.append(Slot(f"{label} {numbers[label]}", tuple(box), label, 1, picture))
    return tuple(slots)


def decide_slots(
    slots: Sequence[Slot],
    view: AlignedView,
    alignment: Alignment | None = None,
    reference_size: tuple[int, int] | None = None,
) -> list[SlotDecision]:
    """What stands in every slot of one picture.

    Args:
        slots: those of this picture.
        view: the picture and what is in it.
        alignment: from the reference in which the slots were drawn; None where they are shares of this very picture.
        reference_size: (H, W) of that reference.
    """
    if not slots:
        return []
    found = view.found
    boxes = np.stack([slot.pixels(reference_size or view.size) for slot in slots])
    if alignment is not None:
        boxes = alignment.place(boxes)
    owners = _owners(boxes, found)
    decisions = []
    for row, slot in enumerate(slots):
        mine = [i for i in np.flatnonzero(owners == row).tolist() if found.names[i] == slot.label]
        there = distribution([] if found.scores is None else found.scores[mine].astype(np.float64).tolist())
        unchanged = None if alignment is None else alignment.unchanged(boxes[row])
        missing, expected = float(there[: slot.count].sum()), float(np.arange(len(there)) @ there)
        state = _state(slot, there, missing, unchanged)
        if state != "full" and _share(boxes[row], view.hiders) >= _COVERED:
            state = "hidden"
        if _share(boxes[row], np.array([[0, 0, view.size[1], view.size[0]]], dtype=np.float32)) < _INSIDE:
            state = "outside"
        decisions.append(
            SlotDecision(slot, state, missing, expected, boxes[row], _other(boxes[row], view, slot.label), unchanged)
        )
    return decisions


def _state(slot: Slot, there: np.ndarray, missing: float, unchanged: float | None) -> str:
    """What boxes say, and where there is a picture of the full slot, also its pixels: detectors overlook things."""
    likeness = 0.0 if unchanged is None else unchanged
    if missing <= CALM or likeness >= UNCHANGED:
        return "full"
    if missing < ALARM or likeness >= SIMILAR:
        return "unsure"
    return "empty" if there[0] >= ALARM else "short"


def _owners(boxes: Floats, found: Detections) -> np.ndarray:
    """int64 (N,): the slot that every object stands in, -1 for none."""
    if not len(found):
        return np.zeros(0, dtype=np.int64)
    inside = overlap(found.boxes, boxes, "smaller")
    near = np.where(inside >= _INSIDE, overlap(found.boxes, boxes), -1)
    return np.where(near.max(1) > 0, near.argmax(1), -1)


def _other(box: Floats, view: AlignedView, wanted: str) -> str:
    """The class of what is of a slot's size and stands in its place instead."""
    rows = [i for i in np.flatnonzero(view.shown).tolist() if view.found.names[i] != wanted]
    same = overlap(box[None], view.found.boxes[rows])[0]
    return view.found.names[rows[int(same.argmax())]] if same.max(initial=0) >= _SAME_PLACE else ""


def _share(box: Floats, others: Floats) -> float:
    """The largest share of a box that one of others covers."""
    return float(overlap(box[None], others, "first").max(initial=0))


def _csv_rows(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for row in csv.DictReader(io.StringIO(text)):
        box = [float(row[side]) for side in ("x1", "y1", "x2", "y2")]
        rows.append({**{k: v for k, v in row.items() if k and v}, "box": box, "count": int(row.get("count") or 1)})
    return rows


def _slot(row: Any, where: str) -> Slot:
    if not isinstance(row, Mapping):
        raise DataError(f"{where} should have a name, a class and a box, got {str(row)[:60]}")
    box, count, label = row.get("box"), row.get("count", 1), row.get("class")
    if not _is_box(box):
        raise DataError(
            f"{where} should have a box [x1, y1, x2, y2] in shares of the picture, 0 to 1 with x1 < x2 and y1 < y2, got"
            f" {str(box)[:60]}"
        )
    if not isinstance(label, str) or not label:
        raise DataError(f"{where} should name the class that stands there, got {str(label)[:60]}")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= 10_000:
        raise DataError(f"{where} should have a count from 1 on, got {str(count)[:60]}")
    name, picture = row.get("name") or where.rpartition(", ")[2], row.get("picture") or ""
    x1, y1, x2, y2 = map(float, row["box"])
    return Slot(str(name)[:80], (x1, y1, x2, y2), label, count, str(picture)[:200])


def _is_box(box: Any) -> bool:
    numbers = isinstance(box, list) and len(box) == 4 and all(_number(value) for value in box)
    return numbers and 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
