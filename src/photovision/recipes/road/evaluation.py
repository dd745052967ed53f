"""Looking at road scenes: what a detector or a segmenter finds in pictures as they are, and as bad weather makes them.

Weather is simulated by the project's corruptions (`photovision.data.corruptions`), at the size at which the model sees
the picture and with dice of its own for every picture, so that all severities show the same scene, only worse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.image import decode, to_array
from photovision.core.parallel import in_order
from photovision.core.regions import IGNORE, Detections, Regions, Segmentation
from photovision.core.types import UNKNOWN, Image, Sample
from photovision.core.window import to_view, whole
from photovision.data.corruptions import corrupt
from photovision.data.dataset import Dataset, Problem
from photovision.engine.load import load_predicting
from photovision.recipes.ratios import Ratios
from photovision.runtime.model import OnnxModel
from photovision.tasks.detect.evaluation import MAX_OBJECTS
from photovision.tasks.segment.evaluation import label_map
from photovision.trust.metrics.detection import Pair
from photovision.trust.metrics.matching import find_hits
from photovision.trust.metrics.segmentation import confusion_of
from photovision.video.tags import tags_of

ROAD = (
    *("person", "pedestrian", "rider", "bicycle", "car", "motorcycle", "bus", "train", "truck"),
    *("traffic light", "traffic sign", "stop sign"),
)
"""What matters on a road, as COCO, Cityscapes and BDD100K call it."""
ROOM = 2
"""Pictures are made so many times as large as the network's input before their weather is changed."""
Figures = Mapping[str, Ratios]
"""Name of a figure -> its parts and wholes, pictures by classes; "recall" and "precision", or "overlap"."""
Tick = Callable[[], None]


class Weather(NamedTuple):
    """A simulated condition: the name of a corruption, and its severity from 1 to 5."""

    name: str
    severity: int


@dataclass(frozen=True, eq=False)
class RoadScenes:
    """Pictures whose truth is known, of the classes that are judged.

    Attributes:
        model: what looks at them.
        samples: N pictures that can be read; their truth counts `classes`.
        classes: C names.
        problems: pictures that could not be read.
        seed: of the weather.
    """

    model: OnnxModel[Any]
    samples: tuple[Sample, ...]
    classes: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    seed: int = 0

    def picture(self, row: int, weather: Weather | None = None) -> tuple[Image, Regions]:
        """A picture at the size at which it is looked at, with its truth; raises UnreadableImage."""
        sample = self.samples[row]
        whole = self.model.preprocess.decode(sample.image)
        most = ROOM * max(self.model.preprocess.size)
        scale = min(1.0, most / max(whole.size)) if getattr(self.model, "tile", None) is None else 1.0
        old = whole.height, whole.width
        size = (max(1, round(whole.height * scale)), max(1, round(whole.width * scale)))
        image = to_array(whole if scale == 1 else whole.resize(size[::-1], Pillow.Resampling.BILINEAR, reducing_gap=2))
        truth = _pixels_of(sample, self.model.classes, old) if by_pixel(self.model) else sample.annotations
        assert truth is not None
        truth = truth if size == old else _scaled(truth, old, size)
        return (image if weather is None else corrupt(image, *weather, (self.seed, row))), truth

    def look(
        self, weather: Weather | None = None, rows: Sequence[int] | None = None, progress: Tick | None = None
    ) -> Figures:
        """What the model finds of the classes, in some pictures or in all."""
        judge = _pixels if by_pixel(self.model) else _boxes
        chosen = range(len(self.samples)) if rows is None else rows
        return judge(self, self._pictures(chosen, weather, progress))

    def answer(self, image: Image) -> Regions:
        """What the model shows of one picture, of the classes that are judged."""
        predicted: Any = self.model.predict(image)
        return _chosen(predicted, self.classes) if isinstance(predicted, Detections) else predicted

    def _pictures(
        self, rows: Sequence[int], weather: Weather | None, progress: Tick | None
    ) -> Iterator[tuple[Image, Regions]]:
        for _, found in in_order(rows, lambda row: self.picture(row, weather), ahead=6):
            if progress is not None:
                progress()
            yield found


