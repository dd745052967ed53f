"""Representation: who is in the training data, beside who is in the data that is judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from photovision.core.report import Metric, Table
from photovision.trust.fairness.groups import Attribute
from photovision.trust.metrics.statistics import wilson

SCARCE = 0.25
"""A group is nearly absent where its share of the training data is significantly below this part of its share here."""


class Represented(NamedTuple):
    """The table of shares, and a warning for every group that is nearly absent from training."""

    table: Table | None
    warnings: tuple[str, ...]


def representation(
    attributes: Sequence[Attribute], train_counts: Mapping[str, Mapping[str, int]], min_group: int
) -> Represented:
    """Hold each group's share of the training data against its share of the judged data.

    Args:
        attributes: of the judged pictures.
        train_counts: attribute -> value as it stands in the training table -> pictures; attributes may be missing.
        min_group: groups with fewer judged pictures are not warned of.

    Example:
        >>> from photovision.trust.fairness.groups import read_attribute
        >>> site = read_attribute("site", ["a"] * 50 + ["b"] * 50)
        >>> representation([site], {"site": {"a": 990, "b": 10}}, 20).warnings
        ('site = b is nearly absent from the training data: 10 of 1,000 pictures there, 50.0% of these.',)
    """
    rows, warnings = [], []
    for attribute in attributes:
        trained: dict[str, int] = {}
        for value, count in train_counts.get(attribute.name, {}).items():
            trained[attribute.label(value)] = trained.get(attribute.label(value), 0) + count
        trained.pop("", None)
        total, known = sum(trained.values()), int((attribute.labels != "").sum())
        if not total or not known:
            continue
        for value in dict.fromkeys((*attribute.values, *sorted(trained))):
            there, here = trained.get(value, 0), int((attribute.labels == value).sum())
            rows.append((f"{attribute.name} = {value}", there, _share(there, total), here, _share(here, known)))
            scarce = wilson(there, total)[1] < SCARCE * wilson(here, known)[0]
            if here >= min_group and scarce:
                warnings.append(
                    f"{attribute.name} = {value} is nearly absent from the training data: {there:,} of {total:,}"
                    f" pictures there, {100 * here / known:.1f}% of these."
                )
    columns = ("group", "in training", "share of training", "judged here", "share here")
    return Represented(Table("Groups in the training data", columns, tuple(rows)) if rows else None, tuple(warnings))


def _share(k: int, n: int) -> Metric:
    return Metric(k / n, *wilson(k, n), n)
