"""Fairness: for which groups of pictures a model is less right, less calibrated or less covered than for the others.

Every group of enough pictures is compared with all others within the true classes
(`photovision.trust.fairness.contrasts`), and all tests together are corrected for their number (Holm 1979): where no
group differs, any is named with a probability of at most the level. Rates follow fairlearn's definitions, and the
tests hold them against it; it is no dependency because it gives no intervals and brings pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.drawing import Bar, bars, percent
from photovision.core.errors import UsageError
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.types import Floats
from photovision.trust.fairness.contrasts import detectable, holm
from photovision.trust.fairness.disparity import GroupComparison, GroupPredictions, compare_groups
from photovision.trust.fairness.groups import Attribute, Group, read_attributes
from photovision.trust.fairness.parity import parity_table
from photovision.trust.fairness.representation import representation
from photovision.trust.metrics.calibrate import BINS, ece, ece_by_chance
from photovision.trust.metrics.statistics import mean_of_proportions, wilson

SHOWN = 60
"""Rows of a table; the most conspicuous ones are kept."""
_MIN_OF_CLASS = 5


def audit_groups(
    groups: Mapping[str, Sequence[str]],
    by: Sequence[str],
    *,
    classes: Sequence[str],
    probs: Floats,
    truth: np.ndarray,
    right: np.ndarray,
    predicted: np.ndarray,
    sets: np.ndarray | None = None,
    coverage: float | None = None,
    train_counts: Mapping[str, Mapping[str, int]] | None = None,
    min_group: int = 20,
    level: float = 0.05,
) -> Finding:
    """Judge a model's answers group by group, for each attribute, each pair of attributes and all together.

    Args:
        groups: attribute -> one value a picture, "" where unknown.
        by: the attributes to judge by; numbers with many values are put into bins.
        classes: C names.
        probs: float32 (N, C), calibrated, finite.
        truth: int64 (N,) class indices, or 0/1 (N, C) for multi-label.
        right: bool (N,), whether all predictions for a picture are right.
        predicted: bool (N, C), the predictions.
        sets: bool (N, C), conformal prediction sets.
        coverage: the coverage they were asked for, above 0 and below 1.
        train_counts: attribute -> value -> pictures in the training data.
        min_group: a smaller group is listed, not judged.
        level: the probability that any group is named although none differs, at most.

    Returns:
        metrics `worst_group_accuracy` and `group_gap` (its difference to the others within classes); tables of the
        groups; charts; a warning for every group found, or a sentence saying what would have been seen; `data` under
        "fairness".

    Raises:
        UsageError: an attribute does not exist, or lengths differ.

    Example:
        >>> truth = np.arange(400) % 2
        >>> site = ["a"] * 200 + ["b"] * 200
        >>> answers = np.where(np.arange(400) < 60, 1 - truth, truth)  # 60 mistakes, all at site a
        >>> probs = np.where(np.arange(2) == answers[:, None], 0.9, 0.1).astype(np.float32)
        >>> found = audit_groups({"site": site}, ["site"], classes=("cat", "dog"), probs=probs, truth=truth,
        ...     right=answers == truth, predicted=probs > 0.5)
        >>> found.data["fairness"]["found"]
        ['site = a']
    """
    n = len(probs)
    if not n or not len(truth) == len(right) == len(predicted) == n or (sets is not None and len(sets) != n):
        raise UsageError(f"expected answers and truth of the same pictures, at least one, got {n} and {len(truth)}")
    predictions = GroupPredictions(tuple(classes), probs, truth, right, predicted, sets)
    attributes = read_attributes(groups, by, n)
    comparisons, too_few = compare_groups(predictions, attributes, min_group)
    audit = _Audit(predictions, attributes, comparisons, too_few, min_group, level)
    tables = (_accuracy_table(audit), _error_table(audit), _confidence_table(audit, coverage))
    return _finding(audit, train_counts or {}, coverage, [table for table in tables if table is not None])


@dataclass(frozen=True, eq=False)
class _Audit:
    """What the report is made from."""

    predictions: GroupPredictions
    attributes: Sequence[Attribute]
    comparisons: Sequence[GroupComparison]
    too_few: Sequence[Group]
    min_group: int
    level: float

    def of(self, kind: str) -> list[GroupComparison]:
        """All comparisons of one kind, in the order of the groups."""
        return [one for one in self.comparisons if one.kind == kind]

    def found(self, one: GroupComparison) -> bool:
        """Whether the group fares significantly worse than the others."""
        return one.worse and one.corrected < self.level

    @property
    def tests(self) -> int:
        """How many tests the correction is for."""
        return len({(one.kind, one.subject, one.sides) for one in self.comparisons})

    @property
    def worst(self) -> list[GroupComparison]:
        """What is warned of: found, and no mere part of a group found for the same reason; the surest first."""
        found = [one for one in self.comparisons if self.found(one)]
        kept = [one for one in found if not any(_part_of(one, other) for other in found)]
        return sorted(kept, key=lambda one: (one.kind != "accuracy", one.corrected))


def _part_of(one: GroupComparison, other: GroupComparison) -> bool:
    same = (one.kind, one.subject) == (other.kind, other.subject)
    return same and set(other.group.parts) < set(one.group.parts)


def _finding(
    audit: _Audit, train_counts: Mapping[str, Mapping[str, int]], coverage: float | None, means: Sequence[Table]
) -> Finding:
    trained = representation(audit.attributes, train_counts, audit.min_group)
    worst = audit.worst
    # Of many small intersections one looks bad by chance: where none is found, single attributes tell more.
    single = [one for one in audit.of("accuracy") if len(one.group.parts) == 1]
    tested = [one for one in worst if one.kind == "accuracy"]
    metrics = {}
    if tested or single:
        low = min(tested or single, key=lambda one: one.here.value)
        metrics = {
            "worst_group_accuracy": Metric(*low.here, low.n),
            "group_gap": Metric(*low.gap, low.n, "points"),
        }
    parity = parity_table(
        audit.attributes,
        audit.predictions.predicted,
        audit.predictions.true,
        audit.predictions.classes,
        audit.min_group,
    )
    tables = [*means, parity, trained.table, _too_few(audit)]
    return Finding(
        summary=(_verdict(audit, worst), *_explained(audit), *_binned(audit)),
        metrics=metrics,
        tables=[table for table in tables if table is not None],
        figures=_charts(audit),
        warnings=[*(_warning(one, audit, coverage) for one in worst), *trained.warnings],
        data={"fairness": _document(audit, worst)},
    )


def _verdict(audit: _Audit, worst: Sequence[GroupComparison]) -> str:
    groups = {id(one.group) for one in audit.comparisons}
    if not groups:
        return f"No group could be judged: none has at least {audit.min_group} pictures with as many others beside it."
    asked = ", ".join(attribute.name for attribute in audit.attributes)
    checked = f"{len(groups)} groups by {asked}, {audit.tests} tests, corrected for their number"
    if worst:
        names = list(dict.fromkeys(one.group.name for one in worst))
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"The model serves some pictures worse than others: {'; '.join(names[:3])}{more} ({checked})."
    return f"No group of at least {audit.min_group} pictures was found to be served worse ({checked}). {_power(audit)}"


def _power(audit: _Audit) -> str:
    """What the smallest and the largest group of a single attribute would have shown as the first of all."""
    single = [one for one in audit.comparisons if len(one.group.parts) == 1]
    accuracy = sorted((one for one in single if one.kind == "accuracy"), key=lambda one: one.n)
    if not accuracy:
        return "Only intersections could be judged, which have little evidence."
    families = 1 if len(single) == len(audit.comparisons) else 2
    tests = len({(one.kind, one.subject, one.sides) for one in single})
    share, level = float(audit.predictions.right.mean()), audit.level / families / tests
    sizes = []
    for one in dict.fromkeys((accuracy[0], accuracy[-1])):
        least = detectable(share, one.n, int(one.group.known.sum()) - one.n, level)
        sizes.append(f"{100 * least:.0f} points in the group of {one.n:,} ({one.group.name})")
    return f"A difference in accuracy of about {', of '.join(sizes)} would have been seen in 4 of 5 cases."


def _warning(one: GroupComparison, audit: _Audit, coverage: float | None) -> str:
    """A warning of one group that fares worse, with the figures behind it."""
    sure = f"p = {one.corrected:.2g} after correction for {audit.tests} tests"
    here, there, name = percent(one.here.value), percent(one.there.value), one.group.name
    low, high = sorted((100 * abs(one.gap.low), 100 * abs(one.gap.high)))
    apart = f"{100 * abs(one.gap.value):.1f} points (95% interval {low:.1f} to {high:.1f})"
    if one.kind == "accuracy":
        return (
            f"{name}: {here} of {one.n:,} pictures are right against {there} of the others; {apart} less within the"
            f" same classes, {sure}."
        )
    if one.kind == "coverage":
        asked = "" if coverage is None else f" ({coverage * 100:g}% were asked for)"
        covered = f"prediction sets hold the truth for {here} of {one.n:,} pictures{asked}"
        return f"{name}: {covered}, {there} elsewhere; {sure}."
    if one.kind == "confidence":
        return (
            f"{name}: stated confidence minus truth is {100 * one.here.value:+.1f} points on {one.n:,} pictures,"
            f" {100 * one.there.value:+.1f} on the others; {sure}."
        )
    what = "overlooked" if one.kind == "missed" else "named where it is not"
    return f"{name}: '{one.subject}' is {what} for {here} of {one.n:,} pictures, {there} elsewhere; {sure}."


def _explained(audit: _Audit) -> list[str]:
    """Groups whose lower accuracy their classes account for: sure as it stands, gone within classes."""
    accuracy = audit.of("accuracy")
    p = holm([one.contrast.raw_p for one in accuracy if one.contrast is not None])
    names = [
        one.group.name
        for one, raw_p in zip(accuracy, p, strict=True)
        if raw_p < audit.level and one.here.value < one.there.value and not audit.found(one)
    ]
    if not names:
        return []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return [
        f"Fewer answers are right for {'; '.join(names[:3])}{more}, which hold other classes than the rest; within the"
        " same classes no difference was shown."
    ]


def _binned(audit: _Audit) -> list[str]:
    return [
        f"The values of {attribute.name} were put into {len(attribute.values)} bins: {', '.join(attribute.values)}."
        for attribute in audit.attributes
        if attribute.binned
    ]


def _accuracy_table(audit: _Audit) -> Table:
    rows = [
        (
            one.group.name,
            one.n,
            Metric(*one.here, one.n),
            Metric(*one.contrast.raw, one.n, "points"),
            Metric(*one.gap, one.n, "points"),
            one.corrected,
            _judgement(one, audit),
        )
        for one in audit.of("accuracy")
        if one.contrast is not None
    ]
    note = (
        "Difference: to all other pictures whose attribute is known. Within classes: the same with the true classes"
        " held equal; this is what p tests, exactly, corrected for all tests made here (Holm)."
    )
    kept, more = _first(rows, lambda row: row[5])
    columns = ("group", "n", "accuracy", "difference", "within classes", "p", "judgement")
    return Table("Accuracy by group", columns, kept, note + more)


def _judgement(one: GroupComparison, audit: _Audit) -> str:
    assert one.contrast is not None
    if one.contrast.comparable < 0.5:
        return "its classes hardly occur elsewhere"
    if one.corrected >= audit.level:
        return "no difference shown"
    return "worse" if one.worse else "better"


def _error_table(audit: _Audit) -> Table | None:
    """Misses and false alarms class by class, or for more classes the mean and the worst recall of each group."""
    rates = [*audit.of("missed"), *audit.of("false alarms")]
    if audit.predictions.stated_of:
        rows = [
            (
                one.group.name,
                one.subject,
                one.kind,
                one.n,
                Metric(*one.here, one.n),
                percent(one.there.value),
                one.corrected,
            )
            for one in rates
        ]
        listed, more = _first(rows, lambda row: row[6])
        note = f"Of pictures where it is true (missed) or is not (false alarms).{more}"
        columns = ("group", "class", "error", "n", "rate", "others", "p")
        return Table("Errors by group", columns, listed, note) if rows else None
    recalls = [(one.group.name, *_recalls(audit.predictions, one.group)) for one in audit.of("accuracy")]
    note = f"Macro recall counts every class alike; the worst class is one of those with {_MIN_OF_CLASS} pictures."
    names = ("classes", "macro recall", "worst class", "its recall")
    return Table("Errors by group", ("group", *names), tuple(recalls[:SHOWN]), note) if recalls else None


def _recalls(predictions: GroupPredictions, group: Group) -> tuple[Any, ...]:
    there, counts = np.unique(predictions.truth[group.member], return_counts=True)
    hits = np.bincount(predictions.truth[group.member & predictions.right], minlength=len(predictions.classes))[there]
    macro = Metric(*mean_of_proportions(hits, counts), group.n)
    enough = counts >= _MIN_OF_CLASS
    if not enough.any():
        return len(there), macro, "", None
    worst = int(np.argmin(np.where(enough, hits / counts, 2)))
    recall = Metric(hits[worst] / counts[worst], *wilson(int(hits[worst]), int(counts[worst])), int(counts[worst]))
    return len(there), macro, predictions.classes[int(there[worst])], recall


def _confidence_table(audit: _Audit, coverage: float | None) -> Table | None:
    predictions, rows = audit.predictions, []
    covered = {id(one.group): one for one in audit.of("coverage")}
    for one in audit.of("confidence")[:SHOWN]:
        row = np.flatnonzero(one.group.member)
        bins = int(np.clip(len(row) // 10, 2, BINS))
        off = ece(predictions.probs[row], predictions.truth[row], bins)
        chance = ece_by_chance(predictions.probs[row], predictions.truth[row], bins)
        cells: tuple[Any, ...] = (one.group.name, one.n, Metric(*one.here, one.n, "points"), one.corrected)
        cells += (percent(off), percent(chance))
        if predictions.sets is not None:
            inside = covered[id(one.group)]
            cells += (Metric(*inside.here, inside.n), float(predictions.sets[row].sum(1).mean()), inside.corrected)
        rows.append(cells)
    columns: tuple[str, ...] = ("group", "n", "confidence minus truth", "p", "calibration error", "by chance")
    note = "Above 0 the model is surer than it is right. By chance: what a perfectly calibrated model shows on so few."
    if predictions.sets is not None:
        columns += ("coverage", "classes in a set", "p of coverage")
        note += "" if coverage is None else f" Coverage asked for: {coverage * 100:g}%."
    return Table("Confidence by group", columns, tuple(rows), note) if rows else None


def _first(rows: Sequence[tuple[Any, ...]], p: Callable[[tuple[Any, ...]], float]) -> tuple[tuple[Any, ...], str]:
    """At most so many rows, those of the smallest p in their old order, and a sentence about the others."""
    if len(rows) <= SHOWN:
        return tuple(rows), ""
    limit = sorted(map(p, rows))[SHOWN - 1]
    kept = [row for row in rows if p(row) <= limit][:SHOWN]
    return tuple(kept), f" The {len(kept)} most conspicuous of {len(rows)} rows."


def _too_few(audit: _Audit) -> Table | None:
    rows = tuple((group.name, group.n, int(group.known.sum()) - group.n) for group in audit.too_few)
    note = f"Fewer than {audit.min_group} pictures here or among the others."
    if len(rows) > SHOWN:
        note += f" The {SHOWN} first of {len(rows)}."
    return Table("Too few to judge", ("group", "n", "others"), rows[:SHOWN], note) if rows else None


def _charts(audit: _Audit) -> list[Figure]:
    """Accuracy with intervals, one chart an attribute."""
    figures = []
    for attribute in audit.attributes:
        own = [one for one in audit.of("accuracy") if [name for name, _ in one.group.parts] == [attribute.name]]
        if len(own) < 2:
            continue
        shown = {
            f"{one.group.parts[0][1]} (n = {one.n:,})": [Bar(*one.here, series=int(audit.found(one)))] for one in own
        }
        title = f"Accuracy by {attribute.name}"
        note = "Bars are shares named correctly with 95% intervals; the second colour marks a group found to be worse."
        figures.append(Figure(title, svg=bars(shown, title), note=note))
    return figures


def _document(audit: _Audit, worst: Sequence[GroupComparison]) -> dict[str, Any]:
    return {
        "found": list(dict.fromkeys(one.group.name for one in worst)),
        "judged": len({id(one.group) for one in audit.comparisons}),
        "tests": audit.tests,
        "level": audit.level,
        "min_group": audit.min_group,
        "too_few": [group.name for group in audit.too_few],
        "comparisons": [
            {
                "group": one.group.name,
                "kind": one.kind,
                "class": one.subject,
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
