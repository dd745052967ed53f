"""Explain: which places of an image a prediction rests on, and whether that may be relied on; blind to tasks."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, UnreadableImage, UsageError
from photovision.core.inputs import Given, Source, as_source, as_sources, name_of
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Detections
from photovision.core.report import Report
from photovision.core.types import Attribution
from photovision.data.dataset import Dataset
from photovision.engine.load import opened
from photovision.engine.read import data_for
from photovision.trust.explain.request import AUTO, ExplainedImage, ExplainRequest, ImageExplainer

MAX_IMAGES = 200
"""Images that one report explains at most: a page of more is read by nobody."""


@dataclass(frozen=True, eq=False)
class Explanations:
    """What `explain` reports, as values.

    Attributes:
        explainer: what explained the images; of the model's task.
        images: the readable ones, in order.
        unreadable: messages about the others.
    """

    explainer: Any
    images: list[Any] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)

    def report(self) -> Report:
        """The report of kind "explain"."""
        found: Report = self.explainer.report(self.images, self.unreadable)
        return found


def explain(
    model: Any,
    images: Given | Iterable[Given],
    *,
    methods: str | Sequence[str] = (AUTO,),
    target: str | None = None,
    boxes: int | Sequence[int] | None = None,
    truth: Detections | None = None,
    data: Dataset | str | Path | None = None,
    tests: bool = True,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Report:
    """Show which places of an image a prediction rests on: heatmaps with their tests, and what a task knows beside.

    Args:
        model: a model of any task, or its folder.
        images: one image or at most 200, as `photovision.core.inputs.as_source` takes them; unreadable ones are named
            and left out.
        methods: names of explainers, or "auto" for the one that suits the model; those of the default need no torch.
        target: the class to explain; None takes what the model predicts.
        boxes: how many boxes or regions of an image a detector or a segmenter explains, the most probable ones, or
            their positions in the prediction, from 0; None: 3.
        truth: the objects of one image, to explain those that a detector missed, too.
        data: for a classifier the training data, or their path, to show its images; without it only their names are
            known. For a detector labelled images, to explain what it missed.
        tests: whether each map is tested; a map without its test should not be relied on.
        seed: of the random orders and shuffled weights of the tests.
        progress: called with (images done, N).

    Returns:
        A report of kind "explain"; its JSON holds 14 x 14 heatmaps over the pixels that the network sees, 0 to 1.

    Raises:
        UsageError: no method or class of that name, a method that cannot explain this kind of network, or an option
            that makes no sense for the model's task.
        DataError: no image, or none that could be read.
        ModelError: the bundle lacks what a method needs.
        MissingExtra: a method's library is not installed.
    """
    chosen = (methods,) if isinstance(methods, str) else tuple(methods) or (AUTO,)
    own = opened(model, "explain")
    request = ExplainRequest(chosen, target, _positions(boxes), truth, tests=tests, seed=seed)
    own.bundle.row.check_options("explain", {**_choices(request), "data": data})
    if data is not None:
        request = replace(request, data=data_for(own, data))
    return explanations(own, images, request, progress).report()


def explanations(
    model: Any,
    images: Given | Iterable[Given],
    request: ExplainRequest | None = None,
    progress: ProgressCallback | None = None,
) -> Explanations:
    """What `explain` reports, as values of the model's task.

    Args:
        model: a model of any task, or its folder.
        images: as for `explain`.
        request: what is to be explained, and how.
        progress: called with (images done, N).

    Raises:
        DataError, UsageError, ModelError, MissingExtra: as for `explain`.
    """
    own = opened(model, "explain")
    sources = _checked(images)
    files = tuple(name_of(source) or "" for source in sources)
    request = replace(request or ExplainRequest(), files=files)
    if request.truth is not None and len(sources) != 1:
        raise UsageError(f"'truth' is that of one image, got {len(sources)} images: give their labels as 'data'")
    found = Explanations(_explainer(own, request))
    for number, source in enumerate(sources):
        try:
            if isinstance(source, UnreadableImage):
                raise source
            found.images.append(found.explainer.explain(source, files[number] or f"picture {number + 1}"))
        except UnreadableImage as error:
            found.unreadable.append(str(error))
        if progress:
            progress(number + 1, len(sources))
    if not found.images:
        raise DataError(f"none of the {len(sources):,} pictures could be read ({found.unreadable[0]}): check the files")
    return found


def explained(model: Any, image: Given, request: ExplainRequest) -> Any:
    """One image with its explanations, a value of the model's task.

    Raises:
        UnreadableImage: the image cannot be decoded.
        UsageError, ModelError, MissingExtra: as for `explain`.
    """
    own, source = opened(model, "explain"), as_source(image)
    file = name_of(source) or ""
    return _explainer(own, replace(request, files=(file,))).explain(source, file or "picture")


def attribute(model: Any, image: Given, method: str = AUTO, target: str | None = None) -> Attribution:
    """One heatmap of the leading prediction on an image, untested; `explain` shows it with its test.

    Args:
        model: a model of any task, or its folder.
        image: as `photovision.core.inputs.as_source` takes it.
        method: the name of an explainer, or "auto".
        target: the class to explain; None takes what the model predicts.

    Raises:
        UnreadableImage: the image cannot be decoded.
        DataError: the model found nothing in it, so there is nothing to explain.
        UsageError, ModelError, MissingExtra: as for `explain`.
    """
    own = opened(model, "attribute", "explain")
    request = ExplainRequest((method,), target, tests=False)
    own.bundle.row.check_options("explain", _choices(request))
    source = as_source(image)
    found: ExplainedImage = explained(own, source, replace(request, boxes=1))
    if not found.maps:
        raise DataError("the model finds nothing in the picture, so there is nothing to explain")
    return replace(found.maps[0], picture=source, preprocess=own.preprocess)


def explain_boxes(
    model: Any,
    picture: Given,
    *,
    boxes: int | Sequence[int] | None = None,
    target: str | None = None,
    truth: Detections | None = None,
    method: str = AUTO,
    tests: bool = True,
    seed: int = 0,
) -> Any:
    """The boxes or regions of one image explained, as values; an old spelling of `explain` with the same options."""
    message = "explain_boxes is now explain(model, image, boxes=..., methods=...), whose report holds the same"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    own = opened(model, "explain_boxes", "explain")
    request = ExplainRequest((method,), target, _positions(boxes), truth, tests=tests, seed=seed)
    own.bundle.row.check_options("explain", {**_choices(request), "boxes": 3 if boxes is None else boxes})
    return explained(own, picture, request)


def _explainer(model: Any, request: ExplainRequest) -> ImageExplainer:
    explainer: ImageExplainer = model.bundle.row.part("explain")(model, request)
    return explainer


def _choices(request: ExplainRequest) -> dict[str, object]:
    """Options of the request that not every task has, those that were given."""
    method = None if request.methods == (AUTO,) else request.methods
    return {"method": method, "target": request.target, "boxes": request.boxes, "truth": request.truth}


def _positions(boxes: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    return boxes if boxes is None or isinstance(boxes, int) else tuple(boxes)


def _checked(images: Given | Iterable[Given]) -> list[Source | UnreadableImage]:
    """The images of one report; raises DataError where there are none or too many, UsageError as `as_sources`."""
    sources = list(islice(as_sources(images)[0], MAX_IMAGES + 1))
    if not 0 < len(sources) <= MAX_IMAGES:
        got = f"more than {MAX_IMAGES}" if sources else "none"
        raise DataError(f"expected 1 to {MAX_IMAGES} pictures to explain, got {got}: choose some of them")
    return sources
