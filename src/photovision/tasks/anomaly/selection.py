"""Selection: which statistics make the score, chosen on synthetic defects on held-out good pictures.

Which is best differs: the farthest patch alone finds a chip in a biscuit, the mean of the farthest 5 % a stain on a
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
        The first candidate whose figure is within a standard error of the best one's: earlier ones look at more.
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


_TOLERANCE = 0.005


def _area(combination: Combination, good: Floats, bad: Floats) -> float:
    scores = np.concatenate([combination(good), combination(bad)])
    return auroc(scores, np.arange(len(scores)) >= len(good))[0]


def _candidates(names: tuple[str, ...], width: int) -> Iterator[tuple[str, Floats]]:
    """Names and weights float32 (K, J) of the scores to choose from, the default first."""
    shares = len(TOP_SHARES)
    image = np.zeros((width, 1), np.float32)
    image[-1] = 1
    sets = [tuple(range(len(names)))]
    if len(names) > 1:
        sets += [(scale,) for scale in range(len(names))]
    for scales in sets:
        for number in (1, 2, 0):
            patches = np.zeros((width, 1), np.float32)
            patches[[scale * shares + number for scale in scales]] = 1 / len(scales)
            share = TOP_SHARES[number]
            of = f"farthest {share:.0%} of patches" if share else "farthest patch"
            of += f" at {' and '.join(names[scale] for scale in scales)}"
            yield f"{of}, or the whole picture", np.concatenate([patches, image], axis=1)
            yield of, patches
    yield "the whole picture", image
