"""Selection: which statistics make the score, chosen on synthetic defects on held-out good pictures.

Which is best differs: the farthest patch alone finds a chip in a biscuit, the mean of the farthest 5% a stain on a
rough surface, the whole picture's distance a diffuse change. Bad pictures are not needed; a few known ones may take
part beside the synthetic ones, and still do not move the threshold, which held-out good pictures alone decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats
from photovision.tasks.anomaly.graph import TOP_SHARES, Combination
from photovision.trust.metrics.statistics import auroc

_LEAST = 1e-6
_TOLERANCE = 0.02  # of the AUROC: synthetic defects rank candidates roughly
_FEW, _MANY = TOP_SHARES.index(0.01), TOP_SHARES.index(0.2)


@dataclass(frozen=True)
class Selected:
    """The statistics that were chosen.

    Attributes:
        combination: the score they make.
        auroc: kind of defect -> how well the score separates it from held-out good pictures, 0 to 1.
        scales: positions of the scales that have a weight.
    """

    combination: Combination
    auroc: Mapping[str, float]
    scales: tuple[int, ...]


def select(good: Floats, defects: Mapping[str, Floats], names: tuple[str, ...]) -> Selected:
    """Choose among candidate scores by the mean AUROC over kinds of defects.

    Args:
        good: float32 (N, K), statistics of held-out good pictures: those of every scale in the order of TOP_SHARES,
            then the image-level distance.
        defects: kind -> float32 (M, K), the same of defects.
        names: of the scales.

    Returns:
        The first candidate whose figure is about as good as the best one's: earlier ones serve more kinds of pictures.
    """
    logarithms = np.log(np.maximum(good, _LEAST))
    middle = np.median(logarithms, axis=0)
    # The upper side sets the unit: how far good pictures reach decides what a distance means.
    upper = np.quantile(logarithms, 0.8413, axis=0) - middle
    spread = np.maximum(upper, 1e-3)
    found = []
    for name, weights in _candidates(names, good.shape[1]):
        combination = Combination(name, middle.astype(np.float32), spread.astype(np.float32), weights)
        areas = {kind: _area(combination, good, values) for kind, values in defects.items()}
        found.append((combination, areas))
    figures = np.array([np.mean(list(areas.values())) if areas else 0.5 for _, areas in found])
    chosen = int(np.flatnonzero(figures >= figures.max() - _TOLERANCE)[0])
    combination, areas = found[chosen]
    width = len(TOP_SHARES)
    used = tuple(s for s in range(len(names)) if combination.weights[s * width : (s + 1) * width].any())
    return Selected(combination, areas, used)


def _area(combination: Combination, good: Floats, bad: Floats) -> float:
    scores = np.concatenate([combination(good), combination(bad)])
    return auroc(scores, np.arange(len(scores)) >= len(good))[0]


def _candidates(names: tuple[str, ...], width: int) -> Iterator[tuple[str, Floats]]:
    """Names and weights float32 (K, J) of the scores to choose from, the default first."""
    shares, every = len(TOP_SHARES), tuple(range(len(names)))

    def part(scales: tuple[int, ...], number: int, image: bool = False) -> Floats:
        """The mean of one statistic over scales, and of the image-level distance where it takes part: (K, 1)."""
        weights = np.zeros((width, 1), np.float32)
        weights[[scale * shares + number for scale in scales]] = 1
        weights[-1] = len(scales) if image else 0
        weights /= weights.sum()
        return weights

    whole = np.zeros((width, 1), np.float32)
    whole[-1] = 1
    both = np.concatenate([part(every, _FEW), part(every, _MANY)], axis=1)
    few, many = (f"farthest {TOP_SHARES[number]:.0%} of patches" for number in (_FEW, _MANY))
    yield f"{few} or {many}", both
    for scales in [every, *((scale,) for scale in every if len(every) > 1)]:
        of = "" if scales == every else f" at {names[scales[0]]}"
        for number in reversed(range(shares)):
            share = TOP_SHARES[number]
            yield (f"farthest {share:.0%} of patches" if share else "farthest patch") + of, part(scales, number)
    yield f"{many} and whole picture", part(every, _MANY, image=True)
    yield "whole picture", whole
