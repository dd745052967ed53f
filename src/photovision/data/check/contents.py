"""What a data set holds, in a few sentences: classes and their balance, formats and sizes of the pictures, objects."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from photovision.core.drawing import Bar, bars
from photovision.core.phrases import count
from photovision.core.report import Figure
from photovision.core.thumbnail import picture_grid
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.scan import Scan

NAMED_CLASSES = 12
"""Classes that are named with their counts; of more the largest and the smallest are."""
CHARTED = 12
"""Classes whose sizes are drawn; of more the largest and the smallest are."""
LOOKED_AT = 8
"""Pictures that are shown of a data set."""
EVEN = 1.2
"""How many times the smallest class the largest may be for classes that are called even."""


def figures(dataset: Dataset, scan: Scan) -> list[Figure]:
    """What a data set looks like at first sight: how large its classes are, and pictures of each in turn."""
    sizes = Counter(name for sample in dataset.samples for name in sample.target or ())
    if not sizes:
        return []
    ranked, drawn = sizes.most_common(), ""
    if len(ranked) > CHARTED:
        half = CHARTED // 2
        ranked, drawn = [*ranked[:half], *ranked[-half:]], f"; the {half} largest and the {half} smallest"
    groups = {name: [Bar(number)] for name, number in ranked}
    chart = bars(groups, "Pictures of each class", top=ranked[0][1], form="{:,.0f}".format)
    found = [
        Figure(
            "Pictures of each class",
            chart,
            note=f"How many show each of {count(len(sizes), 'class', 'classes')}{drawn}.",
            first=True,
        )
    ]
    if dataset.annotation_type in ("boxes", "masks"):  # those are shown with what is drawn on them
        return found
    chosen = _in_turn(dataset, scan)
    captions = [", ".join(sample.target or ()) for sample in chosen]
    grid = picture_grid("Some of the pictures", chosen, captions, "One of each class in turn.")
    return found if grid is None else [*found, replace(grid, first=True)]


def _in_turn(dataset: Dataset, scan: Scan) -> list[Sample]:
    """A picture of each class, then a second one of each, as many as are shown."""
    of: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row in np.flatnonzero(scan.readable).tolist():
        if target := dataset.samples[row].target:
            of[target].append(row)
    spread = [[rows[at * len(rows) // LOOKED_AT] for at in range(LOOKED_AT)] for rows in of.values()]
    turns = dict.fromkeys(row for turn in zip(*spread, strict=True) for row in turn)
    return [dataset.samples[row] for row in list(turns)[:LOOKED_AT]]


def classes_text(sizes: Mapping[str, int], noun: str = "picture") -> str:
    """How many pictures or objects each class has, largest first, and how even the classes are.

    Example:
        >>> classes_text({"early blight": 120, "late blight": 120, "healthy": 119})
        'Pictures of each class: early blight 120, late blight 120, healthy 119; about as many of each.'
    """
    ranked = sorted(sizes.items(), key=lambda pair: -pair[1])
    if not ranked or not ranked[0][1]:
        return ""
    if len(ranked) <= NAMED_CLASSES:
        named = ", ".join(f"{name} {number:,}" for name, number in ranked)
    else:
        few = NAMED_CLASSES // 4
        top, bottom = (
            ", ".join(f"{name} {number:,}" for name, number in part) for part in (ranked[:few], ranked[-few:])
        )
        named = f"from {top} down to {bottom} ({len(ranked):,} classes)"
    return f"{noun.capitalize()}s of each class: {named}{_balance([number for _, number in ranked])}."


def _balance(ranked: Sequence[int]) -> str:
    if len(ranked) < 2 or not ranked[-1]:
        return ""
    ratio = ranked[0] / ranked[-1]
    if ratio == 1:
        return "; the same number of each"
    return (
        "; about as many of each" if ratio <= EVEN else f"; the largest has {ratio:,.1f} times as many as the smallest"
    )


def files_text(scan: Scan) -> str:
    """Formats and sizes of the readable pictures; empty where there is none.

    Sizes are width x height: "JPEG, all 256 x 256 pixels." or "JPEG (300) and PNG (60), from 200 x 180 to 4000 x 3000
    pixels, typically 640 x 480."
    """
    good = scan.readable
    if not good.any():
        return ""
    numbers: Counter[str] = Counter()
    for (form, _), number in zip(scan.kinds, np.bincount(scan.kind[good], minlength=len(scan.kinds)), strict=True):
        numbers[form] += int(number)
    formats = [(form, number) for form, number in numbers.most_common() if number]
    shown = [form if len(formats) == 1 else f"{form} ({number:,})" for form, number in formats]
    width, height = scan.width[good].astype(np.int64), scan.height[good].astype(np.int64)
    order = np.argsort(width * height, kind="stable")
    small, middle, large = (f"{width[i]} x {height[i]}" for i in order[[0, len(order) // 2, -1]])
    if len(np.unique(width)) == len(np.unique(height)) == 1:
        return f"{_and(shown)}, all {small} pixels."
    return f"{_and(shown)}, from {small} to {large} pixels, typically {middle}."


def duplicates_text(groups: Sequence[Sequence[str]], exact: int) -> str:
    """Which pictures look almost the same.

    Args:
        groups: the names of each group's pictures, largest group first.
        exact: how many are exact copies of another one.

    Example:
        >>> duplicates_text([["a.jpg", "b.jpg"]], 0)
        'One pair of pictures is nearly identical (no exact copies): a.jpg, b.jpg.'
    """
    if not groups:
        return "No picture occurs twice."
    copies = "no exact copies" if not exact else count(exact, "exact copy", "exact copies")
    first = ", ".join(groups[0][:3]) + (f" and {len(groups[0]) - 3:,} more" if len(groups[0]) > 3 else "")
    if len(groups) == 1:
        what = "One pair of pictures is" if len(groups[0]) == 2 else f"{len(groups[0]):,} pictures are"
        return f"{what} nearly identical ({copies}): {first}."
    pictures = sum(map(len, groups))
    return f"{pictures:,} pictures in {len(groups):,} groups are nearly identical ({copies}), such as {first}."


def sides_text(sides: Mapping[str, Sequence[float]]) -> str:
    """How large the objects of each class are: the median side, the root of a box's area, in pixels.

    Example:
        >>> sides_text({"cell": [90, 100, 120], "platelet": [30, 36]})
        'Typical side of an object in pixels: cell 100, platelet 33.'
    """
    known = sorted(
        ((name, float(np.median(values))) for name, values in sides.items() if len(values)), key=lambda p: -p[1]
    )
    if not known:
        return ""
    more = f" and {len(known) - NAMED_CLASSES:,} classes more" if len(known) > NAMED_CLASSES else ""
    named = ", ".join(f"{name} {side:.0f}" for name, side in known[:NAMED_CLASSES])
    return f"Typical side of an object in pixels: {named}{more}."


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
