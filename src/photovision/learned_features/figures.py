"""Legends: the figures of an atlas with the sentences below them.

Every sentence says what excites a unit, never what the unit means: that is for the reader to judge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.drawing import percent
from photovision.core.preprocess import Preprocess
from photovision.core.report import Figure, Metric
from photovision.core.types import Floats, Image
from photovision.data.augment.image import load_pixels
from photovision.learned_features.activations import UnitStatistics
from photovision.learned_features.tiles import (
    CELL,
    LARGE,
    FieldBox,
    enlarged,
    field_box,
    filter_tiles,
    map_tiles,
    patch,
)
from photovision.models.activations import NetworkStage, ReceptiveField
from photovision.trust.class_selectivity import STRONGEST, Activity, preferred
from photovision.trust.metrics.statistics import proportion

SHOWN = 8
"""Small pictures beside each large one."""
_WHOLE = 0.9
_KINDS = (
    (
        0.1,
        "corners and fine grain",
        "Look for corners, line ends, thin stripes and the fine grain of surfaces. Each unit combines edges and colours"
        " of the stage before, and still sees only a speck of the picture.",
    ),
    (
        0.35,
        "textures and patterns",
        "Look for textures: stripes, meshes, dots and curves that fill the whole optimised picture. A unit sees enough"
        " to tell surfaces apart, but not where on a thing it looks.",
    ),
    (
        0.75,
        "patterns and parts",
        "Look for parts of things and for patterns that recur in different pictures: ask what the patches of one unit"
        " share. Units may begin to prefer some classes to others.",
    ),
    (
        float("inf"),
        "parts and whole things",
        "Look for whole things and their surroundings: a unit sees most of the picture. Units often go with one class"
        " or a few, and the answer is a weighted sum of them.",
    ),
)
_FIRST = (
    "edges and colours",
    "Look for edges of one direction and for plain colours: more does not fit into so small a window. First stages"
    " usually look alike, whatever the network has learned later.",
)


@dataclass(frozen=True, eq=False)
class Plate:
    """What the report shows of one stage.

    Attributes:
        number, of: its place among all stages, from 1, and how many there are.
        stage, field: the layer, and how far its units see.
        activity: what the pictures did to its units.
        units: the chosen ones.
        scores: float32 (U,), how telling each of them is.
        pictures: uint8 (U, h, w, 3), made to excite them.
        reached: float32 (U,), the peaks of these pictures.
        steps: of the optimisation.
        cut: whether there was no time for all of them.
    """

    number: int
    of: int
    stage: NetworkStage
    field: ReceptiveField
    activity: Activity
    units: list[int]
    scores: Floats
    pictures: Image
    reached: Floats
    steps: int
    cut: bool = False

    def times(self, row: int) -> float:
        """How far the made picture raises a unit above its rest, in multiples of what the strongest picture does."""
        unit = self.units[row]
        return float((self.reached[row] - self.activity.rest[unit]) / self.activity.gain[unit])

    def exciting(self, row: int) -> Metric:
        """The share of pictures that raise a unit at least half as far as the strongest one."""
        n = len(self.activity.peaks)
        return Metric(*proportion(self.activity.exciting(self.units[row]), n), n)


def stage_title(plate: Plate, size: tuple[int, int]) -> str:
    """A stage's heading, such as "Stage 3: textures and patterns", by how much of the picture its units see."""
    return f"Stage {plate.number}: {_kind(plate, size)[0]}"


def _kind(plate: Plate, size: tuple[int, int]) -> tuple[str, str]:
    if plate.number == 1:
        return _FIRST
    # Transformers see everything from the first; then the depth says more than the window.
    share = min(plate.field.most / min(size), (plate.number - 1) / max(1, plate.of - 1))
    return next((name, words) for limit, name, words in _KINDS if share < limit)


