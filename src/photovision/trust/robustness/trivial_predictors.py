"""Trivial predictors: how well do facts that say nothing of what is shown predict the class?

Each kind of facts gets a forest of its own (extremely randomised trees, Geurts et al. 2006), which predicts for
pictures that it did not learn from: in cross-validation over units, such as patients, of which none is on two sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.trust.metrics.statistics import Estimate, auroc, from_influence

FOLDS = 5
MIN_PICTURES = 60
"""Pictures below which nothing is fitted."""
MIN_UNITS = 10
"""Units with and without a class below which it is left out."""
MACRO = "all classes"
_TREES, _LEAF = 40, 4


@dataclass(frozen=True, eq=False)
class TrivialPredictor:
    """How well one kind of facts predicts the class.

    Attributes:
        name: of the facts.
        areas: class, or MACRO for their mean -> area under the ROC curve of that class against the others, with an
            interval over units.
    """

    name: str
    areas: Mapping[str, Metric]

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"name": self.name, "areas": {name: metric.to_json() for name, metric in self.areas.items()}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> TrivialPredictor:
        """What `to_json` gave."""
        return cls(str(value["name"]), {name: Metric.from_json(one) for name, one in value["areas"].items()})


def trivial_predictors(
    blocks: Mapping[str, Floats], truth: np.ndarray, units: Ints, classes: Sequence[str], *, seed: int = 0
) -> list[TrivialPredictor]:
    """Fit a predictor to each kind of facts, by cross-validation over units.

    Args:
        blocks: name -> float32 (N, D).
        truth: int64 (N,) class indices, or (N, C) of 0 and 1; NaN is unknown.
        units: int64 (N,), equal for pictures that belong together.
        classes: C names.
        seed: of folds and trees.

    Returns:
        one a block, in their order; none where there are too few pictures or units.
    """
    matrix = truth.astype(np.float64) if truth.ndim == 2 else np.eye(len(classes))[truth.astype(np.int64)]
    number = np.unique(units, return_inverse=True)[1].ravel()
    judged = [c for c in range(len(classes)) if _enough(matrix[:, c], number)]
    if len(matrix) < MIN_PICTURES or not judged:
        return []
    folds = _folds(matrix, number, seed)
    part, names = matrix[:, judged], [classes[c] for c in judged]
    return [
        TrivialPredictor(name, _areas(_predicted(block, part, folds, seed), part, number, names))
        for name, block in blocks.items()
    ]


def _enough(column: np.ndarray, number: Ints) -> bool:
    return all(len(np.unique(number[column == value])) >= MIN_UNITS for value in (0, 1))


def _folds(matrix: np.ndarray, number: Ints, seed: int) -> Ints:
    """int64 (N,): the fold of each picture; units of one class are dealt out in turn."""
    units, first = np.unique(number, return_index=True)
    kind = np.unique(np.nan_to_num(matrix[first]), axis=0, return_inverse=True)[1].ravel()
    order = np.lexsort((np.random.default_rng(seed).permutation(len(units)), kind))
    fold = np.empty(len(units), np.int64)
    fold[order] = np.arange(len(units)) % FOLDS
    return fold[number]


def _predicted(block: Floats, matrix: np.ndarray, folds: Ints, seed: int) -> np.ndarray:
    """float64 (N, C): the mean of the leaves that each picture falls into, in trees that did not see its unit."""
    from sklearn.ensemble import ExtraTreesRegressor

    known = np.nan_to_num(matrix)
    found = np.empty(matrix.shape)
    for number in range(FOLDS):
        own = folds == number
        trees = ExtraTreesRegressor(_TREES, min_samples_leaf=_LEAF, max_features="sqrt", random_state=seed)
        found[own] = trees.fit(block[~own], known[~own]).predict(block[own]).reshape(-1, matrix.shape[1])
    return found


def _areas(scores: np.ndarray, matrix: np.ndarray, number: Ints, classes: Sequence[str]) -> dict[str, Metric]:
    found, values, influences = {}, [], []
    for c, name in enumerate(classes):
        known = np.isfinite(matrix[:, c])
        value, influence = auroc(scores[known, c], matrix[known, c] > 0)
        values.append(value)
        influences.append(np.bincount(number[known], influence, number.max() + 1))
        rarer = int(min(matrix[known, c].sum(), (1 - matrix[known, c]).sum()))
        found[name] = _metric(from_influence(value, influences[-1], rarer), int(known.sum()))
    mean = from_influence(float(np.mean(values)), np.mean(influences, axis=0), len(matrix) // len(classes))
    return {MACRO: _metric(mean, len(matrix)), **found}


def _metric(area: Estimate, n: int) -> Metric:
    return Metric(*area, n)