def seeing(bundle: Path) -> OnnxModel[Any]:
    """A detector or a segmenter from its folder; raises ModelError where there is none."""
    model: OnnxModel[Any] = load_predicting(bundle, "boxes", "masks")
    return model


def by_pixel(model: OnnxModel[Any]) -> bool:
    """Whether a model predicts the class of every pixel, not boxes."""
    return model.bundle.row.annotation_type == "masks"


def tagged(tagger: Path, samples: Sequence[Sample]) -> dict[str, list[str]]:
    """Conditions from another model's tags: attribute -> one value a sample, "" where it does not know the scene.

    A model of one tag a picture gives the attribute "tag"; one of several gives an attribute, "yes" or "no", for each.

    Raises:
        ModelError: the folder holds no classifier.
    """
    model = load_predicting(tagger, "labels")
    found = tags_of(model, (sample.image for sample in samples))
    answers = [None if isinstance(tags, UnreadableImage) or UNKNOWN in tags else tags for tags in found]
    if not model.bundle.multilabel:
        return {"tag": ["" if tags is None else next(iter(tags)) for tags in answers]}
    return {
        name: ["" if tags is None else "yes" if name in tags else "no" for tags in answers] for name in model.classes
    }


def read_scenes(
    model: OnnxModel[Any], dataset: Dataset, classes: Sequence[str] | None = None, seed: int = 0
) -> RoadScenes:
    """The pictures that a model can be judged on, reduced to the classes that matter.

    Args:
        model: a detector, for pictures with boxes; a segmenter, for pictures with a class for every pixel or masks.
        dataset: such pictures.
        classes: names; None: those of ROAD that both know, for a segmenter that knows none of them all that both know.
        seed: of the weather.

    Raises:
        DataError: model and data have no such class in common, the data hold no objects of them, or no picture can be
            read.
        UsageError: a class is unknown to the model.
    """
    labelled = [sample for sample in dataset.samples if _is_labelled(model, sample.annotations)]
    used = {
        name for sample in labelled for name in (sample.annotations.classes if sample.annotations is not None else ())
    }
    names = _classes(model, used, classes)
    samples: list[Sample] = []
    problems: list[Problem] = []
    for sample, error in in_order(labelled, _unreadable):
        if error is not None:
            problems.append(Problem(sample.id, "unreadable", error))
            continue
        regions = sample.annotations
        if isinstance(regions, Detections) and len(regions) > MAX_OBJECTS:
            problems.append(Problem(sample.id, "too many objects", f"{sample.id} has {len(regions):,} objects"))
        elif not by_pixel(model) and isinstance(regions, Detections):
            samples.append(replace(sample, annotations=_chosen(regions, names)))
        else:
            samples.append(sample)
    if not samples:
        why = f" ({problems[0].message})" if problems else ": it needs pictures with boxes or masks"
        raise DataError(f"no picture of the data can be judged{why}")
    return RoadScenes(model, tuple(samples), names, tuple(problems), seed)


def _is_labelled(model: OnnxModel[Any], regions: Regions | None) -> bool:
    """Whether the truth of a picture is such as the model can be judged by."""
    if not by_pixel(model):
        return isinstance(regions, Detections)
    return isinstance(regions, Segmentation) or (isinstance(regions, Detections) and regions.masks is not None)


def _classes(model: OnnxModel[Any], used: set[str], asked: Sequence[str] | None) -> tuple[str, ...]:
    known = model.classes
    if asked:
        if strange := [name for name in asked if name not in known]:
            raise UsageError(f"the model does not know the class '{strange[0]}': it knows {', '.join(known[:20])}")
        return tuple(dict.fromkeys(asked))
    names = tuple(name for name in ROAD if name in known and name in used)
    if not names and by_pixel(model):
        names = tuple(name for name in known if name in used and name != "background")
    if not names:
        raise DataError(
            f"model and data have no class of roads in common ({', '.join(ROAD[:5])} ...): name some with --class"
        )
    return names


