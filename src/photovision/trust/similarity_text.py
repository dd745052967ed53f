"""Accuracy by similarity in sentences, a table and a curve: for which pictures a figure holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from photovision.core.curves import CurveLine, lines
from photovision.core.drawing import percent
from photovision.core.phrases import count
from photovision.core.report import Figure, Finding, Metric, Table
from photovision.core.types import Floats
from photovision.runtime.similarity import ExpectedAccuracy, SimilarityBin, read_expected
from photovision.trust.metrics.statistics import Vector, wilson
from photovision.trust.similarity import STEP

MIN_OF_BIN = 10
"""Held-out pictures from which on a degree of similarity is spoken of."""
_FLAT = 0.02
_NAMED = 3


@dataclass(frozen=True, eq=False)
class ScoredPictures:
    """What was measured on N labelled pictures, beside what was to be expected of them.

    Attributes:
        score, expected: float (N,), 0 to 1.
        similarity: float (N,).
    """

    score: Vector
    expected: Floats
    similarity: Floats


def headline(expected: ExpectedAccuracy, lead: Metric, name: str) -> str:
    """For which pictures a leading metric holds, and what to expect of pictures less like the training pictures.

    Args:
        expected: of the model.
        lead: measured on test.
        name: what the leading metric is called.
    """
    alike = "similarity to the nearest training picture"
    usual = "" if expected.usual is None else f" (median {alike} {expected.usual:.2f})"
    first = f"{percent(lead.value)} {name} on pictures like those of the test{usual}"
    several = "" if expected.score.casefold() in name.casefold() else f" {expected.score}"
    lower = _lower(expected, f"{several} where it is")
    return f"{first}; about {lower}." if lower else f"{first}.{_untold(expected)}"


def holding(info: Mapping[str, Any]) -> str:
    """For which pictures the figures in bundle.json hold, and what to expect of others; "" where it is not known."""
    expected = read_expected(info)
    if expected is None:
        return ""
    usual = "" if expected.usual is None else f"; their median similarity to the nearest one is {expected.usual:.2f}"
    lower = _lower(expected, f" {expected.score} at")
    rest = f" Where the similarity is lower, expect less: about {lower}." if lower else _untold(expected)
    return f"Measured on pictures like the training pictures{usual}.{rest}"


def _lower(expected: ExpectedAccuracy, first: str) -> str:
    """ "81% accuracy where it is 0.7 to 0.8, 67% at 0.6 to 0.7", or "" where the curve is flat."""
    lower = falling(expected)
    return ", ".join(f"{one.value:.0%}{' at' if k else first} {_range(one)}" for k, one in enumerate(lower))


def _untold(expected: ExpectedAccuracy) -> str:
    """That lower similarity was not tested; "" where some was, and no less is right there."""
    enough = [one for one in expected.curve if one.n >= MIN_OF_BIN]
    if any(expected.usual is None or one.end <= expected.usual for one in enough) and len(enough) > 1:
        return ""
    return " Too few held-out pictures were less similar to tell what to expect of such."


def expected_score(score: str, metric: Metric) -> dict[str, Metric]:
    """The estimate of a score as a metric of reports, under one name whatever the score is called."""
    titled = replace(metric, title=f"Expected {score}", hint="from similarity and confidence, without labels")
    return {"expected_score": titled}


def falling(expected: ExpectedAccuracy) -> list[SimilarityBin]:
    """Degrees of lower similarity at which less is right than usual, nearest first; none where the curve is flat."""
    enough = [one for one in expected.curve if one.n >= MIN_OF_BIN]
    if not enough:
        return []
    nearest = max(one.start for one in enough)
    usual = nearest if expected.usual is None else min(nearest, np.floor(expected.usual / STEP + 1e-9) * STEP - 1e-9)
    near = [one for one in enough if one.start >= usual - 1e-9]
    level = float(np.average([one.value for one in near], weights=[one.n for one in near]))
    below = [one for one in enough if one.start < usual and one.value < level - _FLAT]
    total = sum(one.n for one in near)
    beyond_chance = any(one.high < wilson(level * total, total)[0] for one in below)
    return below[::-1][:_NAMED] if beyond_chance else []


def finding(
    expected: ExpectedAccuracy, others: Mapping[str, Floats] | None = None, measured: ScoredPictures | None = None
) -> Finding:
    """The table of accuracy by similarity, and its curve beside how alike pictures are.

    Args:
        expected: of the model.
        others: name of pictures -> their similarity to the nearest training picture, float (N,), drawn beside it.
        measured: labelled pictures, whose figures stand beside those to be expected.
    """
    rows = [_row(one, measured) for one in expected.curve[::-1]]
    columns = ["similarity", "held-out pictures", expected.score]
    note = (
        "Pictures that were held out of the training together with those most like them. Similarity is 1 for the same"
        " picture as one of the training and about 0 for one that has nothing in common with them."
    )
    if expected.changed:
        of = f"{expected.changed:,} of the {expected.n:,}"
        note += f" {of} are others of them, made darker, blurred or noisy, to see less similar ones."
    if measured is not None:
        columns += ["these pictures", "measured", "expected"]
        note += " Expected: from similarity and confidence, without labels."
    title = f"{_capital(expected.score)} and similarity to the training pictures"
    table = Table(title, tuple(columns), tuple(tuple(row[: len(columns)]) for row in rows), note)
    sentences = () if measured is None else (_compared(expected, measured),)
    return Finding(
        sentences,
        tables=[table],
        figures=[_figure(expected, others or {}, title)],
        data={"similarity": _quartiles(others)},
    )


def _row(one: SimilarityBin, measured: ScoredPictures | None) -> list[object]:
    cells: list[object] = [_range(one), one.n, Metric(one.value, one.low, one.high, one.n)]
    if measured is None:
        return cells
    inside = (measured.similarity >= one.start) & (measured.similarity < one.end)
    n = int(inside.sum())
    if not n:
        return [*cells, 0, None, None]
    return [*cells, n, percent(float(measured.score[inside].mean())), percent(float(measured.expected[inside].mean()))]


def _compared(expected: ExpectedAccuracy, measured: ScoredPictures) -> str:
    is_, was = float(measured.score.mean()), float(measured.expected.mean())
    return (
        f"From similarity and confidence alone {percent(was)} {expected.score} was to be expected of"
        f" {count(len(measured.score), 'picture')} (similarity to the nearest training picture"
        f" {float(np.median(measured.similarity)):.2f}); measured: {percent(is_)}."
    )


def _figure(expected: ExpectedAccuracy, others: Mapping[str, Floats], title: str) -> Figure:
    curve = expected.curve
    enough = [one for one in curve if one.n >= MIN_OF_BIN] or curve  # a point of two pictures says nothing
    middle, value, low, high = (
        np.array([getattr(one, name) for one in enough]) for name in ("median", "value", "low", "high")
    )
    series = {expected.score: CurveLine(middle, value, low, high)}
    edges = np.round(np.arange(min(one.start for one in curve), 1 + STEP / 2, STEP), 1)
    held_out = np.array([sum(one.n for one in curve if abs(one.start - edge) < STEP / 2) for edge in edges[:-1]])
    if held_out.sum():
        series["share of the held-out pictures"] = CurveLine(
            edges[:-1] + STEP / 2, held_out / held_out.sum(), dashed=True
        )
    for name, similarity in others.items():
        if len(similarity):
            shares = np.histogram(np.clip(similarity, edges[0], edges[-1]), edges)[0] / len(similarity)
            series[f"share of {name}"] = CurveLine(edges[:-1] + STEP / 2, shares, dashed=True)
    drawn = lines(series, title, "similarity to the nearest training picture", "", x_form="{:.2f}".format)
    note = (
        f"{_capital(expected.score)} of held-out pictures, in ranges of 0.1 with {MIN_OF_BIN} or more where there are"
        " such; the band is its 95% interval. The dashed lines show which share of the pictures is how similar."
    )
    return Figure(title, svg=drawn, note=note)


def _quartiles(others: Mapping[str, Floats] | None) -> dict[str, list[float]]:
    return {
        name: [round(float(value), 4) for value in np.quantile(similarity, [0.25, 0.5, 0.75])]
        for name, similarity in (others or {}).items()
        if len(similarity)
    }


def _range(one: SimilarityBin) -> str:
    return f"{one.start:.1f} to {one.end:.1f}"


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]
