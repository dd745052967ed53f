"""The worst of several conditions, for the first screen of a report: what it costs, in a sentence and as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from photovision.core.drawing import Bar, bars
from photovision.core.report import Assessment, Figure, Metric

NOTABLE = 0.10
"""A loss from which on a condition needs care."""
SHOWN = 6
"""Conditions that are drawn at most, the worst first."""


class ConditionCost(NamedTuple):
    """What a condition does to the leading figure at one severity.

    Attributes:
        name: of the condition.
        metric: the figure there.
        lost: how much less that is than without the condition, a difference of shares; above 0 is a loss.
        harmful: whether the loss is beyond chance.
        unaware: whether the model stays sure of itself while it gets worse.
    """

    name: str
    metric: Metric
    lost: float
    harmful: bool
    unaware: bool = False


def worst_figure(clean: Metric, costs: Sequence[ConditionCost], severity: int, term: str) -> Figure:
    """The figure without and in the worst conditions, as bars.

    Args:
        clean: the figure without them.
        costs: of all conditions.
        severity: at which they were measured, 1 to 5.
        term: what the figure is called.
    """
    ranked = sorted(costs, key=lambda cost: -cost.lost)[:SHOWN]
    groups = {"as they are": [Bar(clean.value, clean.low, clean.high, 1)]}
    groups |= {cost.name: [Bar(cost.metric.value, cost.metric.low, cost.metric.high)] for cost in ranked}
    title = f"{term} in the worst conditions"
    few = f"the {len(ranked)} worst of {len(costs)} conditions" if len(costs) > len(ranked) else "all conditions"
    note = f"The same pictures as they are, and in {few} at severity {severity} of 5, with 95% intervals."
    return Figure(title, svg=bars(groups, title), note=note, first=True)


def worst_assessment(costs: Sequence[ConditionCost], severity: int, term: str) -> Assessment:
    """What the worst condition comes to; a loss within chance, or a small one, is none.

    Example:
        >>> fog = ConditionCost("fog", Metric(0.5), 0.4, harmful=True, unaware=True)
        >>> print(worst_assessment([fog], 3, "accuracy").text)
        fog (severity 3 of 5) costs 40 points of accuracy, and the model does not notice.
    """
    harmful = [cost for cost in costs if cost.harmful and cost.lost >= NOTABLE]
    if not harmful:
        text = f"No condition costs {NOTABLE * 100:.0f} points of {term} at severity {severity} of 5."
        return Assessment("good", "Bears these conditions", text)
    worst = max(harmful, key=lambda cost: cost.lost)
    unaware = ", and the model does not notice" if worst.unaware else ""
    text = f"{worst.name} (severity {severity} of 5) costs {worst.lost * 100:.0f} points of {term}{unaware}."
    return Assessment("care", "Needs care in some conditions", text)