def _unreadable(sample: Sample) -> str | None:
    try:
        if isinstance(sample.image, Path):
            decode(sample.image, (64, 64))
    except UnreadableImage as error:
        return str(error)
    return None


def _chosen(regions: Detections, classes: tuple[str, ...]) -> Detections:
    """Objects of some classes, which they count."""
    number = {name: label for label, name in enumerate(classes)}
    rows = np.array([row for row, name in enumerate(regions.names) if name in number], dtype=np.intp)
    return Detections(
        regions.boxes[rows],
        np.array([number[regions.names[row]] for row in rows.tolist()], dtype=np.int64),
        classes,
        None if regions.scores is None else regions.scores[rows],
        crowd=None if regions.crowd is None else regions.crowd[rows],
    )


def _pixels_of(sample: Sample, classes: tuple[str, ...], size: tuple[int, int]) -> Segmentation:
    """The class of every pixel in the model's numbering; pixels of classes that it does not know are not judged."""
    regions = sample.annotations
    if isinstance(regions, Segmentation):
        table = np.full(IGNORE + 1, IGNORE, dtype=np.int32)
        table[: len(regions.classes)] = [classes.index(name) if name in classes else IGNORE for name in regions.classes]
        labels = table[regions.labels]
    else:
        labels, _ = label_map(sample, classes, size)
    if labels.shape != size:
        raise DataError(f"{sample.id}: its mask has {labels.shape} pixels (H, W), the picture {size}: make them fit")
    return Segmentation(labels, classes)


def _scaled(regions: Regions, size: tuple[int, int], new: tuple[int, int]) -> Regions:
    if isinstance(regions, Segmentation):
        small = Pillow.fromarray(regions.labels).resize(new[::-1], Pillow.Resampling.NEAREST)
        return Segmentation(np.asarray(small), regions.classes)
    return replace(regions, boxes=to_view(regions.boxes, whole(size), new).astype(np.float32))


def _boxes(scenes: RoadScenes, pictures: Iterator[tuple[Image, Regions]]) -> Figures:
    detector: Any = scenes.model  # detectors have thresholds
    truths: list[Regions] = []

    def images() -> Iterator[Image]:
        for image, truth in pictures:
            truths.append(truth)
            yield image

    found = [result.value for result in detector.results(images())]
    pairs = [
        Pair(truth, _chosen(answer, scenes.classes))
        for truth, answer in zip(truths, found, strict=True)
        if isinstance(truth, Detections) and answer is not None
    ]
    limits = np.array([detector.thresholds[detector.classes.index(name)] for name in scenes.classes], np.float32)
    hits = find_hits(pairs, scenes.classes)
    seen, shown = hits.seen(limits), hits.shown(limits)
    shape = (len(pairs), len(scenes.classes))
    right = _counted(hits.there.picture[seen], hits.there.labels[seen], shape)
    predicted = _counted(hits.found.picture[shown], hits.found.labels[shown], shape)
    return {"recall": Ratios(right, hits.objects.astype(np.float64)), "precision": Ratios(right, predicted)}


def _counted(pictures: np.ndarray, labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return np.bincount(pictures * shape[1] + labels, minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)


def _pixels(scenes: RoadScenes, pictures: Iterator[tuple[Image, Regions]]) -> Figures:
    segmenter = scenes.model
    columns = [segmenter.classes.index(name) for name in scenes.classes]
    parts, wholes = [], []
    for image, truth in pictures:
        assert isinstance(truth, Segmentation)
        predicted: Any = segmenter.predict(image)
        table = confusion_of(truth.labels, predicted.labels, len(segmenter.classes))
        shared = np.diag(table)
        parts.append(shared[columns])
        wholes.append((table.sum(0) + table.sum(1) - shared)[columns])
    return {"overlap": Ratios(np.array(parts, np.float64), np.array(wholes, np.float64))}
