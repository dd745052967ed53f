"""What is in a basket: moves added up, and a person's decisions on those that are doubtful."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, UsageError
from photovision.core.files import write_json

BASKETS = ("basket", "cart")
"""What names of zones begin with that are baskets."""
DECISIONS = "decisions.json"
UNKNOWN = "unknown"
"""Where items are that left a shelf and arrived nowhere, with several baskets."""
_MAX_BYTES = 200_000_000


def is_basket(zone: str) -> bool:
    """Whether a zone of this name is a basket."""
    return zone.lower().startswith(BASKETS)


class Receipt:
    """The content of baskets; give it one move after the other.

    Args:
        baskets: their names.

    Attributes:
        items: basket -> class -> items that count; below 0 where more came out than went in.
        open: basket -> class -> moves that wait for a decision.

    Example:
        >>> receipt = Receipt(["basket"])
        >>> receipt.add({"event": "taken", "class": "cup", "from": "shelf", "to": "basket", "review": False})
        {'cup': 1}
    """

    def __init__(self, baskets: Iterable[str]) -> None:
        self.items: dict[str, Counter[str]] = {name: Counter() for name in baskets}
        self.open: dict[str, Counter[str]] = {name: Counter() for name in self.items}

    def add(self, move: Mapping[str, Any]) -> dict[str, int]:
        """Count a move as `Move.to_json` tells it, unless it waits for review; the content of its basket after it."""
        label, origin, target = move["class"], move["from"], move["to"]
        if move["event"] == "gone":
            target = next(iter(self.items)) if len(self.items) == 1 else UNKNOWN
        places = [(place, step) for place, step in ((origin, -1), (target, 1)) if place and self._is_basket(place)]
        for place, step in places:
            if move["review"]:
                self.open.setdefault(place, Counter())[label] += 1
            else:
                self.items.setdefault(place, Counter())[label] += step
        return {name: n for name, n in self.items.get(places[-1][0], {}).items() if n} if places else {}

    def to_json(self) -> dict[str, Any]:
        """`{basket: {class: {"items", "in_review"}}}`."""
        entries: dict[str, Any] = {}
        for basket in {**self.items, **self.open}:
            items, waiting = self.items.get(basket, Counter()), self.open.get(basket, Counter())
            labels = sorted({*items, *waiting})
            entries[basket] = {
                label: {"items": items[label], "in_review": waiting[label]}
                for label in labels
                if items[label] or waiting[label]
            }
        return entries

    def _is_basket(self, place: str) -> bool:
        return place == UNKNOWN or is_basket(place)


def decided(
    moves: Sequence[Mapping[str, Any]], baskets: Iterable[str], accepted: Iterable[int], rejected: Iterable[int]
) -> Receipt:
    """The receipt after a person's decisions: what was accepted counts, what was rejected does not."""
    receipt, yes, no = Receipt(baskets), set(accepted), set(rejected)
    for move in moves:
        if move["number"] not in no:
            receipt.add({**move, "review": move["review"] and move["number"] not in yes})
    return receipt


def review(folder: Path, accept: Sequence[int] = (), reject: Sequence[int] = ()) -> dict[str, Any]:
    """Add decisions to those beside a report, write them, and add up the receipt again.

    A later decision on a move replaces an earlier one.

    Args:
        folder: of a report of `recipe basket`.
        accept, reject: numbers of moves.

    Returns:
        JSON-ready: "accepted" and "rejected" numbers, "open" moves that still wait, and the "receipt".

    Raises:
        DataError: the folder holds no such report, or a damaged one.
        UsageError: there is no move of such a number, or it is both accepted and rejected.
    """
    report, old = _read(folder / "report.json"), _read(folder / DECISIONS, missing={"accepted": [], "rejected": []})
    try:
        moves, baskets = list(report["moves"]), list(report["baskets"])
        numbers = {int(move["number"]) for move in moves}
        yes, no = ({int(number) for number in old[name]} for name in ("accepted", "rejected"))
        decided(moves, baskets, yes, no)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise DataError(f"{folder} holds no report of 'photovision recipe basket': make it again") from None
    if strange := sorted({*accept, *reject} - numbers):
        raise UsageError(f"there is no move {strange[0]} in {folder}: they are 1 to {max(numbers, default=0)}")
    if both := sorted({*accept} & {*reject}):
        raise UsageError(f"move {both[0]} is both accepted and rejected: decide for one")
    yes, no = (yes - set(reject)) | set(accept), (no - set(accept)) | set(reject)
    if accept or reject:
        write_json(folder / DECISIONS, {"accepted": sorted(yes), "rejected": sorted(no)})
    waiting = [move for move in moves if move["review"] and move["number"] not in yes | no]
    receipt = decided(moves, baskets, yes, no).to_json()
    return {"accepted": sorted(yes), "rejected": sorted(no), "open": waiting, "receipt": receipt}


def _read(path: Path, missing: dict[str, Any] | None = None) -> dict[str, Any]:
    if missing is not None and not path.exists():
        return missing
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} is larger than {_MAX_BYTES:,} bytes: make the report again")
        value = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}): name a folder that 'photovision recipe basket -o' wrote"
        ) from None
    except (ValueError, RecursionError):
        raise DataError(f"{path} is damaged: make the report again") from None
    if not isinstance(value, dict):
        raise DataError(f"{path} is damaged: make the report again")
    return value
