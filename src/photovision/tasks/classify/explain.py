"""Explain a classifier: heatmaps of a class with their tests, and the most similar training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image as Pillow

from photovision.core.errors import UsageError
from photovision.core.inputs import Source
from photovision.core.report import Report
from photovision.core.types import Attribution, Classes, Floats, Image, Ints
from photovision.runtime.bundle import Bundle
from photovision.runtime.neighbours import Neighbour
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.explain import EXPLAINERS
from photovision.trust.explain.default_method import choose
from photovision.trust.explain.explained_model import ExplainedModel, Explainer
from photovision.trust.explain.faithfulness import TWINS, FaithfulnessTest, likeness, trials
from photovision.trust.explain.request import AUTO, ExplainRequest

NEAREST = 5
SIDE = 320
"""Longer side in pixels of the images that are kept to be shown."""


@dataclass(frozen=True, eq=False)
class ExplainedClasses:
    """One image with all that was found out about the classifier's prediction.

    Attributes:
        name: path of the file, or what the image is called.
        upright: uint8 RGB (H, W, 3), the whole upright image, SIDE pixels long.
        seen: uint8 RGB (H, W, 3), the pixels that the network sees.
        answer: the prediction.
        maps: one heatmap a method.
        trials: how each stood its test; None where no test was asked for.
        neighbours: the most similar training images; none where the model remembers none.
    """

    name: str
    upright: Image
    seen: Image
    answer: Classes
    maps: tuple[Attribution, ...]
    trials: tuple[FaithfulnessTest | None, ...]
    neighbours: tuple[Neighbour, ...] = ()


class ClassExplainer:
    """Explains a class on images, an `ImageExplainer`.

    Args:
        model: the classifier.
        request: what is to be explained; `data` shows the training images themselves.

    Attributes:
        methods: names of the explainers.
        reason: why the method was chosen, where the choice was ours; None otherwise.

    Raises:
        UsageError: no method or class of that name, or data for a model that remembers no training images.
        MissingExtra: a method's library is not installed.
    """

    def __init__(self, model: Recognizer, request: ExplainRequest) -> None:
        if request.data is not None and model.references is None:
            raise UsageError(
                f"{model.bundle.path} remembers no training pictures, so there is nothing to show of the data: leave"
                " them out"
            )
        self.model, self.request = model, request
        self._subject = subject_of(model)
        self._explainers, self.reason = _chosen(self._subject, request.methods)
        self._index = request.class_index(model.classes)
        seeds = (
            range(request.seed + 1, request.seed + 1 + TWINS) if request.tests and model.bundle.runner is None else ()
        )
        self._twins = [self._subject.shuffled(seed) for seed in seeds]
        self.methods = tuple(explainer.name for explainer in self._explainers)

    def explain(self, source: Source, name: str) -> ExplainedClasses:
        """Explain one image.

        Raises:
            UnreadableImage: it cannot be decoded.
            UsageError: a method that cannot explain this kind of network.
            ModelError: the bundle lacks what a method needs.
        """
        model, subject = self.model, self._subject
        upright, seen = _pixels(model, source)
        answer = model.predict(source)
        assert isinstance(answer, Classes)
        target = int(answer.probs.argmax()) if self._index is None else self._index
        maps = tuple(_map(explainer, subject, seen, target, model.classes) for explainer in self._explainers)
        near: list[Neighbour] = []
        if model.references:
            near = model.references.nearest(model.session.run(seen[None])["embedding"][0], NEAREST)
        return ExplainedClasses(name, upright, seen, answer, maps, self._tested(seen, target, maps), tuple(near))

    def report(self, images: Sequence[ExplainedClasses], unreadable: Sequence[str]) -> Report:
        """The report of kind "explain"."""
        from photovision.tasks.classify.explain_text import report

        return report(self, images, unreadable)

    def _tested(self, seen: Image, target: int, maps: Sequence[Attribution]) -> tuple[FaithfulnessTest | None, ...]:
        if not self._twins:
            return (None,) * len(maps)
        heat, classes = np.stack([one.heatmap for one in maps]), np.array([target])
        alike = [
            float(likeness(explainer, self._twins, seen[None], classes, heat[row : row + 1])[0])
            for row, explainer in enumerate(self._explainers)
        ]
        return tuple(trials(self._subject, seen, target, heat, alike=alike, seed=self.request.seed))


def heatmaps(model: Recognizer, images: Image, classes: Ints, method: str = AUTO) -> Floats:
    """Heatmaps of many images at once, untested: float32 (N, H, W).

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
    for name in methods:
        if name == AUTO:
            name, reason = choose(subject)
        names.append(name)
    return [EXPLAINERS.load(name) for name in dict.fromkeys(names)], reason


def _map(explainer: Explainer, subject: ExplainedModel, seen: Image, index: int, classes: Sequence[str]) -> Attribution:
    heat = _finite(explainer.heatmaps(subject, seen[None], np.array([index])))
    return Attribution(heat[0], classes[index], explainer.name)


def _pixels(model: Recognizer, picture: Source) -> tuple[Image, Image]:
    """The upright image in a size to be shown, and the pixels that the network sees; raises UnreadableImage."""
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