def stage_figures(plate: Plate, seen: UnitStatistics, preprocess: Preprocess) -> list[Figure]:
    """The opening words of a stage and one figure for each of its units."""
    title = stage_title(plate, preprocess.size)
    figures = [Figure(title, note=_kind(plate, preprocess.size)[1]), Figure(title, note=_facts(plate, preprocess.size))]
    for row, unit in enumerate(plate.units):
        large = (enlarged(plate.pictures[row], LARGE), f"picture made to excite unit {unit}")
        small = _strongest(plate, unit, seen, preprocess) if seen.samples else []
        figures.append(Figure(title, pictures=(large, *small), note=_unit_note(plate, row, seen), lead=True))
    return figures


def _facts(plate: Plate, size: tuple[int, int]) -> str:
    (height, width), silent = plate.stage.places, int((~plate.activity.alive).sum())
    window = (
        "a unit sees the whole picture"
        if plate.field.reach >= max(size)
        else f"a unit sees a square of {plate.field.reach} pixels"
    )
    if plate.field.most < plate.field.reach:
        window += f", and nine tenths of its influence come from {plate.field.most} pixels around its place"
    return (
        f"Layer {plate.stage.name}: {height} × {width} places, {plate.stage.channels:,} units; {window}."
        + (f" {silent:,} of its units stayed silent on all pictures." if silent else "")
        + f" {plate.steps} steps of optimisation a picture."
    )


