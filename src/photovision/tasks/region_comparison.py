"""What comparisons of detectors and of segmenters share: classes, a table of them, and images drawn side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from photovision.core import phrases
from photovision.core.boxes import draw_regions
from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.regions import Regions
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.thumbnail import jpeg
from photovision.core.types import Sample

SHOWN = 9
_SIDE, _GAP = 360, 6


def same_classes(a: Any, b: Any) -> None:
    """Raise DataError where two models, which have `classes`, know different ones."""
    for one, other, name in ((a, b, "A"), (b, a, "B")):
        if alone := [c for c in one.classes if c not in other.classes]:
            raise DataError(
                f"the models know different classes, only {name} knows {phrases.listed(alone)}: compare models of the"
                " same classes"
            )


def finding(
    figure: str,
    both: Sequence[Mapping[str, Metric]],
    gains: Mapping[str, Metric],
    pictures: Sequence[tuple[bytes, str]],
) -> Finding:
    """The classes in which one model is better, and the images on which they disagree most.

    Args:
        figure: what the classes are compared by, as people call it.
        both: of A and of B, class -> its figure.
        gains: class -> B less A.
        pictures: of `side_by_side`.
    """
    return Finding(
        summary=_better(gains),
        tables=[_class_table(figure, both, gains)],
        figures=[_apart(pictures)] if pictures else [],
    )


def side_by_side(sample: Sample, every: Sequence[Regions], caption: str) -> list[tuple[bytes, str]]:
    """The image once for each, side by side, with its caption; nothing where it cannot be read any more."""
    try:
        image = to_array(open_sample(sample))
    except UnreadableImage:
        return []
    parts = [draw_regions(image, regions, _SIDE) for regions in every]
    gap = np.full((parts[0].shape[0], _GAP, 3), 255, np.uint8)
    row = [part for one in parts for part in (gap, one)][1:]
    return [(jpeg(np.concatenate(row, axis=1)), caption)]


def _better(gains: Mapping[str, Metric]) -> tuple[str, ...]:
    """The classes in which the interval leaves no doubt; a sentence each way."""
    sentences = []
    for winner, sign in (("B", 1), ("A", -1)):
        names = [
            name
            for name, gain in gains.items()
            if gain.low is not None and gain.high is not None and min(sign * gain.low, sign * gain.high) > 0
        ]
        if names:
            sentences.append(f"{winner} is better in {phrases.listed(names)}.")
    return tuple(sentences)


def _class_table(figure: str, both: Sequence[Mapping[str, Metric]], gains: Mapping[str, Metric]) -> Table:
    rows = sorted(((name, both[0][name], both[1][name], gain) for name, gain in gains.items()), key=_gained)
    note = (
        "Intervals of the differences by a paired bootstrap over pictures. Of 20 classes that do not differ at all,"
        " about one would seem to."
    )
    return Table(f"By class: {figure}", ("class", "A", "B", "B minus A"), tuple(rows), note)


def _gained(row: tuple[str, Metric, Metric, Metric]) -> float:
    return row[3].value


def _apart(pictures: Sequence[tuple[bytes, str]]) -> Figure:
    note = "Each picture three times: the truth, then the predictions of A and of B."
    return Figure("Where they disagree most", pictures=tuple(pictures), note=note, wide=True, first=True)
