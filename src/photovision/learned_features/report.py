"""Atlas: what a network has learned, stage by stage: pictures that excite its units, with figures beside them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.phrases import count, listed
from photovision.core.preprocess import Preprocess
from photovision.core.progress import ProgressCallback
from photovision.core.report import Figure, Report, Table
from photovision.core.system import provenance
from photovision.core.types import Classes, Floats, Image
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.engine.load import opened
from photovision.learned_features import figures as legends
from photovision.learned_features.activations import (
    BATCH,
    MIN_PICTURES,
    NOISE,
    UnitStatistics,
    answers,
    draw,
    probabilities,
    show_noise,
    show_pictures,
)
from photovision.learned_features.figures import Plate
from photovision.models.activations import (
    NetworkStage,
    ReceptiveField,
    feature_stacks,
    find_stages,
    first_filters,
    fitting_threads,
    receptive_field,
)
from photovision.models.backbones import count_macs
from photovision.models.load_network import trained_network
from photovision.models.visualise import visualise_classes, visualise_units
from photovision.runtime.model import OnnxModel
from photovision.trust.class_selectivity import STRONGEST, Activity, choose_units, preferred, telling

_WORK = 1.5e11
"""Multiply-adds that one step for all pictures of a stage may cost, times steps: dear networks get fewer steps."""
_STEPS = (32, 128)


def features(
    model: OnnxModel[Classes],
    data: Dataset | None = None,
    *,
    units: int = 6,
    pictures: int = 400,
    stages: Sequence[int] | None = None,
    seed: int = 0,
    minutes: float = 3.0,
    progress: ProgressCallback | None = None,
) -> Report:
    """An atlas of what a model has learned: of every stage of its network some units, and what excites them most.

    Args:
        model: a classifier whose bundle holds the network's weights.
        data: pictures to show to it, with labels or without; None gives pictures made by optimisation only.
        units: how many of each stage, and how many classes.
        pictures: how many to show to it at most, evenly over the classes.
        stages: their numbers, from 1 for the first layer; all if None.
        seed: of the choice of pictures and of every optimisation; the same seed gives the same atlas, as long as the
            time suffices.
        minutes: wall time for everything; where it is short, pictures are optimised in fewer steps.
        progress: called with (steps done, steps to do).

    Returns:
        A report of kind "features"; its data has `stages` with their units, and `classes`.

    Raises:
        UsageError: an argument makes no sense.
        DataError: fewer than 20 readable pictures.
        ModelError: the bundle has no network, or one without feature maps.

    Example:
        report = features(photovision.load("flowers-model"), read_dataset("flowers"))
        write_report(report, Path("atlas"))
    """
    if units < 1 or pictures < MIN_PICTURES:
        raise UsageError(f"an atlas needs at least 1 unit and {MIN_PICTURES} pictures, got {units} and {pictures}")
    if not minutes > 0:
        raise UsageError(f"minutes should be above 0, got {minutes:g}")
    deadline = time.monotonic() + 60 * minutes
    opened(model, "features")
    network, preprocess = trained_network(model.bundle), model.preprocess
    every = find_stages(network, preprocess.size)
    numbers, drawn = _numbers(stages, len(every)), None if data is None else draw(data, pictures, seed)
    macs = count_macs(network, preprocess.size)
    with fitting_threads(macs * units):
        plans = [_plan(number, every, network, preprocess, macs, units) for number in numbers]
        last = _steps(macs * min(units, len(model.classes)))
        batches = -(-(NOISE if drawn is None else len(drawn)) // BATCH)
        count = _Count(progress, batches + sum(plan.steps for plan in plans) + last)
        watched = [plan.stage for plan in plans]
        if drawn is None or data is None:
            seen = show_noise(network, watched, model, seed, count.up)
        else:
            seen = show_pictures(network, watched, drawn, data.classes, model, count.up)
        work = _Work(network, model, seen, units, seed, count, deadline)
        plates = [work.plate(plan, len(plans) - number + 1) for number, plan in enumerate(plans)]
        figures = [*work.opening(plates), *work.stage_figures(plates)]
        answers, closing = work.classes(last)
    return _report(model, plates, seen, [*figures, *closing], answers, seed)


def _short(plates: Sequence[Plate]) -> list[str]:
    cut = [f"stage {plate.number}" for plate in plates if plate.cut]
    if not cut:
        return []
    return [
        f"The time was too short for all steps of {', '.join(cut)}: the made pictures there are coarser than they"
        " could be; more --minutes show more."
    ]


class _Count:
    """Steps done, reported to the listener."""

    def __init__(self, progress: ProgressCallback | None, total: int) -> None:
        self.progress, self.total, self.done = progress, total, 0

    def up(self, to: int | None = None) -> None:
        if to == self.done:  # all steps were made
            return
        self.done = self.done + 1 if to is None else to
        if self.progress is not None:
            self.progress(self.done, self.total)


@dataclass(frozen=True, eq=False)
class _Plan:
    """How the units of one stage are going to be looked at."""

    number: int
    of: int
    stage: NetworkStage
    field: ReceptiveField
    side: int
    steps: int


def _numbers(stages: Sequence[int] | None, count: int) -> list[int]:
    if stages is None:
        return list(range(1, count + 1))
    wrong = [number for number in stages if not 1 <= number <= count]
    if wrong or not stages:
        raise UsageError(f"stages should be numbers from 1 to {count}, got {', '.join(map(str, stages)) or 'none'}")
    return sorted(set(stages))


def _plan(
    number: int, every: Sequence[NetworkStage], network: Any, preprocess: Preprocess, macs: int, units: int
) -> _Plan:
    stage, size = every[number - 1], preprocess.size
    field = receptive_field(network, stage, size)
    # Three windows side by side show what repeats; more only costs time.
    side = min(max(64, -(-3 * field.most // 32) * 32), max(size))
    steps = _steps(macs * side * side / (size[0] * size[1]) * min(units, stage.channels))
    return _Plan(number, len(every), stage, field, side, steps)


def _steps(macs: float) -> int:
    return int(np.clip(_WORK / macs, *_STEPS))


@dataclass(frozen=True, eq=False)
class _Work:
    """One network that has seen the pictures, and what is made of it."""

    network: Any
    model: OnnxModel[Classes]
    seen: UnitStatistics
    units: int
    seed: int
    count: _Count
    deadline: float

    def plate(self, plan: _Plan, parts: int) -> Plate:
        """Choose the units of a stage and make pictures that excite them, in one of so many parts of the time left."""
        began, seconds = time.monotonic(), max(self.deadline - time.monotonic(), 1e-3) / parts
        done = self.count.done
        found, seen = self.seen.responses[plan.stage.name], self.seen
        activity = Activity.of(found.peaks, found.means)
        scores, _ = telling(activity, seen.membership if seen.samples else None)
        units = choose_units(activity, scores, self.units)
        made: tuple[Image, Floats] = np.zeros((0, 1, 1, 3), np.uint8), np.zeros(0, np.float32)
        if units:
            made = visualise_units(
                self.network,
                plan.stage,
                units,
                self.model.preprocess,
                side=plan.side,
                steps=plan.steps,
                seed=self.seed,
                grey=seen.grey,
                tick=self.count.up,
                seconds=seconds,
            )
            self.count.up(done + plan.steps)
        cut = bool(units) and time.monotonic() - began >= seconds
        facts = plan.number, plan.of, plan.stage, plan.field, activity, units, scores[units]
        return Plate(*facts, *made, plan.steps, cut)

    def opening(self, plates: Sequence[Plate]) -> list[Figure]:
        """The picture with the surest right answer on its way through the network."""
        seen, model = self.seen, self.model
        if not seen.samples:
            return []
        predicted = answers(model, seen.probs)
        right = [
            not seen.labelled or {model.classes[c] for c in np.flatnonzero(predicted[row])} == set(sample.target or ())
            for row, sample in enumerate(seen.samples)
        ]
        row = int(np.argmax(seen.probs.max(1) + np.array(right)))
        best = int(seen.probs[row].argmax())
        pixels = load_pixels(seen.samples[row], model.preprocess)
        stacks = feature_stacks(self.network, [plate.stage for plate in plates], pixels, model.preprocess)
        answer = f"{model.classes[best]} ({seen.probs[row, best] * 100:.0f}%)"
        return [legends.journey(pixels, answer, plates, stacks)]

    def stage_figures(self, plates: Sequence[Plate]) -> list[Figure]:
        """The figures of all stages, with the first layer's filters where they can be seen."""
        figures: list[Figure] = []
        for plate in plates:
            facts = legends.stage_figures(plate, self.seen, self.model.preprocess)
            weights = first_filters(self.network) if plate.number == 1 else None
            if weights is not None:
                facts.insert(2, legends.filters_figure(facts[0].title, weights, self.seen.grey))
            figures += facts
        return figures

    def classes(self, steps: int) -> tuple[dict[str, float], list[Figure]]:
        """Some classes, evenly spaced among those that the model answers, with how sure it is of their made picture."""
        model, seen = self.model, self.seen
        predicted = answers(model, seen.probs)
        answered = np.flatnonzero(predicted.any(0)) if seen.samples else np.zeros(0, int)
        able = answered if len(answered) else np.arange(len(model.classes))
        chosen = [int(c) for c in able[np.unique(np.linspace(0, len(able) - 1, self.units).round().astype(int))]]
        made, logits = visualise_classes(
            self.network,
            chosen,
            model.preprocess,
            steps=steps,
            seed=self.seed,
            grey=seen.grey,
            tick=self.count.up,
            seconds=max(self.deadline - time.monotonic(), 1e-3),
        )
        self.count.up(self.count.total)
        probs = probabilities(model, logits)
        sure = {model.classes[c]: float(probs[row, c]) for row, c in enumerate(chosen)}
        return sure, legends.class_figures(chosen, made, probs, predicted, seen, model.preprocess, model.classes)


