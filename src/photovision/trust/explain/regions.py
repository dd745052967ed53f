"""Boxes and regions explained: the places that a box, or the class of a region, rests on, and whether to rely on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UsageError
from photovision.core.image import to_array
from photovision.core.inputs import Source
from photovision.core.overlap import overlap
from photovision.core.regions import Bools, Detections
from photovision.core.report import Report
from photovision.core.types import Attribution, Floats, Image
from photovision.core.window import Window
from photovision.data.dataset import Dataset
from photovision.runtime.bundle import Bundle
from photovision.trust.explain import TARGET_EXPLAINERS
from photovision.trust.explain.faithfulness import FaithfulnessTest, correlation, trials
from photovision.trust.explain.pointing_game import PointingGame, pointing
from photovision.trust.explain.request import AUTO, ExplainRequest
from photovision.trust.explain.target import ExplanationTarget, TargetExplainer, TargetHeatmap, TargetScorer

DEFAULT = "drise"
BOXES = 3
"""Boxes or regions of an image that are explained unless more are asked for."""
SIDE = 480
"""Longer side in pixels of the images that are kept to be shown."""
_SAME = 0.5


@dataclass(frozen=True, eq=False)
class ExplainedRegion:
    """One box or region, and why the model predicts it.

    Attributes:
        label, score: class and probability; of what was missed, how much of it the model sees nevertheless.
        box: float32 (4,), x1, y1, x2, y2 in pixels of the upright image.
        missed: whether it is in the ground truth only.
        window: (left, top, right, bottom) in pixels of the image: what the network saw, and the map lies over.
        shown: uint8 RGB (h, w, 3), that part of the image, at most SIDE pixels long.
        inside: bool (H, W), its pixels among those that the network sees.
        map: the heatmap, over the pixels that the network sees.
        pointing: share of the heat that lies in it.
        trial: how the map stood its test; None where no test was asked for.
    """

    label: str
    score: float
    box: Floats
    missed: bool
    window: Window
    shown: Image
    inside: Bools
    map: Attribution
    pointing: PointingGame
    trial: FaithfulnessTest | None


@dataclass(frozen=True, eq=False)
class ExplainedRegions:
    """One image with the boxes or regions that were explained.

    Attributes:
        name: path of the file, or what the image is called.
        size: (H, W) of the upright image in pixels.
        upright: uint8 RGB, the whole image, at most SIDE pixels long.
        found: everything that the model predicts.
        places: the explained ones, most probable first, then those that were missed.
    """

    name: str
    size: tuple[int, int]
    upright: Image
    found: Detections
    places: tuple[ExplainedRegion, ...]

    @property
    def maps(self) -> tuple[Attribution, ...]:
        """The heatmap of every explained one."""
        return tuple(place.map for place in self.places)


@dataclass(frozen=True)
class RegionModel:
    """A model that predicts boxes or regions, as explaining them needs it.

    Attributes:
        model: the opened model.
        kind: of its targets, "box" or "region".
        nouns: what people call one of them, and many.
        predict: from an upright uint8 RGB image to all that is found in it, most probable first.
        window: from (H, W) of an image and a box (4,) to the part of the image (left, top, right, bottom) that the
            network sees when it predicts that box.
        target: from predictions, a row of them, the window and (H, W) of the image to what is explained.
    """

    model: Any
    kind: str
    nouns: tuple[str, str]
    predict: Callable[[Image], Detections]
    window: Callable[[tuple[int, int], Floats], Window]
    target: Callable[[Detections, int, Window, tuple[int, int]], ExplanationTarget]

    @property
    def scorer(self) -> TargetScorer:
        """The model as explainers take it."""
        return _scorer(self.model.bundle, self.model.session.engine, self.model.session.precision)


class RegionExplainer:
    """Explains boxes or regions of images, an `ImageExplainer`.

    Args:
        regions: the model.
        request: what is to be explained; `truth` and `data` show what was missed.

    Raises:
        UsageError: not one method, none of that name, or one that cannot explain such a model; an unknown class; data
            that holds none of the images.
    """

    def __init__(self, regions: RegionModel, request: ExplainRequest) -> None:
        self.regions, self.request = regions, request
        if len(request.methods) != 1:
            count = len(request.methods)
            raise UsageError(f"boxes and regions are explained by one method at a time, got {count}: choose one")
        self.explainer = _explainer(regions, request.methods[0])
        request.class_index(regions.model.classes)
        self._truths = {} if request.data is None else truths(request.data)
        files = [Path(file).resolve() for file in request.files if file]
        if request.data is not None and not any(file in self._truths for file in files):
            raise UsageError("none of the pictures to explain is a file with boxes in the data: leave the data out")

    def explain(self, source: Source, name: str) -> ExplainedRegions:
        """Explain the boxes or regions of one image.

        Raises:
            UnreadableImage: it cannot be decoded.
            UsageError: a position that the prediction does not have.
            ModelError: the bundle lacks what the method needs.
        """
        regions, request = self.regions, self.request
        whole = regions.model.preprocess.decode(source)
        found = regions.predict(to_array(whole))
        boxes = BOXES if request.boxes is None else request.boxes
        wanted = [(found, row, False) for row in _chosen(found, boxes, request.target)]
        truth = request.truth or self._truths.get(Path(name).resolve())
        if truth is not None:
            missed = _missed(regions.model.classes, found, truth)
            of = [row for row in range(len(missed)) if request.target in (None, missed.names[row])]
            wanted += [(missed, row, True) for row in of[: boxes if isinstance(boxes, int) else BOXES]]
        places = self._places(whole, wanted)
        return ExplainedRegions(name, (whole.height, whole.width), _shown(whole), found, tuple(places))

    def report(self, images: Sequence[ExplainedRegions], unreadable: Sequence[str]) -> Report:
        """The report of kind "explain"."""
        from photovision.trust.explain.regions_text import report

        return report(self.regions, self.explainer, images, unreadable)

    def _places(self, whole: Pillow.Image, wanted: Sequence[tuple[Detections, int, bool]]) -> list[ExplainedRegion]:
        """Explain predictions that the network gives on the same part of the image together."""
        regions, size = self.regions, (whole.height, whole.width)
        preprocess, scorer = regions.model.preprocess, regions.scorer
        windows = [regions.window(size, found.boxes[row]) for found, row, _ in wanted]
        done: list[ExplainedRegion] = []
        for window in dict.fromkeys(windows):
            own = [one for one, where in zip(wanted, windows, strict=True) if where == window]
            seen = preprocess.resize(whole, window)
            targets = [regions.target(found, row, window, size) for found, row, _ in own]
            heat, tested = self._maps(seen, targets)
            scores = scorer.scores(seen[None], targets)[0]
            shown = _shown(whole.crop(tuple(round(side) for side in window)))  # type: ignore[arg-type]
            for number, (found, row, missed) in enumerate(own):
                score = float(scores[number]) if found.scores is None else float(found.scores[row])
                name, inside = found.names[row], targets[number].inside(preprocess.size)
                drawn = Attribution(heat[number], name, self.explainer.name)
                where, box = pointing(heat[number], inside), found.boxes[row]
                trial = tested[number]
                done.append(ExplainedRegion(name, score, box, missed, window, shown, inside, drawn, where, trial))
        return done

    def _maps(self, seen: Image, targets: list[ExplanationTarget]) -> tuple[Floats, list[FaithfulnessTest | None]]:
        """The maps float32 (A, H, W), and their tests."""
        scorer, explainer, seed = self.regions.scorer, self.explainer, self.request.seed
        heat = np.nan_to_num(explainer.heatmaps(scorer, seen, targets), posinf=0, neginf=0)
        if not self.request.tests or scorer.bundle.runner is not None:  # no weights to shuffle
            return heat, [None] * len(targets)
        alike = correlation(heat, [explainer.heatmaps(_twin(scorer, seed + 1), seen, targets)])
        of = TargetHeatmap(scorer, targets)
        return heat, list(trials(of, seen, range(len(targets)), heat, alike=alike.tolist(), seed=seed))


def truths(data: Dataset) -> Mapping[Path, Detections]:
    """File -> what is there, of the images of a dataset with boxes."""
    return {
        sample.image.resolve(): sample.annotations
        for sample in data.samples
        if isinstance(sample.image, Path) and isinstance(sample.annotations, Detections)
    }


def _explainer(regions: RegionModel, method: str) -> TargetExplainer:
    explainer: TargetExplainer = TARGET_EXPLAINERS.load(DEFAULT if method == AUTO else method)
    if regions.kind not in explainer.kinds:
        a_model = regions.model.bundle.row.text.a_noun
        raise UsageError(f"{explainer.name} does not explain {a_model}: choose {DEFAULT}")
    return explainer


def _chosen(found: Detections, boxes: int | Sequence[int], target: str | None) -> list[int]:
    if isinstance(boxes, int):
        if boxes < 1:
            raise UsageError(f"boxes should be 1 or more, got {boxes}")
        return [row for row in range(len(found)) if target in (None, found.names[row])][:boxes]
    for row in boxes:
        if not 0 <= row < len(found):
            raise UsageError(f"the picture has {len(found)} boxes, from 0 on: there is no box {row}")
    return list(boxes)


def _missed(classes: tuple[str, ...], found: Detections, truth: Detections) -> Detections:
    """The objects of the truth, crowds left out, on which no box of their class is; in the model's classes."""
    shares = overlap(truth.boxes, found.boxes)
    rows, labels = [], []
    for row, name in enumerate(truth.names):
        same = np.array([other == name for other in found.names], dtype=bool)
        crowd = truth.crowd is not None and bool(truth.crowd[row])
        if name in classes and not crowd and shares[row][same].max(initial=0) < _SAME:
            rows.append(row)
            labels.append(classes.index(name))
    return Detections(truth.boxes[rows].reshape(-1, 4), np.array(labels, np.int64), classes)


@lru_cache(maxsize=1)
def _scorer(bundle: Bundle, engine: str, precision: str) -> TargetScorer:
    return TargetScorer(bundle, engine, precision)


@lru_cache(maxsize=1)
def _twin(scorer: TargetScorer, seed: int) -> TargetScorer:
    return scorer.shuffled(seed)


def _shown(picture: Pillow.Image) -> Image:
    scale = min(1.0, SIDE / max(picture.size))
    size = max(1, round(scale * picture.width)), max(1, round(scale * picture.height))
    return to_array(picture.resize(size, Pillow.Resampling.LANCZOS))
