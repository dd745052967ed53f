"""Explain what is where: the places that a box, or the class of a region, rests on, and whether to believe it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.image import to_array
from photovision.core.inputs import Given, Source, as_source, as_sources, name_of
from photovision.core.overlap import overlap
from photovision.core.preprocess import Box
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Bools, Detections, Segmentation
from photovision.core.report import Report
from photovision.core.shapes import Rle
from photovision.core.types import Attribution, Floats, Image
from photovision.data.dataset import Dataset
from photovision.engine.load import opened
from photovision.runtime.bundle import Bundle
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.explain import AIM_EXPLAINERS
from photovision.trust.explain.faithfulness import FaithfulnessTest, correlation, trials
from photovision.trust.explain.pointing_game import PointingGame, pointing
from photovision.trust.explain.target import (
    BoxTarget,
    ExplanationTarget,
    RegionTarget,
    TargetExplainer,
    TargetHeatmap,
    Viewer,
)

Places = Detector | Segmenter
"""A model that tells what is where."""

AUTO, DEFAULT = "auto", "drise"
MOST = 200
"""Pictures that one report explains at most: a page of more is read by nobody."""
BOXES = 3
"""Boxes or regions of a picture that are explained unless more are asked for."""
SIDE = 480
"""Longer side in pixels of the pictures that are kept to be shown."""
_SAME = 0.5


@dataclass(frozen=True, eq=False)
class ExplainedRegion:
    """One box or region, and why the model says that it is there.

    Attributes:
        label, score: class and probability; of what was missed, how much of it the model sees nevertheless.
        box: float32 (4,), x1, y1, x2, y2 in pixels of the upright picture.
        missed: whether it is in the truth only.
        window: (left, top, right, bottom) in pixels of the picture: what the network saw, and the map lies over.
        shown: uint8 RGB (h, w, 3), that part of the picture, at most SIDE pixels long.
        inside: bool (H, W), its pixels among those that the network sees.
        map: the heatmap, over the pixels that the network sees.
        pointing: share of the heat that lies in it.
        trial: how the map stood its test; None where no test was asked for.
    """

    label: str
    score: float
    box: Floats
    missed: bool
    window: Box
    shown: Image
    inside: Bools
    map: Attribution
    pointing: PointingGame
    trial: FaithfulnessTest | None


@dataclass(frozen=True, eq=False)
class ExplainedRegions:
    """One picture with the boxes or regions that were explained.

    Attributes:
        name: path of the file, or "picture" for an array.
        size: (H, W) of the upright picture in pixels.
        upright: uint8 RGB, the whole picture, at most SIDE pixels long.
        found: everything that the model says is there.
        places: the explained ones, most probable first, then those that were missed.
    """

    name: str
    size: tuple[int, int]
    upright: Image
    found: Detections
    places: tuple[ExplainedRegion, ...]


@dataclass(eq=False)
class RegionExplanations:
    """What `explain_found` tells in its report.

    Attributes:
        method: name of the explainer.
        pictures: the readable ones, in order.
        unreadable: messages about the others.
    """

    method: str
    pictures: list[ExplainedRegions] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def explain_boxes(
    model: Places,
    picture: Given,
    *,
    boxes: int | Sequence[int] = BOXES,
    target: str | None = None,
    truth: Detections | None = None,
    method: str = AUTO,
    tests: bool = True,
    seed: int = 0,
) -> ExplainedRegions:
    """Why a detector says that something is there, or a segmenter that a region is of a class.

    Args:
        model: a detector or a segmenter; one that tells no objects apart is explained class by class.
        picture: as `photovision.core.inputs.as_source` takes it.
        boxes: how many, the most probable ones; or positions in the model's answer, from 0.
        target: only boxes of this class.
        truth: what is there; of a detector the objects that it missed are explained, too, as many as `boxes` are.
        method: a name from `AIM_EXPLAINERS.names()`; "auto" is D-RISE, which needs no torch.
        tests: whether each map is tested; one without its test should not be believed.
        seed: of the random orders and shuffled weights of the tests.

    Raises:
        UnreadableImage: the picture cannot be decoded.
        UsageError: no method, class or position of that name or number, or a method that cannot explain such a model.
        ModelError: the bundle lacks what the method needs.
    """
    model = opened(model, "explain_boxes")
    explainer = _explainer(model, method)
    if target is not None and target not in model.classes:
        raise UsageError(f"the model knows no class '{target}': it knows {', '.join(model.classes[:8])}")
    source = as_source(picture)
    whole, name = model.preprocess.decode(source), name_of(source) or "picture"
    size = whole.height, whole.width
    found = _found(model, to_array(whole))
    rows = _chosen(found, boxes, target)
    wanted = [(found, row, False) for row in rows]
    if truth is not None and isinstance(model, Detector):
        missed = _missed(model, found, truth)
        of = [row for row in range(len(missed)) if target in (None, missed.names[row])]
        wanted += [(missed, row, True) for row in of[: boxes if isinstance(boxes, int) else BOXES]]
    places = list(_places(model, explainer, whole, wanted, tests, seed))
    return ExplainedRegions(name, size, _shown(whole), found, tuple(places))


def explain_found(
    model: Places,
    pictures: Given | Iterable[Given],
    *,
    boxes: int = BOXES,
    target: str | None = None,
    data: Dataset | None = None,
    method: str = AUTO,
    tests: bool = True,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Report:
    """`explain_boxes` for up to 200 pictures, as a report of kind "explain"; its JSON holds 14 x 14 heatmaps.

    Args:
        model, target, method, tests, seed: as for `explain_boxes`.
        pictures: as for `explain`; unreadable ones are named and left out.
        boxes: how many of each picture.
        data: labelled pictures: where one of `pictures` is among them, what was missed is explained, too.
        progress: called with (pictures done, N).

    Raises:
        DataError: no picture, or none that could be read.
        UsageError, ModelError: as for `explain_boxes`.
    """
    from photovision.tasks import explain_boxes_story

    sources = chosen_pictures(pictures)
    known = {} if data is None else truths(data)
    _check_data(model, sources, data, known)
    found = RegionExplanations(_explainer(model, method).name)
    for number, source in enumerate(sources):
        file = name_of(source)
        truth = None if file is None else known.get(Path(file).resolve())
        try:
            one = explain_boxes(
                model, source, boxes=boxes, target=target, truth=truth, method=method, tests=tests, seed=seed
            )
            found.pictures.append(one if file else replace(one, name=f"picture {number + 1}"))
        except UnreadableImage as error:
            found.unreadable.append(str(error))
        if progress:
            progress(number + 1, len(sources))
    if not found.pictures:
        raise DataError(f"none of the {len(sources):,} pictures could be read ({found.unreadable[0]}): check the files")
    return explain_boxes_story.report(model, found)


def chosen_pictures(pictures: Given | Iterable[Given]) -> list[Source | UnreadableImage]:
    """The pictures of one report; raises DataError where there are none or too many, UsageError as `as_sources`."""
    sources = list(islice(as_sources(pictures)[0], MOST + 1))
    if not 0 < len(sources) <= MOST:
        got = f"more than {MOST}" if sources else "none"
        raise DataError(f"expected 1 to {MOST} pictures to explain, got {got}: choose some of them")
    return sources


def _check_data(
    model: Places, sources: Iterable[Source | UnreadableImage], data: Dataset | None, known: Mapping[Path, Detections]
) -> None:
    """Raise UsageError where labelled pictures are given that tell nothing about those to explain."""
    if data is None:
        return
    if not isinstance(model, Detector):
        raise UsageError("labelled pictures show what a detector missed: leave the data out for a segmenter")
    files = [file for file in map(name_of, sources) if file is not None]
    if not any(Path(file).resolve() in known for file in files):
        raise UsageError("none of the pictures to explain is a file with boxes in the data: leave the data out")


def truths(data: Dataset) -> dict[Path, Detections]:
    """File -> what is there, of the pictures of a data set with boxes."""
    return {
        sample.image.resolve(): sample.annotations
        for sample in data.samples
        if isinstance(sample.image, Path) and isinstance(sample.annotations, Detections)
    }


def _explainer(model: Places, method: str) -> TargetExplainer:
    explainer: TargetExplainer = AIM_EXPLAINERS.load(DEFAULT if method == AUTO else method)
    if model.bundle.task not in explainer.tasks:
        raise UsageError(f"{explainer.name} does not explain a {type(model).__name__.lower()}: choose {DEFAULT}")
    return explainer


def _found(model: Places, image: Image) -> Detections:
    """What the model says is there: boxes, objects with masks, or the region of every class but the background."""
    if isinstance(model, Detector):
        found = model.predict(image)
        assert isinstance(found, Detections)
        return found
    scene = model.predict(image)
    assert isinstance(scene, Segmentation)
    if scene.objects is not None:
        scores = scene.objects.scores
        assert scores is not None
        return _taken(scene.objects, np.argsort(-scores, kind="stable"))
    labels = scene.labels
    areas = np.bincount(labels.ravel(), minlength=len(model.classes))
    there = [c for c in np.argsort(-areas, kind="stable").tolist() if areas[c] and model.classes[c] != "background"]
    masks = tuple(Rle.of(labels == label) for label in there)
    boxes = np.array([mask.box for mask in masks], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array(there, np.int64), model.classes, masks=masks)


def _taken(found: Detections, rows: np.ndarray) -> Detections:
    masks = None if found.masks is None else tuple(found.masks[int(row)] for row in rows)
    scores = None if found.scores is None else found.scores[rows]
    return Detections(found.boxes[rows], found.labels[rows], found.classes, scores, masks)


def _chosen(found: Detections, boxes: int | Sequence[int], target: str | None) -> list[int]:
    if isinstance(boxes, int):
        if boxes < 1:
            raise UsageError(f"boxes should be 1 or more, got {boxes}")
        return [row for row in range(len(found)) if target in (None, found.names[row])][:boxes]
    for row in boxes:
        if not 0 <= row < len(found):
            raise UsageError(f"the picture has {len(found)} boxes, from 0 on: there is no box {row}")
    return list(boxes)


def _missed(model: Detector, found: Detections, truth: Detections) -> Detections:
    """The objects of the truth, crowds left out, of which no box of their class tells; in the model's classes."""
    shares = overlap(truth.boxes, found.boxes)
    rows, labels = [], []
    for row, name in enumerate(truth.names):
        same = np.array([other == name for other in found.names], dtype=bool)
        crowd = truth.crowd is not None and bool(truth.crowd[row])
        if name in model.classes and not crowd and shares[row][same].max(initial=0) < _SAME:
            rows.append(row)
            labels.append(model.classes.index(name))
    return Detections(truth.boxes[rows].reshape(-1, 4), np.array(labels, np.int64), model.classes)


