"""Values of pictures of more than 8 bits: what `check` says about their range, and which pictures fall out of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from photovision.core.types import Ints
from photovision.core.value_range import KINDS, ValueRange, bits_for
from photovision.data.scan import Scan

_DARK, _FAR = 1 / 8, 1.0
_PART = 0.05
_WORDS = {"unsigned": "of whole numbers", "signed": "of signed numbers", "float": "of floating-point numbers"}


@dataclass
class ValueRanges:
    """Findings about the value ranges of a dataset's pictures."""

    summary: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)


def examine(scan: Scan, names: list[str]) -> ValueRanges:
    """State the range of every kind of number, and warn where parts of the data have another one.

    Args:
        scan: of N pictures.
        names: N, how the pictures are called.
    """
    found = ValueRanges()
    for shown in scan.value_ranges():
        rows = np.flatnonzero(scan.number == 1 + KINDS.index(shown.kind)).astype(np.int64)
        found.summary.append(_stated(shown, len(rows)))
        found.warnings += _strange(scan, rows, shown, names)
        found.data.append({"kind": shown.kind, "low": shown.low, "high": shown.high, "pictures": len(rows)})
    if len(found.data) > 1:
        found.warnings.append(
            "Pictures of more than 8 bits have several kinds of numbers, each shown by a range of its own: bring them"
            " to one kind, or a model may tell classes by it."
        )
    found.warnings += [f"{_pictures(count)}: {note}." for note, count in scan.oddities.items()]
    return found


def _stated(shown: ValueRange, count: int) -> str:
    bits = bits_for(shown.high) if shown.kind == "unsigned" and shown.low == 0 else None
    used = f"use {bits} bits ({shown})" if bits else f"are shown from {shown} (black to white)"
    return f"{_pictures(count)} {_WORDS[shown.kind]} of more than 8 bits {used}."


def _strange(scan: Scan, rows: Ints, shown: ValueRange, names: list[str]) -> list[str]:
    span = shown.high - shown.low
    low, high = scan.low[rows].astype(float), scan.high[rows].astype(float)
    found = []
    dark = rows[high < shown.low + _DARK * span]
    if 2 <= len(dark) < len(rows) and len(dark) >= _PART * len(rows):
        found.append(
            f"{_pictures(len(dark))} ({_some(dark, names)}) use less than an eighth of the values {shown} that the"
            " others need, and are nearly black: if they come from another camera, bring all to one range first."
        )
    outside = rows[(high > shown.high + _FAR * span) | (low < shown.low - _FAR * span)]
    if len(outside):
        found.append(
            f"{_pictures(len(outside))} ({_some(outside, names)}) with values far outside {shown}, which are shown as"
            " black or white: look whether they mean the same."
        )
    return found


def _pictures(count: int) -> str:
    return f"{count:,} {'picture' if count == 1 else 'pictures'}"


def _some(rows: Ints, names: list[str]) -> str:
    first = ", ".join(names[row] for row in rows[:3].tolist())
    return f"first {first}" if len(rows) > 3 else first
