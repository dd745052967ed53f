"""Fair: which groups an attribute makes of the pictures, how a rung learns to mind them, and what that brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError
from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.data.dataset import SPLITS, Dataset
from photovision.engine.splits import TrainingSplits
from photovision.engine.training_run import TrainingRun
from photovision.learn.groups import GroupDro, GroupScored, Reweighted, Score, Sum, group_weights
from photovision.learn.plan import Plan
from photovision.tasks.classify.objective import ClassifyObjective
from photovision.tasks.classify.variants import Variant
from photovision.trust.fairness.group_accuracy import MIN_PICTURES, Served
from photovision.trust.metrics.statistics import BEYOND_CHANCE, paired_proportions, proportion, standard_error

MOST_VALUES = 20
LARGEST_COST = 0.02
"""Accuracy over all pictures that fairness may cost, unless it gives the group served worst three times as much."""
_LEAST_CELL = 5
_STRONGER = 4.0


def fairness_of(run: TrainingRun) -> Fairness | None:
    """The groups that a training should be fair to; None where that was not asked for."""
    return None if run.config.fair_by is None else Fairness.of(run.splits, run.config.fair_by)


def values_of(dataset: Dataset, attribute: str) -> tuple[str, ...]:
    """The values of an attribute, sorted.

    Raises:
        DataError: no picture has it (the message names the known ones), or it makes no groups: it has one value only,
            or more than 20.
    """
    found = {sample.groups.get(attribute, "") for sample in dataset.samples} - {""}
    if not found:
        known = sorted({name for sample in dataset.samples for name in sample.groups})
        text = f"known are {', '.join(known)}" if known else "these pictures have none; give them as columns of a table"
        raise DataError(f"no picture has the attribute '{attribute}' to be fair by: {text}")
    if not 2 <= len(found) <= MOST_VALUES:
        number = "one value only" if len(found) == 1 else f"{len(found):,} different values"
        raise DataError(
            f"to be fair by '{attribute}' takes 2 to {MOST_VALUES} groups, but it has {number}: choose another"
            " attribute, or a column with its values put together (ages as decades, days as seasons)"
        )
    return tuple(sorted(found))


def groups_of(dataset: Dataset, attribute: str, values: tuple[str, ...]) -> Ints:
    """int64 (N,): position of each picture's value in `values`, -1 where it has none."""
    index = {value: number for number, value in enumerate(values)}
    return np.array([index.get(sample.groups.get(attribute, ""), -1) for sample in dataset.samples], dtype=np.int64)


def cells_of(dataset: Dataset, groups: Ints) -> Ints:
    """int64 (N,): the groups that learning minds, 0 to G - 1 without gaps: the attribute's value and the class.

    Pictures whose value is not known are groups of their own. Cells of fewer than 5 pictures are put together for each
    value, so that learning does not turn on a single odd picture. For multi-label data the value alone counts.
    """
    cells = groups + 1
    if not dataset.multilabel:
        classes = len(dataset.classes)
        cells = cells * (classes + 1) + dataset.labels
        _, index, sizes = np.unique(cells, return_inverse=True, return_counts=True)
        cells = np.where(sizes[index] < _LEAST_CELL, (groups + 1) * (classes + 1) + classes, cells)
    numbered: Ints = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    return numbered


def right_of(probs: Floats, dataset: Dataset) -> np.ndarray:
    """bool (N,): whether the most probable class is the true one; for multi-label data, whether all labels are."""
    if dataset.multilabel:
        return np.asarray(((probs >= 0.5) == (dataset.label_matrix > 0)).all(1))
    return np.asarray(probs.argmax(1) == dataset.labels)


@dataclass(frozen=True, eq=False)
class Fairness:
    """The groups of one training.

    Attributes:
        attribute: what makes them.
        values: all its values, sorted.
        val, test: the groups that have at least 10 pictures in each of the two parts, and how they are judged.
    """

    attribute: str
    values: tuple[str, ...]
    val: Served
    test: Served

    @classmethod
    def of(cls, material: TrainingSplits, attribute: str) -> Fairness:
        """Settle who is judged."""
        values, parts = values_of(material.dataset, attribute), (material.val, material.test)
        groups = [groups_of(part, attribute, values) for part in parts]
        enough = [np.bincount(found[found >= 0], minlength=len(values)) >= MIN_PICTURES for found in groups]
        judged = [value if both else "" for value, both in zip(values, enough[0] & enough[1], strict=True)]
        labels = [None if part.multilabel else part.labels for part in parts]
        val, test = (Served.of(found, judged, truth) for found, truth in zip(groups, labels, strict=True))
        if val.balanced != test.balanced:
            val, test = (Served.of(found, judged, None) for found in groups)
        return cls(attribute, values, val, test)

    @property
    def judged(self) -> bool:
        """Whether at least two groups have enough pictures."""
        return len(self.val.strata) > 1

    def sizes(self, material: TrainingSplits) -> dict[str, dict[str, int]]:
        """Group -> how many pictures it has in train, val and test; "not given" for those without a value."""
        found = {}
        for number, value in [*enumerate(self.values), (-1, "not given")]:
            parts = {part: groups_of(getattr(material, part), self.attribute, self.values) for part in SPLITS}
            counts = {part: int((groups == number).sum()) for part, groups in parts.items()}
            if any(counts.values()):
                found[value] = counts
        return found