def _strongest(plate: Plate, unit: int, seen: UnitStatistics, preprocess: Preprocess) -> list[tuple[bytes, str]]:
    """Patches with the pictures they come from; where a unit sees nearly everything, only the pictures."""
    whole = plate.field.most >= _WHOLE * min(preprocess.size)
    patches, pictures = [], []
    for position in plate.activity.strongest(unit)[: SHOWN if whole else SHOWN // 2]:
        sample, place = seen.samples[position], seen.responses[plate.stage.name].places[position, unit]
        pixels = load_pixels(sample, preprocess)
        box = field_box(preprocess.size, plate.stage.places, (int(place[0]), int(place[1])), plate.field.most)
        named = " and ".join(seen.names[c] for c in np.flatnonzero(seen.membership[position])) or "no class"
        pictures.append((enlarged(pixels, CELL, None if whole else _visible(box, preprocess)), f"{named}, {sample.id}"))
        if not whole:
            patches.append((patch(pixels, box), f"patch of {named}, {sample.id}"))
    return patches + pictures


def _visible(box: FieldBox, preprocess: Preprocess) -> FieldBox:
    """The box, grown where it would be too small to be seen in a small picture."""
    height, width = preprocess.size
    side = max(box.side, round(0.12 * max(height, width)))
    top, left = (round(corner + box.side / 2 - side / 2) for corner in (box.top, box.left))
    return FieldBox(max(0, min(top, height - side)), max(0, min(left, width - side)), side)


def _unit_note(plate: Plate, row: int, seen: UnitStatistics) -> str:
    unit, times = plate.units[row], plate.times(row)
    if not seen.samples:
        return f"Unit {unit}"
    share = percent(plate.exciting(row).value)
    return (
        f"Unit {unit}: {preference(plate, row, seen)}\n"
        f"Excited by {share} of the pictures, and by the made one {times:.1f} times as far as by the strongest."
    )


def preference(plate: Plate, row: int, seen: UnitStatistics) -> str:
    """The classes that excite a unit more than chance explains, or that none does, in words."""
    classes = preferred(plate.activity, plate.units[row], seen.membership)
    certain = [f"{seen.names[c]} ({count} of {STRONGEST})" for c, count, certain in classes if certain]
    if certain:
        return "excited most by " + ", ".join(certain)
    several = [f"{seen.names[c]} {count}" for c, count, _ in classes[:3] if count > 1]
    if not several:
        return f"{len(classes)} classes among its {STRONGEST} strongest pictures"
    return f"mixed classes ({', '.join(several)} of {STRONGEST})"


def class_figures(
    classes: Sequence[int],
    made: Image,
    probs: Floats,
    predicted: np.ndarray,
    seen: UnitStatistics,
    preprocess: Preprocess,
    names: Sequence[str],
) -> list[Figure]:
    """For each class the picture made for it and the most confident real ones.

    Args:
        classes: K positions among the model's classes.
        made: uint8 (K, H, W, 3).
        probs: float32 (K, C), what the model says of them.
        predicted: bool (N, C), what it answers to the real pictures.
        seen, preprocess: as above.
        names: the model's C classes.
    """
    title = "Classes: what the answers look like"
    figures = [
        Figure(
            title,
            note="Above the last stage each class weighs all units of it. Large: a picture made to raise one of"
            " them; it shows what raises that answer, which need not be what the class looks like."
            + (" Small: the real pictures with that answer of which the model is surest." if seen.samples else ""),
        )
    ]
    for row, c in enumerate(classes):
        pictures = [(enlarged(made[row], LARGE), f"picture made for {names[c]}")]
        note = f"{names[c]}\nThe picture made for it is called {names[c]} with {probs[row, c] * 100:.0f}%."
        if seen.samples:
            best = np.argsort(-seen.probs[:, c], kind="stable")[: min(SHOWN, predicted[:, c].sum())]
            pictures += [
                (enlarged(load_pixels(seen.samples[i], preprocess), CELL), f"{seen.samples[i].id}, called {names[c]}")
                for i in best
            ]
            note += _truly(best, seen.probs[best, c], names[c], seen)
        figures.append(Figure(title, pictures=tuple(pictures), note=note, lead=True))
    return figures


def _truly(positions: np.ndarray, probs: Floats, name: str, seen: UnitStatistics) -> str:
    if not len(positions):
        return " No real picture here is called so."
    high, low = (f"{bound * 100:.0f}" for bound in (probs.max(), probs.min()))
    words = f" Real ones: {high}%" if high == low else f" Real ones: {high} to {low}%"
    if not seen.labelled or name not in seen.names:
        return f"{words}."
    true = int(seen.membership[positions, seen.names.index(name)].sum())
    return f"{words}, {true} of {len(positions)} labelled so."


def journey(pixels: Image, answer: str, plates: Sequence[Plate], stacks: Sequence[Floats]) -> Figure:
    """One picture on its way through the network: its feature maps at every stage.

    Args:
        pixels: uint8 (H, W, 3), as the network sees it.
        answer: what the model says of it in the end, with its confidence.
        plates: the stages.
        stacks: their feature maps for the picture, float32 (C, h, w).
    """
    height, width = pixels.shape[:2]
    pictures = [(enlarged(pixels, LARGE), f"The picture\n{height} × {width} pixels, 3 colours")]
    for plate, maps in zip(plates, stacks, strict=True):
        tall, wide = plate.stage.places
        shown = min(9, len(maps))
        caption = f"Stage {plate.number}\n{tall} × {wide} places\n{shown} of {len(maps):,} maps"
        pictures.append((map_tiles(maps), caption))
    return Figure(
        "One picture on its way through the network",
        pictures=tuple(pictures),
        note="Each tile is the answer of one unit at every place of the picture: bright where it is excited. On the way"
        " places become fewer and units more: where things are is given up for what they are. In the end the model"
        f" answers {answer}.",
        first=True,
    )


def filters_figure(title: str, weights: Floats, grey: bool) -> Figure:
    """The first layer's filters as pictures: float32 (C, 3, k, k)."""
    count, side = len(weights), weights.shape[2]
    if grey:  # a grey picture shows the same to all three
        weights = np.repeat(weights.sum(1, keepdims=True), 3, axis=1)
    some = f"The {count} filters" if count <= 64 else f"The 64 strongest of {count} filters"
    note = (
        f"{some} of the first layer, {side} × {side} pixels each\nThe only part of the network that can be read off its"
        " weights: each filter is excited by what looks like it."
    )
    return Figure(title, pictures=((filter_tiles(weights), "filters of the first layer"),), note=note, lead=True)
