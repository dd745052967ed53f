"""Agreement of raters beyond chance.

Cohen's kappa for two raters (1960), Fleiss' for many (1971), and Krippendorff's alpha for nominal answers, some of
which may be missing ("Computing Krippendorff's alpha-reliability", 2011).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np

from photovision.core.types import Ints
from photovision.trust.metrics.statistics import Estimate, Vector, bootstrap_sums

MIN_PICTURES = 20
"""Two raters with fewer pictures in common are not compared."""


class Agreement(NamedTuple):
    """How far raters agree beyond chance: 1 in full, 0 as by chance, below 0 less than by chance.

    Attributes:
        fleiss, alpha: over all raters; None where no picture has two answers, or all answers are the same.
        pairs: two rows -> Cohen's kappa, None where not defined or too few, and how many pictures both answered.
    """

    fleiss: Estimate | None
    alpha: Estimate | None
    pairs: dict[tuple[int, int], tuple[Estimate | None, int]]


def agreement(codes: Ints, classes: int, *, people: int | None = None, seed: int = 0) -> Agreement:
    """Kappas and alpha with bootstrap intervals over pictures.

    Fleiss' kappa and alpha leave out pictures with fewer than two answers; the number of answers may differ.

    Args:
        codes: int64 (R, N), 0 to `classes` - 1, or -1 where a rater gave no answer.
        classes: C.
        people: the first so many of the rows count for Fleiss' kappa and for alpha; all if None.
        seed: of the bootstrap.

    Example:
        >>> agreement(np.array([[0, 1, 1, 0], [0, 1, 1, 0]]), 2).alpha.value
        1.0
    """
    from scipy.sparse import csr_array, hstack

    first = codes[: len(codes) if people is None else people]
    answers = np.stack([(first == c).sum(0) for c in range(classes)], axis=1).astype(np.float64)
    blocks = [csr_array(_many(answers))]
    finish: dict[str, Callable[[Vector], Vector]] = {
        "fleiss": partial(_fleiss, classes=classes),
        "alpha": partial(_alpha, classes=classes),
    }
    pairs = combinations(range(len(codes)), 2)
    shared = {(a, b): np.asarray((codes[a] >= 0) & (codes[b] >= 0)) for a, b in pairs}
    start = blocks[0].shape[1]
    for (a, b), both in shared.items():
        if both.sum() >= MIN_PICTURES:
            blocks.append(csr_array(_two(codes[a], codes[b], both, classes)))
            finish[f"{a} {b}"] = partial(_cohen, start=start, classes=classes)
            start += 2 * classes + 2
    with np.errstate(divide="ignore", invalid="ignore"):  # resamples of one class only are left out
        found = bootstrap_sums(hstack(blocks).tocsr(), finish, seed=seed)
    kappas = {(a, b): (_defined(found.get(f"{a} {b}")), int(n.sum())) for (a, b), n in shared.items()}
    return Agreement(_defined(found["fleiss"]), _defined(found["alpha"]), kappas)


def _many(answers: Vector) -> Vector:
    """What each picture adds to Fleiss' kappa and to alpha: float64 (N, 3 + C), from its number of answers by class.

    Columns: 1, the share of pairs of answers that agree, the disagreeing pairs by Krippendorff, the answers.
    """
    n = answers.sum(1)
    used = n >= 2
    safe = np.where(used, n, 2)
    agreeing = (answers * (answers - 1)).sum(1)
    share, differing = agreeing / (safe * (safe - 1)), (n * (n - 1) - agreeing) / (safe - 1)
    rows: Vector = np.column_stack([np.ones(len(n)), share, differing, answers]) * used[:, None]
    return rows


def _fleiss(sums: Vector, classes: int) -> Vector:
    answers = sums[:, 3 : 3 + classes]
    expected = (answers**2).sum(1) / answers.sum(1) ** 2
    kappa: Vector = (sums[:, 1] / sums[:, 0] - expected) / (1 - expected)
    return kappa


def _alpha(sums: Vector, classes: int) -> Vector:
    answers = sums[:, 3 : 3 + classes]
    n = answers.sum(1)
    alpha: Vector = 1 - (n - 1) * sums[:, 2] / (n**2 - (answers**2).sum(1))
    return alpha


def _two(a: Ints, b: Ints, both: np.ndarray, classes: int) -> Vector:
    """What each picture adds to Cohen's kappa: 1, whether the two agree, the answers of either: float64 (N, 2 + 2C)."""
    eye = np.eye(classes)
    rows: Vector = np.column_stack([np.ones(len(a)), a == b, eye[a], eye[b]]) * both[:, None]
    return rows


def _cohen(sums: Vector, start: int, classes: int) -> Vector:
    n, agree = sums[:, start], sums[:, start + 1]
    one, other = (sums[:, first : first + classes] for first in (start + 2, start + 2 + classes))
    expected = (one * other).sum(1) / n**2
    kappa: Vector = (agree / n - expected) / (1 - expected)
    return kappa


def _defined(estimate: Estimate | None) -> Estimate | None:
    return estimate if estimate is not None and np.isfinite(estimate).all() else None