def _places(
    model: Places,
    explainer: TargetExplainer,
    whole: Pillow.Image,
    wanted: Sequence[tuple[Detections, int, bool]],
    tests: bool,
    seed: int,
) -> list[ExplainedRegion]:
    """Explain answers that the network gives of the same part of the picture together."""
    windows = [_window(model, whole, found.boxes[row]) for found, row, _ in wanted]
    done: list[ExplainedRegion] = []
    for window in dict.fromkeys(windows):
        own = [one for one, where in zip(wanted, windows, strict=True) if where == window]
        seen = model.preprocess.resize(whole, window)
        aims = [_aim(model, found, row, window, whole) for found, row, _ in own]
        heat, tested = _maps(_viewer(model.bundle, *_choices(model)), explainer, seen, aims, tests, seed)
        scores = _viewer(model.bundle, *_choices(model)).scores(seen[None], aims)[0]
        shown = _shown(whole.crop(tuple(round(side) for side in window)))  # type: ignore[arg-type]
        for number, (found, row, missed) in enumerate(own):
            score = float(scores[number]) if found.scores is None else float(found.scores[row])
            name, inside = found.names[row], aims[number].inside(model.preprocess.size)
            drawn = Attribution(heat[number], name, explainer.name)
            where = pointing(heat[number], inside)
            box = found.boxes[row]
            done.append(ExplainedRegion(name, score, box, missed, window, shown, inside, drawn, where, tested[number]))
    return done