def _report(
    model: OnnxModel[Classes],
    plates: Sequence[Plate],
    seen: UnitStatistics,
    figures: Sequence[Figure],
    sure: dict[str, float],
    seed: int,
) -> Report:
    size = model.preprocess.size
    backbone = (model.info.get("backbone") or {}).get("name") or "the network"
    rows = tuple(row for plate in plates for row in _rows(plate, seen))
    columns = ("stage", "unit", "pictures that excite it", "excited most by", "how telling", "made picture")
    table = Table(
        "All units shown, in figures",
        columns,
        rows,
        "A picture excites a unit if it raises it at least half as far above its mean as the strongest picture does."
        " How telling: share of the variance of its peaks that the classes explain, or without classes its sparseness"
        " (0 to 1). Made picture: how far it raises the unit, in multiples of the strongest real picture.",
    )
    return Report(
        "features",
        f"What {model.bundle.name} has learned",
        summary=tuple(_summary(plates, seen)),
        tables=[table] if seen.samples else [],
        figures=figures,
        warnings=_warnings(plates, seen),
        provenance={**provenance(), "model": str(backbone), "seed": seed, "pictures": len(seen.samples)},
        data={
            "stages": [_stage_json(plate, seen, size) for plate in plates],
            "classes": [{"class": name, "made_picture_probability": prob} for name, prob in sure.items()],
            "classes_by": None if not seen.samples else "label" if seen.labelled else "answer",
        },
    )


