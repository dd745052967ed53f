"""Kinds of objects: are small ones, crowded ones, those at the border of the picture found less often than others?

These slices need no attributes: they follow from the boxes themselves. Classes are held equal, for small objects are
often of other classes than large ones, and the unit of intervals and tests is the picture
(`photovision.trust.metrics.rates`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from photovision.core.drawing import Bar, bars, percent
from photovision.core.overlap import overlap
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.trust.fairness.contrasts import holm
from photovision.trust.metrics.detection import Vector
from photovision.trust.metrics.matching import ObjectBoxes
from photovision.trust.metrics.rates import RateKind, compare_things

LEVEL = 0.05
FEWEST, FEWEST_PICTURES = 20, 10
"""A kind of fewer objects, or in fewer pictures, is not judged."""
_EDGE = 0.01  # of the picture's side: so near to it a box touches the border
_CROWDED = 0.1  # the overlap from which on another object is in the way


class ObjectAttribute(NamedTuple):
    """One way to tell things apart: what it is called, its values, and the value of each thing, int64 (M,)."""

    name: str
    values: tuple[str, ...]
    labels: np.ndarray


@dataclass(frozen=True, eq=False)
class SubgroupScale:
    """What counts as small and as crowded: the thirds of some objects.

    Attributes:
        areas: the two bounds of their areas, as shares of their pictures.
        counts: the two bounds of the numbers of objects in their pictures.
        in_picture: int64 (N,), how many objects every picture has.
        sizes: float64 (N, 2), (H, W) of every picture.
    """

    areas: tuple[float, float]
    counts: tuple[float, float]
    in_picture: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, there: ObjectBoxes, sizes: np.ndarray) -> SubgroupScale:
        """From all objects of N pictures."""
        in_picture = np.bincount(there.picture, minlength=len(sizes))
        start = cls((0, 0), (0, 0), in_picture, sizes.astype(np.float64))
        return replace(start, areas=_thirds(start.area(there)), counts=_thirds(in_picture[there.picture]))

    def area(self, objects: ObjectBoxes) -> Vector:
        """The share of its picture that each covers, float64 (M,)."""
        sides = (objects.boxes[:, 2:] - objects.boxes[:, :2]).astype(np.float64)
        return np.asarray(sides.prod(1) / np.maximum(self.sizes[objects.picture].prod(1), 1))

    def traits(self, objects: ObjectBoxes) -> list[ObjectAttribute]:
        """Size, crowding, overlap, position and border of M objects or boxes.

        Example:
            >>> boxes = np.float32([[0, 0, 10, 10], [40, 40, 60, 60]])
            >>> things = ObjectBoxes(boxes, np.zeros(2, int), np.zeros(2, int), np.arange(2))
            >>> found = SubgroupScale.of(things, np.array([[100, 100]])).traits(things)
            >>> [trait.values[trait.labels[0]] for trait in found[2:]]
            ['alone', 'outside the middle', 'at the border']
        """
        whole = np.tile(self.sizes[objects.picture][:, ::-1], 2)
        boxes = objects.boxes / whole
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        room = np.minimum(boxes[:, :2], 1 - boxes[:, 2:]).min(1, initial=1)
        small, large = (f"{100 * bound:.2g}%" for bound in self.areas)
        few, many = (f"{bound:.0f}" for bound in self.counts)
        sizes = f"small: below {small} of the picture", f"between, up to {large}", f"large: {large} and more"
        fullness = f"below {few} objects in the picture", f"{few} to {many}", f"{many} and more"
        count = self.in_picture[objects.picture]
        outside = np.abs(centre - 0.5).max(1, initial=0) >= 0.25
        return [
            ObjectAttribute("size", sizes, np.digitize(self.area(objects), self.areas)),
            ObjectAttribute("crowding", fullness, np.digitize(count, self.counts)),
            ObjectAttribute("overlap", ("alone", "overlapping another"), _in_the_way(objects).astype(int)),
            ObjectAttribute("position", ("in the middle", "outside the middle"), outside.astype(int)),
            ObjectAttribute("border", ("away from the border", "at the border"), (room <= _EDGE).astype(int)),
        ]


@dataclass(frozen=True, eq=False)
class SubgroupPredictions:
    """One kind of objects (`what` is "found") or of boxes ("right") against the others, `p` corrected."""

    what: str
    trait: str
    value: str
    kind: RateKind
    p: float = 1.0

    @property
    def worse(self) -> bool:
        """Whether it fares significantly worse."""
        return self.p < LEVEL and self.kind.gap.value < 0

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        own = {"trait": self.trait, "value": self.value, "what": self.what, "n": self.kind.n}
        gap = [round(value, 6) for value in self.kind.gap]
        return {**own, "share": self.kind.here.value, "difference": gap, "p_corrected": self.p, "worse": self.worse}


def audit_kinds(
    there: ObjectBoxes,
    seen: np.ndarray,
    sizes: np.ndarray,
    *,
    shown: ObjectBoxes | None = None,
    right: np.ndarray | None = None,
) -> Finding:
    """Which kinds of objects are found less often than the others, and which kinds of boxes are wrong more often.

    Args:
        there: the M objects of N pictures.
        seen: bool (M,), whether each was found.
        sizes: (N, 2), (H, W) of every picture.
        shown, right: the boxes that are shown, and whether each is on an object; None compares objects only.

    Returns:
        A table and a chart of all kinds, a warning for each that fares significantly worse; `data` under
        "kinds_of_objects".
    """
    scale = SubgroupScale.of(there, sizes)
    results = _results("found", there, seen, scale)
    if shown is not None and right is not None:
        results += _results("right", shown, right, scale)
    if not results:
        return Finding((f"Kinds of objects were not compared: none has {FEWEST} objects with as many others.",))
    p = holm([one.kind.p for one in results])
    results = [replace(one, p=float(value)) for one, value in zip(results, p, strict=True)]
    worse = sorted((one for one in results if one.worse), key=lambda one: one.p)
    return Finding(
        (_verdict(results, worse),),
        tables=[_table(results, what) for what in dict.fromkeys(one.what for one in results)],
        figures=[_chart(results)],
        warnings=[_warning(one) for one in worse],
        data={"kinds_of_objects": [one.to_json() for one in results]},
    )


def _results(what: str, objects: ObjectBoxes, flags: np.ndarray, scale: SubgroupScale) -> list[SubgroupPredictions]:
    found = []
    for trait in scale.traits(objects):
        for number, value in enumerate(trait.values):
            member = trait.labels == number
            sides = [len(np.unique(objects.picture[side])) for side in (member, ~member)]
            if min(member.sum(), (~member).sum()) >= FEWEST and min(sides) >= FEWEST_PICTURES:
                kind = compare_things(objects, flags, member, len(scale.sizes))
                found.append(SubgroupPredictions(what, trait.name, value, kind))
    return found


def _thirds(values: np.ndarray) -> tuple[float, float]:
    if not len(values):
        return 0.0, 0.0
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    return float(low), float(max(high, np.nextafter(low, np.inf)))


def _in_the_way(objects: ObjectBoxes) -> np.ndarray:
    """bool (M,), whether something else of the same picture overlaps it."""
    found = np.zeros(len(objects), dtype=bool)
    for picture in np.unique(objects.picture):
        rows = np.flatnonzero(objects.picture == picture)
        shared = overlap(objects.boxes[rows], objects.boxes[rows])
        np.fill_diagonal(shared, 0)
        found[rows] = shared.max(1, initial=0) >= _CROWDED
    return found


_WORDS = {"found": ("objects", "are found"), "right": ("boxes", "are right")}


def _verdict(results: Sequence[SubgroupPredictions], worse: Sequence[SubgroupPredictions]) -> str:
    checked = f"{len(results)} comparisons by size, crowding, overlap, position and border, corrected for their number"
    if not worse:
        return f"No kind of object was found to be served worse than the others of its class ({checked})."
    one = worse[0]
    objects, done = _WORDS[one.what]
    more = f" {len(worse) - 1} more such kinds are in the table." if len(worse) > 1 else ""
    return (
        f"Of the {objects} by {one.trait}, '{one.value}' fare worst: {percent(one.kind.here.value)} {done},"
        f" {100 * abs(one.kind.gap.value):.1f} points less than others of the same classes ({checked}).{more}"
    )


def _warning(one: SubgroupPredictions) -> str:
    objects, done = _WORDS[one.what]
    low, high = sorted((100 * abs(one.kind.gap.low), 100 * abs(one.kind.gap.high)))
    return (
        f"{one.trait.capitalize()}, '{one.value}': {percent(one.kind.here.value)} of {one.kind.n:,} {objects} {done},"
        f" {100 * abs(one.kind.gap.value):.1f} points (95% interval {low:.1f} to {high:.1f}) less than of the others"
        f" within the same classes, p = {one.p:.2g} after correction."
    )


def _table(results: Sequence[SubgroupPredictions], what: str) -> Table:
    objects, _ = _WORDS[what]
    rows = [
        (one.trait, one.value, one.kind.n, Metric(*one.kind.here), Metric(*one.kind.gap, None, "points"), one.p)
        for one in results
        if one.what == what
    ]
    columns = ("slice", "value", objects, what, "difference", "p")
    note = (
        "Difference: to all others, with the classes held equal. Intervals resample pictures; p is of a test over"
        " pictures, corrected for all rows. Small and crowded are the thirds of these very objects."
    )
    return Table(f"Slices of {objects}", columns, tuple(rows), note)


def _chart(results: Sequence[SubgroupPredictions]) -> Figure:
    groups: dict[str, list[Bar]] = {}
    kinds = list(dict.fromkeys(one.what for one in results))
    for one in results:
        groups.setdefault(f"{one.trait}: {one.value}", []).append(Bar(*one.kind.here, series=kinds.index(one.what)))
    names = {"found": "objects found", "right": "boxes right"}
    drawing = bars(groups, "Objects found and boxes right, by kind", series=[names[kind] for kind in kinds])
    note = "At the thresholds of the model, with 95% intervals over pictures."
    return Figure("Slices of objects", svg=drawing, note=note)
