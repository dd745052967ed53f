"""What explanations of boxes and regions mean, in words and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.curves import CurveLine, lines
from photovision.core.phrases import count, listed
from photovision.core.preprocess import Preprocess
from photovision.core.report import Figure, Metric, Report, Table
from photovision.core.system import provenance
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.trust.explain import AIM_EXPLAINERS
from photovision.trust.explain.faithfulness import ALIKE, ORDERS, SHARES, SPAN, FaithfulnessTest, cell_means
from photovision.trust.explain.overlay import legend, overlay, scaled
from photovision.trust.explain.pointing_game import MARGIN
from photovision.trust.metrics.statistics import wilson

if TYPE_CHECKING:
    from photovision.tasks.explain_boxes import ExplainedRegion, ExplainedRegions, Places, RegionExplanations

GRID = 14
"""Rows and columns of the heatmaps in the JSON document."""
OUTSIDE = 0.5
"""Share of the heat in the thing below which it is said that the model decides by the surroundings."""
_GAP = 6
_TOLD = 6  # pictures with a sentence and curves each
_SHORT = {"holds": "may be trusted", "fails": "do not trust it", "untestable": "cannot be tested"}
Shown = tuple["ExplainedRegions", int, "ExplainedRegion"]


def report(model: Places, found: RegionExplanations) -> Report:
    """The report of kind "explain" of a detector or a segmenter."""
    backbone = (model.info.get("backbone") or {}).get("name")
    every = list(_every(found))
    held = sum(one.trial is not None and one.trial.verdict == "holds" for _, _, one in every)
    tested = sum(one.trial is not None for _, _, one in every)
    metrics = {"maps_that_hold": Metric(held / tested, *wilson(held, tested), tested)} if tested else {}
    if every:
        metrics["heat_inside"] = Metric(float(np.mean([one.pointing.heat for _, _, one in every])), n=len(every))
    return Report(
        kind="explain",
        title=f"What {count(len(every), *_what(model))} of {backbone or 'the model'} rest on",
        summary=_summary(found, every, held, tested),
        metrics=metrics,
        tables=[_table(every)] if every else [],
        figures=[_reading(found), *(figure for one in found.pictures for figure in _figures(one, len(found.pictures)))],
        warnings=_warnings(found, every),
        provenance={"model": {"backbone": backbone, "task": model.bundle.task}, **provenance()},
        data={
            "task": model.bundle.task,
            "methods": [found.method],
            "pictures": [describe(one) for one in found.pictures],
            "unreadable": list(found.unreadable),
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
    heat = place.map.heatmap
    cells = cell_means(scaled(heat)[None], GRID)[0].reshape(min(GRID, heat.shape[0]), -1)
    return {
        "label": place.label,
        "score": round(place.score, 6),
        "xyxy": [round(side, 3) for side in place.box.tolist()],
        "missed": place.missed,
        "method": place.map.method,
        "heatmap": np.round(cells.astype(float), 3).tolist(),
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


def _every(found: RegionExplanations) -> Iterator[Shown]:
    return ((one, number, place) for one in found.pictures for number, place in enumerate(one.places, 1))


def _what(model: Places) -> tuple[str, str]:
    return ("box", "boxes") if model.bundle.task == "detect" else ("region", "regions")


def _summary(found: RegionExplanations, every: list[Shown], held: int, tested: int) -> tuple[str, ...]:
    if not every:
        return ("The model says of nothing in these pictures that it is there, so there is nothing to explain.",)
    told = [f"{held:,} of {count(tested, 'map')} by {found.method} stood the tests and may be trusted."] * bool(tested)
    inside = float(np.mean([one.pointing.heat for _, _, one in every]))
    area = float(np.mean([one.pointing.area for _, _, one in every]))
    told.append(f"On average {inside:.0%} of the heat lies in the thing itself, which is {area:.0%} of what is seen.")
    if len(found.pictures) <= _TOLD:
        told += [f"{one.name}, {number}: {_sentence(place)}" for one, number, place in every]
    return tuple(told)


def _sentence(place: ExplainedRegion) -> str:
    """What is there, whether its map may be believed, and where it lies."""
    head = f"'{place.label}' was missed." if place.missed else f"'{place.label}' ({place.score:.0%})."
    told = [head, *([place.trial.sentence] if place.trial else [])]
    if not place.trial or place.trial.verdict == "holds":
        told.append(f"{place.pointing.heat:.0%} of its heat lies in the thing.")
        if place.pointing.heat < OUTSIDE:
            told.append("Most lies outside: the model decides by the surroundings.")
    return " ".join(told)


def _warnings(found: RegionExplanations, every: list[Shown]) -> list[str]:
    told = []
    doubtful = [_name(*one) for one in every if (trial := one[2].trial) and trial.verdict != "holds"]
    if doubtful:
        told.append(f"{count(len(doubtful), 'map')} should not be relied on: {listed(doubtful)}.")
    apart = [_name(*one) for one in every if _holds(one[2]) and one[2].pointing.heat < OUTSIDE]
    if apart:
        told.append(f"The model decides by the surroundings of {listed(apart)}: look whether that is a shortcut.")
    if any(place.trial is None for _, _, place in every):
        told.append("The maps were not tested: do not believe them for their looks.")
    nothing = [one.name for one in found.pictures if not one.places]
    if nothing:
        told.append(f"Nothing to explain was found in {count(len(nothing), 'picture')}: {listed(nothing)}.")
    if found.unreadable:
        told.append(f"{count(len(found.unreadable), 'picture')} could not be read: {listed(found.unreadable)}.")
    return told


def _holds(place: ExplainedRegion) -> bool:
    return place.trial is not None and place.trial.verdict == "holds"


def _name(one: ExplainedRegions, number: int, place: ExplainedRegion) -> str:
    return f"{place.label} {number} of {one.name}"


def _reading(found: RegionExplanations) -> Figure:
    note = (
        f"{found.method}: {AIM_EXPLAINERS.load(found.method).about} The outline is the thing that is explained. Each"
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
    yield Figure(one.name, pictures=tuple(shown), note=note, wide=True)
    if pictures > _TOLD:
        return
    for number, place in enumerate(one.places, 1):
        if place.trial:
            title = f"{number} {place.label}: how fast the answer comes and goes"
            yield Figure(one.name, svg=_curves(place.trial, title), note=f"{number}: {_sentence(place)}")


def _caption(number: int, place: ExplainedRegion) -> str:
    said = "missed" if place.missed else f"{place.score:.0%}"
    verdict = _SHORT[place.trial.verdict] if place.trial else "not tested"
    return f"{number} {place.label}, {said}\n{verdict}; {place.pointing.heat:.0%} of the heat in it"


def _beside(place: ExplainedRegion) -> Image:
    """What the network saw, the thing outlined, and the map over it: uint8 RGB."""
    gap = np.full((place.shown.shape[0], _GAP, 3), 255, np.uint8)
    return np.concatenate([_outlined(place, place.shown), gap, drawn(place)], axis=1)


def _curves(trial: FaithfulnessTest, title: str) -> str:
    found = {}
    for name, own, random in (
        ("shown", trial.insertion, trial.random_insertion),
        ("hidden", trial.deletion, trial.random_deletion),
    ):
        found[f"{name} in the map's order"] = CurveLine(SHARES, own)
        found[f"{name} at random"] = CurveLine(SHARES, random.mean(0), random.min(0), random.max(0), dashed=True)
    return lines(found, title, "share of the picture", "how much of it is left", x_form="{:.0%}".format)


def _table(every: list[Shown]) -> Table:
    rows: list[tuple[Any, ...]] = []
    for one, number, place in every:
        trial, head = place.trial, (one.name, f"{number} {place.label}", "missed" if place.missed else place.score)
        where = (place.pointing.heat, place.pointing.area)
        if trial is None:
            rows.append((*head, "not tested", *where, None, None, None, None))
            continue
        (shown, hidden), (random_shown, random_hidden) = trial.areas, trial.random_areas
        rows.append(
            (
                *head,
                _SHORT[trial.verdict],
                *where,
                f"{shown:.2f} ({random_shown:.2f})",
                f"{hidden:.2f} ({random_hidden:.2f})",
                f"{trial.beaten} of {len(trial.random_insertion)}",
                trial.likeness,
            )
        )
    columns = ("picture", "thing", "score", "verdict", "heat in it", "its area", "insertion", "deletion",
               "orders beaten", "shuffled weights")  # fmt: skip
    note = (
        "Insertion and deletion: area under what is left of the answer while places are shown or hidden, that of random"
        " orders in brackets; high insertion and low deletion are good. Shuffled weights: rank correlation with the map"
        " of a model that has learned nothing; near 0 is good."
    )
    return Table("Tests of the maps", columns, tuple(rows), note)
