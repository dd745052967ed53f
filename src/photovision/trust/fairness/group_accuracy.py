"""Served: how well a model serves each group of pictures, the worst of them, and what another model changes for it.

A group's accuracy is the mean of its accuracies for the single classes, over the classes that all groups have: a group
is then not judged by which classes happen to be frequent in it, and a shortcut (where nearly all pictures of a group
are of one class) cannot hide behind that class. Where the groups share too few classes it is the plain accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.types import Ints
from photovision.trust.metrics.statistics import (
    Estimate,
    difference,
    mean_of_proportions,
    paired_proportions,
)

MIN_PICTURES = 10
"""Pictures below which a group is not judged."""
_SHARED = 0.5


@dataclass(frozen=True, eq=False)
class Served:
    """The groups of some pictures, as they are judged.

    Attributes:
        strata: group -> rows of its pictures, a part for each class that counts.
        balanced: whether classes count equally within a group.

    Example:
        >>> served = Served.of(np.repeat([0, 1], 20), ("a", "b"), np.arange(40) % 2)
        >>> served.worst(np.arange(40) < 30)[0]
        'b'
    """

    strata: Mapping[str, Sequence[np.ndarray]]
    balanced: bool

    @classmethod
    def of(cls, groups: Ints, names: Sequence[str], labels: Ints | None) -> Served:
        """Settle who is judged, and how.

        Args:
            groups: int64 (N,), positions in `names`; -1 where a picture's group is not known.
            names: of the groups; those of the name "" are not judged.
            labels: int64 (N,), the true classes; None for multi-label data.
        """
        rows = {name: np.flatnonzero(groups == number) for number, name in enumerate(names)}
        rows = {name: found for name, found in rows.items() if name and len(found) >= MIN_PICTURES}
        whole = cls({name: [found] for name, found in rows.items()}, False)
        if labels is None or not rows:
            return whole
        shared = set.intersection(*(set(labels[found].tolist()) for found in rows.values()))
        parts = {name: [found[labels[found] == label] for label in sorted(shared)] for name, found in rows.items()}
        kept = min(sum(map(len, parts[name])) / len(rows[name]) for name in rows)
        return cls(parts, True) if kept >= _SHARED else whole

    def size(self, name: str) -> int:
        """How many pictures of a group count."""
        return sum(map(len, self.strata[name]))

    def share(self, name: str, right: np.ndarray) -> Estimate:
        """A group's accuracy; `right` is bool (N,)."""
        parts = self.strata[name]
        return mean_of_proportions([int(right[rows].sum()) for rows in parts], [len(rows) for rows in parts])

    def worst(self, right: np.ndarray) -> tuple[str, Estimate]:
        """The group served worst, with its accuracy; the interval does not know that it is the worst of many."""
        return min(((name, self.share(name, right)) for name in self.strata), key=lambda pair: pair[1].value)

    def gap(self, right: np.ndarray) -> Estimate:
        """The accuracy of the group served best less that of the one served worst."""
        shares = sorted((self.share(name, right) for name in self.strata), key=lambda share: share.value)
        return difference(shares[0], shares[-1])

    def gain(self, name: str, a_right: np.ndarray, b_right: np.ndarray) -> Estimate:
        """How much more often B is right than A in a group, on the same pictures (paired; classes by MOVER)."""
        parts = np.array([paired_proportions(a_right[rows], b_right[rows]) for rows in self.strata[name]])
        value = float(parts[:, 0].mean())
        # The smoothed interval of few pictures need not hold their plain difference in its middle.
        below = float(np.sqrt((np.maximum(parts[:, 0] - parts[:, 1], 0) ** 2).sum())) / len(parts)
        above = float(np.sqrt((np.maximum(parts[:, 2] - parts[:, 0], 0) ** 2).sum())) / len(parts)
        return Estimate(value, max(-1.0, value - below), min(1.0, value + above))
