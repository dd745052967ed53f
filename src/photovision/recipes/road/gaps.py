"""What conditions cost on the road: every figure in every condition, compared with the same figure elsewhere, and
tested."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from photovision.core.report import Metric
from photovision.data.corruptions import SEVERITIES, names
from photovision.recipes.ratios import Gap, Ratios, between, change
from photovision.recipes.road.evaluation import Figures, RoadScenes, Tick, Weather
from photovision.trust.fairness.contrasts import holm
from photovision.trust.fairness.groups import make_groups, read_attributes

WEATHER = ("night", "rain", "fog", "snow", "motion-blur")
"""Conditions that are simulated where none are asked for."""
STRENGTHS = (1, 3, 5)
ALL = "all"
"""The subject of a figure over all classes that are judged."""
LEVEL = 0.05
NOTABLE = 0.10
"""A sure loss of so much, as a share, forbids the use; a smaller one asks for care."""
FEWEST, PICTURES = 20, 10
"""Fewer objects, or pictures with any, are not judged."""
DO_NOT, CARE, UNSURE, NONE = "do not use", "use with care", "loss likely, not sure", "no loss shown"
VERDICTS = (DO_NOT, CARE, UNSURE, NONE)


@dataclass(frozen=True, eq=False)
class Cost:
    """One figure in one condition.

    Attributes:
        condition: such as "weather = fog", or the name of what was simulated.
        severity: 1 to 5 of a simulated condition, None of one that the pictures really have.
        figure: "recall", "precision" or "overlap".
        subject: a class, or ALL.
        gap: the figure here and there (in the other pictures, or in the same ones as they are), and their difference.
        pictures: how many pictures it rests on.
        objects: what it counts: objects, predicted boxes, or pixels.
        rows: the pictures of a condition that they really have.
        p: of the difference, corrected for the number of all tests of the report, see `corrected`.
    """

    condition: str
    severity: int | None
    figure: str
    subject: str
    gap: Gap
    pictures: int
    objects: int
    rows: tuple[int, ...] = ()
    p: float = 1.0

    @property
    def verdict(self) -> str:
        """One of VERDICTS: a loss is sure by the corrected test, and likely where its own interval tells of it."""
        if self.p >= LEVEL or self.gap.gap.value >= 0:
            return UNSURE if self.gap.gap.high < 0 else NONE
        return DO_NOT if self.gap.gap.value <= -NOTABLE else CARE

    def to_json(self) -> dict[str, Any]:
        """All of it, JSON-ready."""
        here, there, gap = self.gap.here, self.gap.there, self.gap.gap
        return {
            "condition": self.condition,
            "severity": self.severity,
            "figure": self.figure,
            "class": self.subject,
            "here": Metric(*here, self.pictures).to_json(),
            "elsewhere": Metric(*there, self.pictures).to_json(),
            "difference": Metric(*gap, self.pictures, "points").to_json(),
            "p": self.p,
            "verdict": self.verdict,
        }


def given(
    figures: Figures, classes: Sequence[str], groups: Mapping[str, Sequence[str]], by: Sequence[str]
) -> tuple[list[Cost], list[str]]:
    """The cost of conditions that pictures really have.

    Args:
        figures: of N pictures.
        classes: their C classes.
        groups: attribute -> one value a picture, "" where unknown.
        by: the attributes that are conditions.

    Returns:
        The costs, and the conditions that too few pictures or objects have to be judged.

    Raises:
        UsageError: an attribute does not exist.
    """
    n = len(next(iter(figures.values())).part)
    costs: list[Cost] = []
    few: list[str] = []
    for group in make_groups(read_attributes(groups, by, n)):
        before = len(costs)
        for figure, subject, column, ratios in _subjects(figures, classes):
            inside, outside = ratios.of(group.member), ratios.of(group.known & ~group.member)
            if not (_enough(inside, column, figure) and _enough(outside, column, figure)):
                continue
            known = figures[figure].of(group.known)
            gap = between(known, None if subject == ALL else column, group.member[group.known])
            if gap is not None:
                rows = tuple(np.flatnonzero(group.member).tolist())
                costs.append(replace(_cost(group.name, None, figure, subject, gap, inside, column), rows=rows))
        if len(costs) == before:
            few.append(group.name)
    return costs, few


def simulated(
    scenes: RoadScenes,
    rows: Sequence[int],
    conditions: Sequence[str] = WEATHER,
    severities: Sequence[int] = STRENGTHS,
    progress: Tick | None = None,
) -> tuple[list[Cost], dict[Weather | None, Figures]]:
    """The cost of conditions that are made from the pictures themselves.

    Args:
        scenes: the pictures.
        rows: those that are looked at.
        conditions: corruptions, or families of them.
        severities: of each, 1 to 5.
        progress: called after every picture.

    Returns:
        The costs, and all figures, those of the pictures as they are under None.
    """
    views = [Weather(name, severity) for name in names(conditions) for severity in SEVERITIES if severity in severities]
    found: dict[Weather | None, Figures] = {view: scenes.look(view, rows, progress) for view in (None, *views)}
    clean, costs = found[None], []
    for view in views:
        after = {(figure, subject): ratios for figure, subject, _, ratios in _subjects(found[view], scenes.classes)}
        for figure, subject, column, before in _subjects(clean, scenes.classes):
            gap = change(before, after[figure, subject], column) if _enough(before, column, figure) else None
            if gap is not None:
                costs.append(_cost(view.name, view.severity, figure, subject, gap, before, column))
    return costs, found


def corrected(costs: Sequence[Cost]) -> list[Cost]:
    """The same with every p corrected for the number of tests.

    What a condition costs in one figure of one class is one question; questions are corrected for their number (Holm
    1979, Bonferroni where severities follow). The severities of a simulated condition are asked in a fixed order, the
    strongest first: a milder one is sure only where all stronger ones are, and needs no further correction (Maurer,
    Hothorn & Lehmacher 1995).
    """
    questions: dict[tuple[str, bool, str, str], list[int]] = {}
    for place, cost in enumerate(costs):
        questions.setdefault((cost.condition, cost.severity is None, cost.figure, cost.subject), []).append(place)
    if len(questions) == len(costs):
        return [replace(one, p=float(p)) for one, p in zip(costs, holm([c.gap.p for c in costs]), strict=True)]
    found = list(costs)
    for places in questions.values():
        surest = 0.0
        for place in sorted(places, key=lambda place: -(costs[place].severity or 0)):
            surest = max(surest, min(1.0, costs[place].gap.p * len(questions)))
            found[place] = replace(costs[place], p=surest)
    return found


def _subjects(figures: Figures, classes: Sequence[str]) -> list[tuple[str, str, int, Ratios]]:
    """(figure, subject, column, its ratios): of all classes together, then of each."""
    several = len(classes) > 1
    return [
        one
        for figure, ratios in figures.items()
        for one in (
            *([(figure, ALL, 0, ratios.pooled)] if several else []),
            *((figure, name, column, ratios) for column, name in enumerate(classes)),
        )
    ]


def _enough(ratios: Ratios, column: int, figure: str) -> bool:
    objects = ratios.whole[:, column].sum()
    return ratios.pictures(column) >= PICTURES and (figure == "overlap" or objects >= FEWEST)


def _cost(
    condition: str, severity: int | None, figure: str, subject: str, gap: Gap, ratios: Ratios, column: int
) -> Cost:
    objects = int(ratios.whole[:, column].sum())
    return Cost(condition, severity, figure, subject, gap, ratios.pictures(column), objects)
