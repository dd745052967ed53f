"""Groups of pictures with boxes or masks: in which are fewer objects found, or more boxes wrong, than in the others?

As `photovision.trust.fairness.audit` for classifiers: every value of every attribute and every intersection against
all other pictures, classes held equal, all tests corrected for their number (Holm 1979). The unit is the picture, for
the objects of one are not independent: see `photovision.trust.metrics.rates`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.drawing import Bar, bars, percent
from photovision.core.errors import UsageError
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.trust.fairness.disparity import GroupComparison, corrected
from photovision.trust.fairness.groups import Attribute, Group, make_groups, read_attributes
from photovision.trust.fairness.representation import representation
from photovision.trust.metrics.detection import Vector, resamples
from photovision.trust.metrics.rates import Rate
from photovision.trust.metrics.statistics import Estimate, Z, difference

SHOWN = 60
"""Rows of a table; the most conspicuous groups are kept."""
_N_BOOT = 100
_POWER_80 = 0.8416212335729143
Precise = Callable[[Vector], Vector]
"""From how often each picture counts, float64 (B, N), to average precision at .5, (B,)."""


@dataclass(frozen=True, eq=False)
class _RegionAudit:
    """What the report is made from."""

    attributes: Sequence[Attribute]
    shares: Sequence[Rate]
    comparisons: Sequence[GroupComparison]
    too_few: Sequence[Group]
    precise: Precise | None
    min_group: int
    level: float

    def found(self, one: GroupComparison) -> bool:
        """Whether the group fares significantly worse than the others."""
        return one.worse and one.corrected < self.level

    @property
    def tests(self) -> int:
        """How many tests the correction is for."""
        return len({(one.kind, one.sides) for one in self.comparisons})

    @property
    def groups(self) -> list[Group]:
        """The groups that were judged, in their order."""
        return list({id(one.group): one.group for one in self.comparisons}.values())

    @property
    def worst(self) -> list[GroupComparison]:
        """What is warned of: found, and no mere part of a group found for the same reason; the surest first."""
        found = [one for one in self.comparisons if self.found(one)]
        kept = [one for one in found if not any(_part_of(one, other) for other in found)]
        return sorted(kept, key=lambda one: one.corrected)


def audit_shares(
    groups: Mapping[str, Sequence[str]],
    by: Sequence[str],
    shares: Sequence[Rate],
    *,
    precise: Precise | None = None,
    train_counts: Mapping[str, Mapping[str, int]] | None = None,
    min_group: int = 20,
    level: float = 0.05,
) -> Finding:
    """Compare shares group by group, for each attribute, each pair of attributes and all together.

    Args:
        groups: attribute -> one value a picture, "" where unknown.
        by: the attributes to judge by; numbers with many values are put into bins.
        shares: what is compared, the most important first; its worst group and gap become the metrics.
        precise: average precision of some pictures, shown beside the shares; None leaves it out.
        train_counts: attribute -> value -> pictures in the training data.
        min_group: a group of fewer pictures is listed, not judged.
        level: the probability that any group is named although none differs, at most.

    Returns:
        metrics `worst_group_NAME` and `group_gap` of the first share; a table, charts, a warning for every group found,
        or a sentence saying what would have been seen; `data` under "fairness".

    Raises:
        UsageError: an attribute does not exist, or lengths differ.
    """
    if not shares:
        raise UsageError("groups are compared by at least one share, got none")
    n = len(shares[0].part)
    attributes = read_attributes(groups, by, n)
    all_pictures = make_groups(attributes)
    large = [group for group in all_pictures if group.n >= min_group and group.known.sum() - group.n >= min_group]
    tests = [_compared(group, share) for group in large for share in shares]
    kept = {id(group) for group in large}
    small = [group for group in all_pictures if id(group) not in kept]
    audit = _RegionAudit(attributes, shares, corrected(tests), small, precise, min_group, level)
    return _finding(audit, train_counts or {})


def _compared(group: Group, share: Rate) -> GroupComparison:
    others = group.known & ~group.member
    here, there, gap = share.of(group.member), share.of(others), share.gap(group.member, others)
    if gap.low == gap.high:  # all pictures alike: the intervals of both sides know that this may be luck
        apart = difference(there, here)
        gap = Estimate(gap.value, min(apart.low, gap.value), max(apart.high, gap.value))
    return GroupComparison(group, share.name, "", here, there, gap, group.n, share.p(group.member, group.known))


def _part_of(one: GroupComparison, other: GroupComparison) -> bool:
    return one.kind == other.kind and set(other.group.parts) < set(one.group.parts)


def _finding(audit: _RegionAudit, train_counts: Mapping[str, Mapping[str, int]]) -> Finding:
    trained = representation(audit.attributes, train_counts, audit.min_group)
    worst, first = audit.worst, audit.shares[0].name
    own = [one for one in audit.comparisons if one.kind == first]
    # Of many small intersections one looks bad by chance: where none is found, single attributes tell more.
    pool = [one for one in worst if one.kind == first] or [one for one in own if len(one.group.parts) == 1]
    metrics = {}
    if pool:
        low = min(pool, key=lambda one: one.here.value)
        metrics = {
            f"worst_group_{first}": Metric(*low.here, low.n),
            "group_gap": Metric(*low.gap, low.n, "points"),
        }
    tables = [_table(audit), trained.table, _too_few(audit)]
    return Finding(
        summary=(_verdict(audit, worst),),
        metrics=metrics,
        tables=[table for table in tables if table is not None],
        figures=_charts(audit),
        warnings=[*(_warning(one, audit) for one in worst), *trained.warnings],
        data={"fairness": _document(audit, worst)},
    )


def _verdict(audit: _RegionAudit, worst: Sequence[GroupComparison]) -> str:
    asked = ", ".join(attribute.name for attribute in audit.attributes)
    if not audit.comparisons:
        return (
            f"No group by {asked} could be judged: none has at least {audit.min_group} pictures with as many others"
            " beside it."
        )
    checked = f"{len(audit.groups)} groups by {asked}, {audit.tests} tests, corrected for their number"
    if worst:
        names = list(dict.fromkeys(one.group.name for one in worst))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"The model serves some pictures worse than others: {'; '.join(names[:3])}{more} ({checked})."
    return f"No group of at least {audit.min_group} pictures was found to be served worse ({checked}).{_power(audit)}"


def _power(audit: _RegionAudit) -> str:
    """What the smallest and the largest group of a single attribute would have shown as the first of all."""
    from scipy.special import ndtri

    first = audit.shares[0].name
    single = sorted(
        (one for one in audit.comparisons if one.kind == first and len(one.group.parts) == 1), key=lambda one: one.n
    )
    if not single:
        return " Only intersections could be judged, which have little evidence."
    factor = _POWER_80 - float(ndtri(audit.level / 2 / audit.tests))
    sizes = []
    for one in dict.fromkeys((single[0], single[-1])):
        error = (one.gap.high - one.gap.low) / (2 * Z)
        sizes.append(f"{100 * min(1.0, factor * error):.1f} points in the group of {one.n:,} ({one.group.name})")
    return f" A difference in {first} of about {', of '.join(sizes)} would have been seen in 4 of 5 cases."


def _warning(one: GroupComparison, audit: _RegionAudit) -> str:
    """A warning of one group that fares worse, with the figures behind it."""
    share = next(share for share in audit.shares if share.name == one.kind)
    low, high = sorted((100 * abs(one.gap.low), 100 * abs(one.gap.high)))
    apart = f"{100 * abs(one.gap.value):.1f} points (95% interval {low:.1f} to {high:.1f})"
    return (
        f"{one.group.name}: {one.kind} is {percent(one.here.value)} on {one.n:,} pictures against"
        f" {percent(one.there.value)} on the others; {apart} fewer are {share.verb} within the same classes,"
        f" p = {one.corrected:.2g} after correction for {audit.tests} tests."
    )


def _table(audit: _RegionAudit) -> Table | None:
    """A row a group: for every share its value, the difference and its p; and average precision."""
    by_group: dict[int, list[GroupComparison]] = {}
    for one in audit.comparisons:
        by_group.setdefault(id(one.group), []).append(one)
    if not by_group:
        return None
    order = sorted(by_group.values(), key=lambda own: min(one.corrected for one in own))
    kept = {id(own[0].group) for own in order[:SHOWN]}
    rows = [_row(audit, own) for key, own in by_group.items() if key in kept]
    columns = ["group", "pictures"]
    for share in audit.shares:
        columns += [share.name, f"{share.name}: difference", f"{share.name}: p"]
    if audit.precise is not None:
        columns.append("AP at .5")
    note = (
        "Difference: to all other pictures whose attribute is known, with the classes held equal; p is of a test over"
        " pictures, corrected for all tests made here (Holm). Intervals resample pictures."
    )
    if len(by_group) > SHOWN:
        note += f" The {SHOWN} most conspicuous of {len(by_group)} groups."
    return Table("By group", tuple(columns), tuple(rows), note)


def _row(audit: _RegionAudit, own: Sequence[GroupComparison]) -> tuple[Any, ...]:
    group = own[0].group
    cells: list[Any] = [group.name, group.n]
    for one in own:
        cells += [Metric(*one.here, one.n), Metric(*one.gap, one.n, "points"), one.corrected]
    if audit.precise is not None:
        cells.append(_precision_of(audit.precise, group))
    return tuple(cells)


def _precision_of(precise: Precise, group: Group) -> Metric | None:
    """Average precision of one group's pictures, with a bootstrap over them."""
    rows = np.flatnonzero(group.member)
    weights = np.zeros((1 + _N_BOOT, len(group.member)))
    weights[:, rows] = resamples(len(rows), _N_BOOT)
    values = precise(weights)
    if not np.isfinite(values[0]):
        return None
    rest = values[1:][np.isfinite(values[1:])]
    low, high = np.quantile(rest, [0.025, 0.975]) if len(rest) else (values[0], values[0])
    found = Estimate(float(values[0]), min(float(low), float(values[0])), max(float(high), float(values[0])))
    return Metric(*found, group.n)