def _maps(
    viewer: Viewer, explainer: TargetExplainer, seen: Image, aims: list[ExplanationTarget], tests: bool, seed: int
) -> tuple[Floats, list[FaithfulnessTest | None]]:
    """The maps float32 (A, H, W), and their trials."""
    heat = np.nan_to_num(explainer.heatmaps(viewer, seen, aims), posinf=0, neginf=0)
    if not tests:
        return heat, [None] * len(aims)
    alike = correlation(heat, [explainer.heatmaps(_twin(viewer, seed + 1), seen, aims)])
    tested = trials(TargetHeatmap(viewer, aims), seen, range(len(aims)), heat, alike=alike.tolist(), seed=seed)
    return heat, list(tested)


def _choices(model: Places) -> tuple[str, str]:
    return model.session.engine, model.session.precision


@lru_cache(maxsize=1)
def _viewer(bundle: Bundle, engine: str, precision: str) -> Viewer:
    return Viewer(bundle, engine, precision)


@lru_cache(maxsize=1)
def _twin(viewer: Viewer, seed: int) -> Viewer:
    return viewer.shuffled(seed)


def _window(model: Places, whole: Pillow.Image, box: Floats) -> Box:
    """What the network sees of the picture: what its preprocessing shows, or a tile with the region in its middle."""
    if isinstance(model, Detector):
        return model.preprocess.window(*whole.size)
    if model.tile is None or (model.tile[0] >= whole.height and model.tile[1] >= whole.width):
        return 0.0, 0.0, float(whole.width), float(whole.height)
    wide, high = min(model.tile[1], whole.width), min(model.tile[0], whole.height)
    left = float(np.clip(round((box[0] + box[2] - wide) / 2), 0, whole.width - wide))
    top = float(np.clip(round((box[1] + box[3] - high) / 2), 0, whole.height - high))
    return left, top, left + wide, top + high


def _aim(model: Places, found: Detections, row: int, window: Box, whole: Pillow.Image) -> ExplanationTarget:
    """The answer in pixels of the network's input."""
    size, (left, top, right, bottom) = model.preprocess.size, window
    label = model.classes.index(found.names[row])
    if isinstance(model, Detector):
        across, down = size[1] / (right - left), size[0] / (bottom - top)
        box = (found.boxes[row] - (left, top, left, top)) * (across, down, across, down)
        return BoxTarget(box.astype(np.float32), label)
    mask = found.masks[row] if found.masks is not None else None
    assert mask is not None
    bits = Pillow.fromarray(mask.bitmap((whole.height, whole.width)).astype(np.float32))
    part = np.asarray(bits.resize(size[::-1], Pillow.Resampling.BILINEAR, box=window))
    return RegionTarget(part >= min(0.5, float(part.max())), label)


def _shown(picture: Pillow.Image) -> Image:
    scale = min(1.0, SIDE / max(picture.size))
    size = max(1, round(scale * picture.width)), max(1, round(scale * picture.height))
    return to_array(picture.resize(size, Pillow.Resampling.LANCZOS))