def _rows(plate: Plate, seen: UnitStatistics) -> Iterator[tuple[Any, ...]]:
    for row, unit in enumerate(plate.units):
        if seen.samples:
            words = legends.preference(plate, row, seen).removeprefix("excited most by ")
            score = float(plate.scores[row])
            yield plate.number, unit, plate.exciting(row), words, score, f"{plate.times(row):.1f} ×"


def _stage_json(plate: Plate, seen: UnitStatistics, size: tuple[int, int]) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "number": plate.number,
        "title": legends.stage_title(plate, size),
        "layer": plate.stage.name,
        "places": list(plate.stage.places),
        "channels": plate.stage.channels,
        "receptive_field": {"reach": plate.field.reach, "most": plate.field.most},
        "silent": int((~plate.activity.alive).sum()),
        "steps": plate.steps,
    }
    return {**facts, "units": [_unit_json(plate, row, seen) for row in range(len(plate.units))]}


def _unit_json(plate: Plate, row: int, seen: UnitStatistics) -> dict[str, Any]:
    unit = plate.units[row]
    facts: dict[str, Any] = {"unit": unit, "telling": float(plate.scores[row])}
    if not seen.samples:
        return facts
    classes = preferred(plate.activity, unit, seen.membership)
    return facts | {
        "exciting": plate.exciting(row).to_json(),
        "classes": [{"class": seen.names[c], "count": n, "more_than_chance": sure} for c, n, sure in classes],
        "strongest": [seen.samples[i].id for i in plate.activity.strongest(unit)[:STRONGEST]],
        "made_picture": plate.times(row),
    }


def _summary(plates: Sequence[Plate], seen: UnitStatistics) -> Iterator[str]:
    shown, total = sum(len(plate.units) for plate in plates), sum(plate.stage.channels for plate in plates)
    start = (
        f"The network's way from pixels to an answer in {count(len(plates), 'stage')}, {shown} of {total:,} units shown"
    )
    if not seen.samples:
        yield f"{start}. No pictures were given, so there are only pictures made by optimisation."
        yield f"The units shown answer strongly to few of {NOISE} pictures of noise; with DATA they are chosen by it."
        return
    yield f"{start}, asked with {len(seen.samples):,} pictures."
    yield (
        "Each block is one unit. Large: a picture made by optimisation to excite it. Small: the patches that excite it"
        " most, below them the pictures they come from; where a unit sees nearly all of a picture, the pictures alone."
    )
    _, how = telling(plates[0].activity, seen.membership)
    names = "the labels of the data" if seen.labelled else "the model's own answers, as the pictures have no labels"
    yield (
        f"The units shown are those that {how}. Classes are {names}; one is named where it holds more of"
        f" a unit's {STRONGEST} strongest pictures than chance explains, all units and classes considered."
    )


def _warnings(plates: Sequence[Plate], seen: UnitStatistics) -> list[str]:
    found = [
        "These pictures show what excites a unit, not what it means: one unit often answers to several unlike things,"
        " and the network decides by many of them together."
    ]
    empty = [str(plate.number) for plate in plates if not plate.units]
    if empty:
        found.append(f"All units stayed silent in stage {', '.join(empty)}: nothing of it can be shown.")
    short = [
        f"{plate.units[row]} of stage {plate.number}"
        for plate in plates
        for row in range(len(plate.units))
        if seen.samples and plate.times(row) < 0.5
    ]
    if short:
        found.append(
            f"{count(len(short), 'unit')}: the made picture excites less than half as far as the strongest real"
            f" picture does, so there the patches say more: {listed(short)}."
        )
    found += _short(plates)
    if seen.unreadable:
        found.append(f"{count(len(seen.unreadable), 'picture')} could not be read: {listed(list(seen.unreadable))}.")
    return found