def fairly(
    fairness: Fairness, variant: Variant, task: ClassifyObjective, train: Dataset, val: Dataset, plan: Plan, total: Sum
) -> tuple[GroupScored, Plan, Floats | None]:
    """How a network learns a fair variant: the task, the plan, and how often each picture is shown.

    Mixing is off, for a mixed picture belongs to no group; GroupDRO decays weights four times as much, for without
    strong regularisation every training group is soon learned by heart (Sagawa et al. 2020).

    Args:
        fairness: the groups.
        variant: one of the fair ones.
        task: what is learned.
        train, val: pictures, in the order of the feeds.
        plan: of the rung without change.
        total: the sum of a tensor over all processes.
    """
    cells = cells_of(train, groups_of(train, fairness.attribute, fairness.values))
    weights, judged = group_weights(cells), by_worst_group(fairness, val)
    plan = replace(plan, mixup=0.0, cutmix=0.0, balanced=False)
    if variant.fair == "reweighted":
        return Reweighted(task, judged, weights), plan, None
    if variant.fair == "group-balanced":
        return GroupScored(task, judged), plan, weights
    steps = plan.epochs * -(-len(train) // plan.batch_size)
    dro = GroupDro(task, judged, cells, weights, steps=steps, total=total)
    return dro, replace(plan, weight_decay=_STRONGER * plan.weight_decay), weights


def by_worst_group(fairness: Fairness, val: Dataset) -> Score:
    """From probabilities (M, C) of the validation pictures to the accuracy of the group served worst."""

    def score(predicted: Floats, truth: np.ndarray) -> Metric:
        name, share = fairness.val.worst(right_of(predicted, val))
        return Metric(*share, fairness.val.size(name))

    return score


def choose_fair(judges: Served, right: Mapping[str, np.ndarray], plain: str) -> tuple[str, str]:
    """Which rung to keep, and why, by validation alone.

    A variant is kept where the lowest accuracy of any group rises by more than chance explains, and accuracy over all
    pictures falls by at most 2 points, or by a third of that rise where this is more. Of several, the fairest.

    Args:
        judges: the groups of the validation pictures.
        right: rung -> bool (N,), which of these pictures it has right.
        plain: the rung without change.
    """
    worst, before = judges.worst(right[plain])
    best, gained = plain, 0.0
    for name in right:
        if name == plain:
            continue
        gain = judges.worst(right[name])[1].value - before.value
        cost = float(right[plain].mean() - right[name].mean())
        chance = standard_error(judges.gain(worst, right[plain], right[name]))
        if cost <= max(LARGEST_COST, gain / 3) and gain > max(gained, BEYOND_CHANCE * chance):
            best, gained = name, gain
    if best != plain:
        return best, (
            f"'{best}' is kept. On validation pictures the lowest accuracy of any group rises from"
            f" {percent(before.value)} ('{worst}', by '{plain}') to {percent(before.value + gained)}, beyond chance."
        )
    return plain, (
        f"'{plain}' is kept without change. On validation pictures no variant raises the lowest accuracy of any group"
        f" ({percent(before.value)}, '{worst}') beyond chance while costing little accuracy over all."
    )


def measured(judges: Served, right: np.ndarray) -> dict[str, Any]:
    """What a rung reaches for the groups, JSON-ready; `right` is bool (N,)."""
    name, share = judges.worst(right)
    sizes = {group: judges.size(group) for group in judges.strata}
    groups = {group: Metric(*judges.share(group, right), sizes[group]) for group in judges.strata}
    gap = Metric(*judges.gap(right), sum(sizes.values()), "points")
    return {
        "accuracy": Metric(*proportion(int(right.sum()), len(right)), len(right)).to_json(),
        "worst_group": Metric(*share, sizes[name]).to_json(),
        "worst": name,
        "gap": gap.to_json(),
        "groups": {group: metric.to_json() for group, metric in groups.items()},
    }


def gains(judges: Served, worst: str, plain: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    """What another rung changes against the plain one, over all pictures and in one group, JSON-ready."""
    return {
        "accuracy": Metric(*paired_proportions(plain, other), len(plain), "points").to_json(),
        "worst_group": Metric(*judges.gain(worst, plain, other), judges.size(worst), "points").to_json(),
    }
