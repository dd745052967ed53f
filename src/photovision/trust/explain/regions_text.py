"""What explanations of boxes and regions mean, in words and pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.overlay import legend, overlay
from photovision.core.phrases import count, listed
from photovision.core.preprocess import Preprocess
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.trust.explain import report_text as parts
from photovision.trust.explain.faithfulness import ALIKE, ORDERS, SPAN
from photovision.trust.explain.pointing_game import MARGIN
from photovision.trust.explain.target import TargetExplainer

if TYPE_CHECKING:
    from photovision.trust.explain.regions import ExplainedRegion, ExplainedRegions, RegionModel

OUTSIDE = 0.5
"""Share of the heat in the thing below which the model is reported to decide by the surroundings."""
_GAP = 6
_TOLD = 6  # pictures with a sentence and curves each
Shown = tuple["ExplainedRegions", int, "ExplainedRegion"]


def report(
    regions: RegionModel, explainer: TargetExplainer, images: Sequence[ExplainedRegions], unreadable: Sequence[str]
) -> Report:
    """The report of kind "explain" of a detector or a segmenter."""
    bundle = regions.model.bundle
    backbone = (bundle.info.get("backbone") or {}).get("name")
    every = list(_every(images))
    passed = parts.share_that_holds([one.trial for _, _, one in every])
    metrics = {"maps_that_hold": passed} if passed else {}
    if every:
        metrics["heat_inside"] = Metric(float(np.mean([one.pointing.heat for _, _, one in every])), n=len(every))
    return Report(
        kind="explain",
        title=f"What {count(len(every), *regions.nouns)} of {bundle.name} rest on",
        assessment=parts.assessment([place.trial for _, _, place in every]) if every else None,
        summary=_summary(explainer, images, every),
        metrics=metrics,
        tables=[_table(every)] if every else [],
        figures=[*(figure for one in images for figure in _figures(one, len(images))), _reading(explainer)],
        warnings=_warnings(images, unreadable, every),
        provenance={"model": {"backbone": backbone, "task": bundle.task}, **provenance()},
        data={
            "task": bundle.task,
            "methods": [explainer.name],
            "pictures": [describe(one) for one in images],
            "unreadable": list(unreadable),
        },
    )


def describe(one: ExplainedRegions) -> dict[str, Any]:
    """JSON-ready: `{"picture", "size": [h, w], "found", "boxes": [{"label", "score", "xyxy", "missed", ...}]}`.

    Every box has a 14 x 14 "heatmap", 0 to 1, over "window", in pixels of the picture, and its "test".
    """
    return {
        "picture": one.name,
        "size": list(one.size),
        "found": len(one.found),
        "boxes": [_json(p) for p in one.places],
    }


def _json(place: ExplainedRegion) -> dict[str, Any]:
    return {
        "label": place.label,
        "score": round(place.score, 6),
        "xyxy": [round(side, 3) for side in place.box.tolist()],
        "missed": place.missed,
        "method": place.map.method,
        "heatmap": parts.cells(place.map.heatmap),
        "window": list(place.window),
        "heat_inside": place.pointing.heat,
        "area_inside": place.pointing.area,
        "test": place.trial.to_json() if place.trial else None,
    }


def drawn(place: ExplainedRegion) -> Image:
    """The map over what the network saw, the thing outlined: uint8 RGB (h, w, 3)."""
    height, width = place.inside.shape
    return _outlined(place, overlay(place.shown, place.map.heatmap, Preprocess((height, width))))


def _outlined(place: ExplainedRegion, picture: Image) -> Image:
    """A bright line with a dark rim around the thing, which is seen on any ground."""
    from scipy.ndimage import binary_dilation, binary_erosion

    size = picture.shape[1], picture.shape[0]
    inside = np.asarray(Pillow.fromarray(place.inside).resize(size, Pillow.Resampling.NEAREST), dtype=bool)
    line = inside & ~binary_erosion(inside, iterations=2)
    page = picture.copy()
    page[binary_dilation(line)] = 0
    page[line] = 255
    return page


def _every(images: Sequence[ExplainedRegions]) -> Iterator[Shown]:
    return ((one, number, place) for one in images for number, place in enumerate(one.places, 1))


def _summary(explainer: TargetExplainer, images: Sequence[ExplainedRegions], every: list[Shown]) -> tuple[str, ...]:
    if not every:
        return ("The model says of nothing in these pictures that it is there, so there is nothing to explain.",)
    tested = [one.trial for _, _, one in every if one.trial]
    passed = sum(trial.verdict == "holds" for trial in tested)
    sentences = [parts.passed(passed, len(tested), explainer.name)] if tested else []
    inside = float(np.mean([one.pointing.heat for _, _, one in every]))
    area = float(np.mean([one.pointing.area for _, _, one in every]))
    sentences.append(
        f"On average {inside:.0%} of the heat lies in the thing itself, which is {area:.0%} of what is seen."
    )
    if len(images) <= _TOLD:
        sentences += [f"{one.name}, {number}: {_sentence(place)}" for one, number, place in every]
    return tuple(sentences)


def _sentence(place: ExplainedRegion) -> str:
    """What is there, whether its map may be believed, and where it lies."""
    head = f"'{place.label}' was missed." if place.missed else f"'{place.label}' ({place.score:.0%})."
    sentences = [head, *([place.trial.sentence] if place.trial else [])]
    if not place.trial or place.trial.verdict == "holds":
        sentences.append(f"{place.pointing.heat:.0%} of its heat lies in the thing.")
        if place.pointing.heat < OUTSIDE:
            sentences.append("Most lies outside: the model decides by the surroundings.")
    return " ".join(sentences)


def _warnings(images: Sequence[ExplainedRegions], unreadable: Sequence[str], every: list[Shown]) -> list[str]:
    sentences = []
    doubtful = [_name(*one) for one in every if (trial := one[2].trial) and trial.verdict != "holds"]
    if doubtful:
        sentences.append(f"{count(len(doubtful), 'map')} should not be relied on: {listed(doubtful)}.")
    apart = [_name(*one) for one in every if _holds(one[2]) and one[2].pointing.heat < OUTSIDE]
    if apart:
        sentences.append(f"The model decides by the surroundings of {listed(apart)}: look whether that is a shortcut.")
    if any(place.trial is None for _, _, place in every):
        sentences.append(parts.NOT_TESTED)
    nothing = [one.name for one in images if not one.places]
    if nothing:
        sentences.append(f"Nothing to explain was found in {count(len(nothing), 'picture')}: {listed(nothing)}.")
    if unreadable:
        sentences.append(f"{count(len(unreadable), 'picture')} could not be read: {listed(unreadable)}.")
    return sentences


def _holds(place: ExplainedRegion) -> bool:
    return place.trial is not None and place.trial.verdict == "holds"


def _name(one: ExplainedRegions, number: int, place: ExplainedRegion) -> str:
    return f"{place.label} {number} of {one.name}"


def _reading(explainer: TargetExplainer) -> Figure:
    note = (
        f"{explainer.name}: {explainer.about} The outline is the thing that is explained. Each"
        " map has colours of its own range. A map may be trusted if showing its places in a blurred picture brings the"
        f" answer sooner, and hiding them takes it away sooner, than nearly all of {ORDERS} random orders do, and if"
        f" the same model with shuffled weights gives another map (rank correlation below {ALIKE}). An answer that"
        f" falls by less than {SPAN:.0%} where the whole picture is blurred cannot be tested. Heat in the thing: what"
        f" lies above half of the map's range, within the outline and {MARGIN:.1%} of the picture's side around it; a"
        " map outside is no worse, it shows that the model decides by the surroundings."
    )
    return Figure("How to read the maps", svg=legend(), note=note)


def _figures(one: ExplainedRegions, pictures: int) -> Iterator[Figure]:
    if not one.places:
        yield Figure(one.name, pictures=((jpeg(one.upright), f"nothing to explain\n{one.name}"),))
        return
    shown = [(jpeg(_beside(place), 88), _caption(number, place)) for number, place in enumerate(one.places, 1)]
    note = f"{count(len(one.found), 'thing')} found, {len(one.places)} explained: what is there, and its map."
    yield Figure(parts.shown_name(one.name), pictures=tuple(shown), note=note, wide=True, first=True)
    if pictures > _TOLD:
        return
    for number, place in enumerate(one.places, 1):
        if place.trial:
            title = f"{number} {place.label}: how fast the answer comes and goes"
            yield Figure(
                one.name,
                svg=parts.curves(place.trial, title, "how much of it is left"),
                note=f"{number}: {_sentence(place)}",
            )


def _caption(number: int, place: ExplainedRegion) -> str:
    score = "missed" if place.missed else f"{place.score:.0%}"
    return f"{number} {place.label}, {score}\n{parts.verdict(place.trial)}; {place.pointing.heat:.0%} of the heat in it"


def _beside(place: ExplainedRegion) -> Image:
    """What the network saw, the thing outlined, and the map over it: uint8 RGB."""
    gap = np.full((place.shown.shape[0], _GAP, 3), 255, np.uint8)
    return np.concatenate([_outlined(place, place.shown), gap, drawn(place)], axis=1)


def _table(every: list[Shown]) -> Table:
    rows = [
        (
            *(one.name, f"{number} {place.label}", "missed" if place.missed else place.score),
            *(place.pointing.heat, place.pointing.area),
            *parts.tested(place.trial),
        )
        for one, number, place in every
    ]
    columns = ("picture", "thing", "score", "heat in it", "its area", *parts.COLUMNS)
    return parts.table(columns, rows, "what is left of the answer")
