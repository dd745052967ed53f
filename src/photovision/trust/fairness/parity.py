"""Parity: how unevenly a statement is made across groups, in the two figures that fairness is most often written in.

Definitions are fairlearn's (demographic parity difference; equalised odds difference, the larger of its two parts), and
the tests hold every value against it. It is no dependency because it gives no intervals and brings pandas. The largest
of several rates lies above the smallest by chance alone, so each figure is given beside what chance makes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from photovision.core.report import Table
from photovision.trust.fairness.groups import Attribute

MAX_CLASSES = 10
"""With more classes than this, one row a class and attribute says nothing any more."""
_SHUFFLES = 100


def demographic_parity(predicted: np.ndarray, codes: np.ndarray) -> float:
    """The largest minus the smallest share of positive predictions in a group, 0 to 1.

    Args:
        predicted: bool (N,).
        codes: int (N,), the group of each picture, 0 to G - 1, all of which occur.

    Example:
        >>> demographic_parity(np.array([True, True, True, False]), np.array([0, 0, 1, 1]))
        0.5
    """
    return _spread(_rates(predicted, codes))


def equalised_odds(predicted: np.ndarray, true: np.ndarray, codes: np.ndarray) -> float:
    """The larger of two gaps between groups: of the true positive rate, and of the false positive rate.

    Groups without true pictures play no part in the first, and those without false ones none in the second.

    Args:
        predicted, true: bool (N,).
        codes: int (N,), as for `demographic_parity`.
    """
    groups = int(codes.max()) + 1
    hits, alarms = (_rates(predicted[part], codes[part], groups) for part in (true, ~true))
    return max(_spread(hits), _spread(alarms))


def parity_table(
    attributes: Sequence[Attribute],
    predicted: np.ndarray,
    true: np.ndarray,
    classes: Sequence[str],
    min_group: int,
    seed: int = 0,
) -> Table | None:
    """Both figures for every attribute and class; None for more than 10 classes, or where nothing can be compared.

    Args:
        attributes: values of fewer than `min_group` pictures are left out.
        predicted, true: bool (N, C).
        classes: C names; of two that exclude each other only the second is shown.
    """
    width = len(classes)
    if width > MAX_CLASSES:
        return None
    exclusive = width == 2 and bool((true.sum(1) == 1).all())
    rng = np.random.default_rng(seed)
    rows = []
    for attribute in attributes:
        values = [value for value in attribute.values if (attribute.labels == value).sum() >= min_group]
        if len(values) < 2:
            continue
        kept = np.isin(attribute.labels, values)
        codes = np.searchsorted(np.sort(values), attribute.labels[kept])
        for c in range(1 if exclusive else 0, width):
            rows.append((attribute.name, classes[c], *_figures(predicted[kept, c], true[kept, c], codes, rng)))
    note = (
        "Largest minus smallest group. By chance: the mean of the same figure with the groups dealt out by lot. Unequal"
        " shares of predictions may be right where the truth is unequal; unequal odds are not."
    )
    columns = ("attribute", "class", "demographic parity", "by chance", "equalised odds", "by chance ")
    return Table("Parity", columns, tuple(rows), note) if rows else None


def _figures(predicted: np.ndarray, true: np.ndarray, codes: np.ndarray, rng: np.random.Generator) -> tuple[str, ...]:
    shuffled = [rng.permutation(codes) for _ in range(_SHUFFLES)]
    chance = np.mean(
        [(demographic_parity(predicted, by_lot), equalised_odds(predicted, true, by_lot)) for by_lot in shuffled], 0
    )
    found = (demographic_parity(predicted, codes), chance[0], equalised_odds(predicted, true, codes), chance[1])
    return tuple(f"{100 * value:.1f} points" for value in found)


def _rates(flags: np.ndarray, codes: np.ndarray, groups: int = 0) -> np.ndarray:
    """The share of each group that is flagged, float64 (G,); NaN where a group is empty."""
    counts = np.bincount(codes, minlength=groups)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(codes, flags, minlength=groups) / counts)


def _spread(rates: np.ndarray) -> float:
    known = rates[np.isfinite(rates)]
    return float(known.max() - known.min()) if len(known) else 0.0