def _too_few(audit: _RegionAudit) -> Table | None:
    rows = tuple((group.name, group.n, int(group.known.sum()) - group.n) for group in audit.too_few)
    note = f"Fewer than {audit.min_group} pictures here or among the others."
    if len(rows) > SHOWN:
        note += f" The {SHOWN} first of {len(rows)}."
    return Table("Groups too small to judge", ("group", "pictures", "others"), rows[:SHOWN], note) if rows else None


def _charts(audit: _RegionAudit) -> list[Figure]:
    """All shares with their intervals, one chart an attribute."""
    figures = []
    for attribute in audit.attributes:
        own: dict[str, list[Bar]] = {}
        for one in audit.comparisons:
            if [name for name, _ in one.group.parts] == [attribute.name]:
                heading = f"{one.group.parts[0][1]} (n = {one.n:,})"
                series = [share.name for share in audit.shares].index(one.kind)
                own.setdefault(heading, []).append(Bar(*one.here, series=series))
        if len(own) < 2:
            continue
        names = [share.name.capitalize() for share in audit.shares]
        title = f"By {attribute.name}"
        note = f"{' and '.join(names)} in pictures of every value, with 95% intervals over pictures."
        figures.append(Figure(title, svg=bars(own, title, series=names), note=note))
    return figures


def _document(audit: _RegionAudit, worst: Sequence[GroupComparison]) -> dict[str, Any]:
    return {
        "found": list(dict.fromkeys(one.group.name for one in worst)),
        "judged": len(audit.groups),
        "tests": audit.tests,
        "level": audit.level,
        "min_group": audit.min_group,
        "too_few": [group.name for group in audit.too_few],
        "comparisons": [
            {
                "group": one.group.name,
                "kind": one.kind,
                "n": one.n,
                "here": one.here.value,
                "others": one.there.value,
                "difference": [one.gap.value, one.gap.low, one.gap.high],
                "p": one.p,
                "p_corrected": one.corrected,
                "found": audit.found(one),
            }
            for one in audit.comparisons
        ],
    }
