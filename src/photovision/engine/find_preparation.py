"""The preparation of a foreign graph, found by trying: the one with which it gets most of the labelled pictures right.

A wrong order of colours or scale of values ends in no error, only in worse predictions: the commonest silent fault of
networks that change hands. Every candidate predicts the same pictures, and differences are taken picture by picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from photovision.core.report import Metric
from photovision.engine.evaluation import Evaluation
from photovision.models.preparation import Preparation, StatedPreparation

FIRST, MOST = 48, 256
"""Pictures that all candidates are tried on, and those that the better ones are tried on."""
HARMLESS = 0.02
"""Mean difference of the scores of a picture below which two candidates serve equally well."""
_KEPT, _RANKED = 6, 4
_LOWER = ("log_loss",)  # figures of which less is better

Views = Sequence[tuple[Any, float]]
Sizes = Sequence[tuple[int, int]]
Trial = Callable[[Preparation, np.ndarray], Evaluation]
"""Predicts the pictures at some positions, prepared in some way."""


@dataclass(frozen=True, eq=False)
class Tried:
    """A candidate and what it reached on N pictures.

    Attributes:
        preparation: the candidate.
        evaluation: of the pictures.
        stated: whether the user or the origin of the model states it.
    """

    preparation: Preparation
    evaluation: Evaluation
    stated: bool = False

    @property
    def lead(self) -> Metric:
        """Its leading figure."""
        return next(iter(self.evaluation.metrics().values()))

    def margin(self, other: Tried) -> Metric:
        """How much better it is than another, in points of the leading figure."""
        return next(iter(other.evaluation.gains(self.evaluation).figures.values()))

    def decided_by(self, other: Tried) -> str:
        """The name of the figure by which it is better than another beyond chance; "" for the leading one."""
        figures = other.evaluation.gains(self.evaluation).figures
        first = next(iter(figures.values()))
        if first.low is None or first.low > 0:
            return ""
        return next(
            (name.replace("_", "-") for name in _LOWER if name in figures and (figures[name].high or 0) < 0), ""
        )

    def better(self, other: Tried) -> bool:
        """Whether it is better than another beyond chance, by a figure, and worse by none."""
        signs = []
        for name, gain in other.evaluation.gains(self.evaluation).figures.items():
            low, high = gain.low, gain.high
            if low is None or high is None:
                continue
            if name in _LOWER:
                low, high = -high, -low
            signs.append(1 if low > 0 else -1 if high < 0 else 0)
        return bool(signs) and max(signs) > 0 and signs[0] >= 0

    def alike(self, other: Tried) -> bool:
        """Whether another serves equally well, picture by picture."""
        one, two = self.evaluation.score(), other.evaluation.score()
        return len(one) == len(two) and float(np.abs(one - two).mean()) <= HARMLESS


@dataclass(frozen=True, eq=False)
class FoundPreparation:
    """What was found.

    Attributes:
        best: the preparation that is taken.
        tried: all candidates that were tried on the same pictures, the best first.
        rivals: aspect -> the best candidate that differs in it.
        undecided: aspects that the pictures cannot decide, though they matter.
    """

    best: Tried
    tried: tuple[Tried, ...]
    rivals: Mapping[str, Tried]
    undecided: tuple[str, ...]


def find(
    trial: Trial,
    count: int,
    usual: Preparation,
    given: StatedPreparation,
    *,
    origin: bool,
    views: Views,
    sizes: Sizes,
    learns_colour: bool = True,
) -> FoundPreparation:
    """Try candidates and choose.

    First all orders of colours and scales of values, at the usual view; then, with the best of them, other sizes, views
    and filters. What is stated by the user is never varied; what the origin of a model states is, but another one has
    to be better beyond chance to replace it.

    Args:
        trial: predicts.
        count: pictures that there are.
        usual: what is stated, and for all else the commonest.
        given: what the user states.
        origin: whether the origin of the model states its preparation.
        views: that the task usually has.
        sizes: that the input may have, the commonest first.
        learns_colour: False for a graph that prepares its pixels itself, of which only the order of colours is open.
    """
    rows = np.arange(min(count, MOST))
    first = rows[np.unique(np.linspace(0, len(rows) - 1, min(FIRST, len(rows))).astype(int))]
    colours = _colours(usual, given, learns_colour)
    tried = _survivors(trial, colours, first)
    on_all = [Tried(one, trial(one, rows), origin and one == usual) for one in tried]
    best = _best(on_all)
    rivals, undecided = _rivals(best, on_all, given)
    for aspect, others in (("size", _sized), ("view", _viewed), ("interpolation", _filtered)):
        more = [Tried(one, trial(one, rows)) for one in others(best.preparation, given, views, sizes)]
        on_all += more
        better = [one for one in more if one.better(best)]  # the usual one stays where chance may decide
        before, best = best, _best(better) if better else best
        left = [one for one in (before, *more) if one is not best]
        if left:
            rivals[aspect] = max(left, key=lambda one: one.lead.value)
    order = sorted(on_all, key=lambda one: -one.lead.value)
    return FoundPreparation(best, (best, *(one for one in order if one is not best)), rivals, undecided)


def _rivals(best: Tried, tried: Sequence[Tried], given: StatedPreparation) -> tuple[dict[str, Tried], tuple[str, ...]]:
    """The best of those that take another order of colours, or another scale; and of which of the two is undecided."""
    rivals, undecided = dict[str, Tried](), list[str]()
    order = sorted(tried, key=lambda one: -one.lead.value)
    for aspect in ("channels", "normalisation"):
        others = [one for one in order if one.preparation.aspect(aspect) != best.preparation.aspect(aspect)]
        open_ = [one for one in others if not best.better(one) and not best.alike(one)]
        if open_ and not (given.states(aspect) or best.stated):
            undecided.append(aspect)
        if others:
            rivals[aspect] = (open_ or others)[0]
    return rivals, tuple(undecided)


def _best(tried: Iterable[Tried]) -> Tried:
    """The first of those that no other is better than; a stated one before all others."""
    listed = list(tried)
    stated = next((one for one in listed if one.stated), None)
    order = sorted(listed, key=lambda one: -one.lead.value)[:_RANKED]  # the first of equals stays first
    top = min(order, key=lambda one: sum(other.better(one) for other in order if other is not one))
    if stated is not None and not top.better(stated):
        return stated
    return next(one for one in listed if one is top or (not top.better(one) and top.alike(one)))


def _survivors(trial: Trial, candidates: Sequence[Preparation], rows: np.ndarray) -> list[Preparation]:
    """The best few candidates on a few pictures, and the first, in their order."""
    if len(candidates) == 1:
        return list(candidates)
    tried = [Tried(one, trial(one, rows)) for one in candidates]
    order = sorted(range(len(tried)), key=lambda number: -tried[number].lead.value)
    kept = {0, *order[:_KEPT]}
    for aspect in ("channels", "normalisation"):  # the best of each kind, to tell by how much it is worse
        own = candidates[order[0]].aspect(aspect)
        kept.update([number for number in order if candidates[number].aspect(aspect) != own][:1])
    return [candidates[number] for number in sorted(kept)]


def _colours(usual: Preparation, given: StatedPreparation, free: bool) -> list[Preparation]:
    scales = [(usual.preprocess.mean, usual.preprocess.std)]
    if free and not given.states("normalisation"):
        scales += [value for value in given.normalisations() if value not in scales]
    orders = [usual.channels]
    if given.channels is None:
        orders.append("bgr" if usual.channels == "rgb" else "rgb")
    one = usual.preprocess
    return [Preparation(replace(one, mean=mean, std=std), channels) for channels in orders for mean, std in scales]


def _sized(best: Preparation, given: StatedPreparation, views: Views, sizes: Sizes) -> list[Preparation]:
    if given.size is not None:
        return []
    one = best.preprocess
    return [replace(best, preprocess=replace(one, size=size)) for size in sizes if size != one.size]


def _viewed(best: Preparation, given: StatedPreparation, views: Views, sizes: Sizes) -> list[Preparation]:
    if given.fit is not None or given.crop is not None:
        return []
    one = best.preprocess
    others = [view for view in views if view != (one.fit, one.crop)]
    return [replace(best, preprocess=replace(one, fit=fit, crop=crop)) for fit, crop in others]


def _filtered(best: Preparation, given: StatedPreparation, views: Views, sizes: Sizes) -> list[Preparation]:
    one = best.preprocess
    other = "bicubic" if one.interpolation == "bilinear" else "bilinear"
    return [replace(best, preprocess=replace(one, interpolation=other))]
