"""Explain: which places of a picture a model decided by, whether that may be believed, and what it was reminded of."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.inputs import Given, Source, as_source, name_of
from photovision.core.progress import ProgressCallback
from photovision.core.report import Report
from photovision.core.types import Attribution, Classes, Floats, Image, Ints
from photovision.data.dataset import Dataset
from photovision.data.read import as_dataset
from photovision.engine.load import opened
from photovision.runtime.bundle import Bundle
from photovision.runtime.neighbours import Neighbour
from photovision.tasks.classify import explain_text as explain_story
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.detect.detector import Detector
from photovision.tasks.explain_boxes import BOXES, chosen_pictures, explain_found
from photovision.tasks.segment.segmenter import Segmenter
from photovision.trust.explain import EXPLAINERS
from photovision.trust.explain.default_method import choose
from photovision.trust.explain.explained_model import ExplainedModel, Explainer
from photovision.trust.explain.faithfulness import TWINS, FaithfulnessTest, likeness, trials

AUTO = "auto"
NEAREST = 5
SIDE = 320
"""Longer side in pixels of the pictures that are kept to be shown."""

Model = Recognizer | Detector | Segmenter


@dataclass(frozen=True, eq=False)
class ExplainedImage:
    """One picture with all that was found out about the model's answer.

    Attributes:
        name: path of the file, or "picture N" of what came from none.
        upright: uint8 RGB (H, W, 3), the whole upright picture, SIDE pixels long.
        seen: uint8 RGB (H, W, 3), the pixels that the network sees.
        answer: what the model says.
        maps: one heatmap a method.
        trials: how each stood its test; None where no test was asked for.
        neighbours: the most similar training pictures; none where the model remembers none.
    """

    name: str
    upright: Image
    seen: Image
    answer: Classes
    maps: tuple[Attribution, ...]
    trials: tuple[FaithfulnessTest | None, ...]
    neighbours: tuple[Neighbour, ...] = ()


@dataclass(eq=False)
class Explanations:
    """What `explain` tells in its report.

    Attributes:
        methods: names of the explainers.
        reason: why they were chosen, where the choice was ours.
        pictures: the readable ones, in order.
        unreadable: messages about the others.
    """

    methods: tuple[str, ...]
    reason: str | None
    pictures: list[ExplainedImage] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def explain(
    model: Model | str | Path,
    pictures: Given | Iterable[Given],
    *,
    methods: Sequence[str] = (AUTO,),
    target: str | None = None,
    data: Dataset | str | Path | None = None,
    boxes: int | None = None,
    tests: bool = True,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Report:
    """Show why a model answers pictures as it does: heatmaps with their tests, and the most similar training pictures.

    Args:
        model: a classifier; a detector or a segmenter, whose boxes or regions are explained.
        pictures: one picture or at most 200, as `photovision.core.inputs.as_source` takes them; unreadable ones are
            named and left out.
        methods: names from `EXPLAINERS.names()`, or "auto" for the one that suits the model; those of the default need
            no torch.
        target: the class to explain; None takes each picture's most probable class.
        data: the data that the model was trained on, or their path, to show its pictures; without it only their names
            are known. Of a detector labelled pictures: what it missed of those that are explained, too.
        boxes: of a detector or a segmenter how many boxes or regions of each picture, the most probable ones; None: 3.
        tests: whether each map is tested; a map without its test should not be believed.
        seed: of the random orders and shuffled weights of the tests.
        progress: called with (pictures done, N).

    Returns:
        A report of kind "explain"; its JSON holds 14 x 14 heatmaps over the pixels that the network sees, 0 to 1.

    Raises:
        UsageError: no method or class of that name, or a method that cannot explain this kind of network.
        DataError: no picture, or none that could be read.
        ModelError: the bundle lacks what a method needs.
        MissingExtra: a method's library is not installed.
    """
    own: Model = opened(model, "explain")
    labelled = None if data is None else as_dataset(data)
    if isinstance(own, Detector | Segmenter):
        if len(methods) != 1:
            raise UsageError(f"boxes and regions are explained by one method at a time, got {len(methods)}: choose one")
        (method,) = methods
        return explain_found(
            own, pictures, boxes=BOXES if boxes is None else boxes, target=target, data=labelled, method=method,
            tests=tests, seed=seed, progress=progress,
        )  # fmt: skip
    if boxes is not None:
        raise UsageError("boxes are for detectors and segmenters: a classifier is explained picture by picture")
    if labelled is not None and own.references is None:
        raise UsageError(
            f"{own.bundle.path} remembers no training pictures, so there is nothing to show of the data: leave them out"
        )
    found = explanations(own, pictures, methods=methods, target=target, tests=tests, seed=seed, progress=progress)
    return explain_story.report(own, found, labelled)


def explanations(
    model: Recognizer,
    pictures: Given | Iterable[Given],
    *,
    methods: Sequence[str] = (AUTO,),
    target: str | None = None,
    tests: bool = True,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Explanations:
    """What `explain` reports, as values; arguments and errors are the same."""
    sources = chosen_pictures(pictures)
    subject = subject_of(model)
    explainers, reason = _chosen(subject, methods)
    index = None if target is None else _class_index(model.classes, target)
    twins = [subject.shuffled(seed + 1 + number) for number in range(TWINS)] if tests else []
    found = Explanations(tuple(explainer.name for explainer in explainers), reason)
    for number, source in enumerate(sources):
        name = name_of(source) or f"picture {number + 1}"
        try:
            found.pictures.append(_explained(model, subject, explainers, twins, source, name, index, seed))
        except UnreadableImage as error:
            found.unreadable.append(str(error))
        if progress:
            progress(number + 1, len(sources))
    if not found.pictures:
        raise DataError(f"none of the {len(sources):,} pictures could be read ({found.unreadable[0]}): check the files")
    return found


def attribute(model: Recognizer, picture: Given, method: str = AUTO, target: str | None = None) -> Attribution:
    """One heatmap of one picture, untested; `explain` shows it with its test.

    Args:
        model: a classifier.
        picture: as `photovision.core.inputs.as_source` takes it.
        method: a name from `EXPLAINERS.names()`, or "auto".
        target: the class to explain; None takes the most probable one.

    Raises:
        UnreadableImage: the picture cannot be decoded.
        UsageError, ModelError, MissingExtra: as for `explain`.
    """
    model = opened(model, "attribute")
    subject = subject_of(model)
    (explainer,), _ = _chosen(subject, [method])
    _, seen = _pixels(model, as_source(picture))
    index = int(subject.probs(seen[None])[0].argmax()) if target is None else _class_index(model.classes, target)
    return _map(explainer, subject, seen, index, model.classes)


def heatmaps(model: Recognizer, images: Image, classes: Ints, method: str = AUTO) -> Floats:
    """Heatmaps of many pictures at once, untested: float32 (N, H, W).

    Args:
        model: a classifier.
        images: uint8 RGB (N, H, W, 3), as `model.preprocess` gives them.
        classes: int64 (N,), the index of the class to explain of each.
        method: a name from `EXPLAINERS.names()`, or "auto", which needs no torch.
    """
    if images.ndim != 4 or images.shape[1:3] != model.preprocess.size or len(images) != len(classes):
        raise UsageError(
            f"expected pictures (N, {model.preprocess.size[0]}, {model.preprocess.size[1]}, 3) with a class each, got"
            f" {images.shape} and {len(classes)} classes"
        )
    subject = subject_of(model)
    (explainer,), _ = _chosen(subject, [method])
    return _finite(explainer.heatmaps(subject, images, np.asarray(classes, np.int64)))


def subject_of(model: Recognizer) -> ExplainedModel:
    """The model as explainers take it; the last one asked for is kept, since opening its graphs takes a second."""
    return _subject(model.bundle, model.session.engine, model.session.precision)


@lru_cache(maxsize=1)
def _subject(bundle: Bundle, engine: str, precision: str) -> ExplainedModel:
    return ExplainedModel(bundle, engine, precision)


def _chosen(subject: ExplainedModel, methods: Sequence[str]) -> tuple[list[Explainer], str | None]:
    reason = None
    names = []
    for name in methods or (AUTO,):
        if name == AUTO:
            name, reason = choose(subject)
        names.append(name)
    return [EXPLAINERS.load(name) for name in dict.fromkeys(names)], reason


def _explained(
    model: Recognizer,
    subject: ExplainedModel,
    explainers: Sequence[Explainer],
    twins: Sequence[ExplainedModel],
    picture: Source | UnreadableImage,
    name: str,
    index: int | None,
    seed: int,
) -> ExplainedImage:
    upright, seen = _pixels(model, picture)
    answer = model.predict(picture)
    assert isinstance(answer, Classes)
    target = int(answer.probs.argmax()) if index is None else index
    maps = [_map(explainer, subject, seen, target, model.classes) for explainer in explainers]
    tested: list[FaithfulnessTest | None] = [None] * len(maps)
    if twins:
        heat, classes = np.stack([one.heatmap for one in maps]), np.array([target])
        alike = [
            float(likeness(explainer, twins, seen[None], classes, heat[row : row + 1])[0])
            for row, explainer in enumerate(explainers)
        ]
        tested = [*trials(subject, seen, target, heat, alike=alike, seed=seed)]
    embedding = model.session.run(seen[None])["embedding"][0]
    near = model.references.nearest(embedding, NEAREST) if model.references else []
    return ExplainedImage(name, upright, seen, answer, tuple(maps), tuple(tested), tuple(near))


def _map(explainer: Explainer, subject: ExplainedModel, seen: Image, index: int, classes: Sequence[str]) -> Attribution:
    heat = _finite(explainer.heatmaps(subject, seen[None], np.array([index])))
    return Attribution(heat[0], classes[index], explainer.name)


def _pixels(model: Recognizer, picture: Source | UnreadableImage) -> tuple[Image, Image]:
    """The upright picture in a size to be shown, and the pixels that the network sees; raises UnreadableImage."""
    if isinstance(picture, UnreadableImage):
        raise picture
    if isinstance(picture, np.ndarray):
        whole, seen = Pillow.fromarray(picture), model.preprocess.apply(picture)
    else:
        whole, seen = model.preprocess.decode(picture, (SIDE, SIDE)), model.preprocess.load(picture)
    scale = SIDE / max(whole.size)
    size = max(1, round(scale * whole.width)), max(1, round(scale * whole.height))
    # Enlarged pixels stay pixels, so that nobody takes a smooth picture for what a small one holds.
    way = Pillow.Resampling.LANCZOS if scale < 1 else Pillow.Resampling.NEAREST
    return np.asarray(whole.resize(size, way), np.uint8), seen


def _finite(heat: Floats) -> Floats:
    return np.nan_to_num(heat, nan=0.0, posinf=0.0, neginf=0.0)


def _class_index(classes: Sequence[str], name: str) -> int:
    if name in classes:
        return classes.index(name)
    near = difflib.get_close_matches(name, classes, 3, 0.4) or list(classes[:5])
    raise UsageError(f"the model knows no class '{name}'; did you mean {' or '.join(near)}?")
