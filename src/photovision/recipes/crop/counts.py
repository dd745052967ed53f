"""What a model says of pictures of fields: classes of leaves, or how much of every picture belongs to each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.progress import ProgressCallback
from photovision.core.regions import Segmentation
from photovision.core.types import Classes
from photovision.data.dataset import Problem
from photovision.recipes.crop.shots import Shot
from photovision.recipes.ratios import Ratios
from photovision.runtime.model import OnnxModel

HEALTHY = "healthy"
WEEDS = ("weed", "disease", "blight", "rust", "mildew", "lesion", "pest")
"""Words in the names of a segmenter's classes that are watched where none is named."""


@dataclass(frozen=True, eq=False)
class PlotCounts:
    """What a model says of N pictures that could be read.

    Attributes:
        shots: the pictures.
        classes: C names.
        ratios: classifiers have 1 where a class is predicted, of 1 where the picture is known; segmenters the pixels of
            each class, of all pixels of the picture. Float64 (N, C).
        watched: names of the classes that ought not to be there: diseases, weeds.
        known: bool (N,), whether the picture is of the kind that the model learned from.
        labels: the prediction for each picture, in words.
        area: whether the figures are shares of area, not of pictures.
        problems: pictures that could not be read.
    """

    shots: tuple[Shot, ...]
    classes: tuple[str, ...]
    ratios: Ratios
    watched: tuple[str, ...]
    known: np.ndarray
    labels: tuple[str, ...]
    area: bool
    problems: tuple[Problem, ...]

    def one(self, names: Sequence[str]) -> Ratios:
        """Some classes together, (N, 1)."""
        columns = [self.classes.index(name) for name in names]
        whole = self.ratios.whole[:, :1]
        return Ratios(np.minimum(self.ratios.part[:, columns].sum(1, keepdims=True), whole), whole)


def predict_leaves(
    model: OnnxModel[Classes],
    shots: Sequence[Shot],
    healthy: Sequence[str] = (),
    progress: ProgressCallback | None = None,
) -> PlotCounts:
    """Ask a classifier about leaves; pictures unlike those that it learned from are unknown, and count in no share.

    Args:
        healthy: classes without a disease; () for those whose name holds "healthy".

    Raises:
        UsageError: no class is healthy, or one that was named is unknown to the model.
    """
    fine = _named(model.classes, healthy) or tuple(n for n in model.classes if HEALTHY in n.casefold())
    if not fine:
        raise UsageError(f"which class is healthy? Name it with --healthy: {', '.join(model.classes[:20])}")
    if len(fine) == len(model.classes):
        raise UsageError("every class is healthy, so nothing is left to be watched for")
    parts, kept, labels, known, problems = [], [], [], [], []
    answers = model.stream(shot.sample.image for shot in shots)
    for done, (shot, answer) in enumerate(zip(shots, answers, strict=True), 1):
        if isinstance(answer, UnreadableImage):
            problems.append(Problem(shot.sample.id, "unreadable", str(answer)))
        else:
            kept.append(shot)
            known.append(answer.known is not False)
            parts.append([float(name in answer.labels and known[-1]) for name in model.classes])
            labels.append(_words(answer))
        if progress:
            progress(done, len(shots))
    sure = np.array(known, dtype=bool)
    part = np.array(parts, np.float64).reshape(-1, len(model.classes))
    whole = np.repeat(sure[:, None].astype(np.float64), len(model.classes), axis=1)
    watched = tuple(name for name in model.classes if name not in fine)
    return PlotCounts(
        tuple(kept), model.classes, Ratios(part, whole), watched, sure, tuple(labels), False, tuple(problems)
    )


def predict_area(
    model: OnnxModel[Segmentation],
    shots: Sequence[Shot],
    watched: Sequence[str] = (),
    progress: ProgressCallback | None = None,
) -> PlotCounts:
    """Ask a segmenter how much of every picture belongs to each class.

    Args:
        watched: classes that ought not to be there; () for those that WEEDS tell of, which may be none.

    Raises:
        UsageError: a class that was named is unknown to the model.
    """
    bad = _named(model.classes, watched) or tuple(
        name for name in model.classes if any(word in name.casefold() for word in WEEDS)
    )
    parts, wholes, kept, problems = [], [], [], []
    found = model.results(shot.sample.image for shot in shots)
    for done, (shot, scene) in enumerate(zip(shots, found, strict=True), 1):
        if scene.value is None:
            problems.append(Problem(shot.sample.id, "unreadable", str(scene.error)))
        else:
            kept.append(shot)
            counts = np.bincount(scene.value.labels.ravel(), minlength=len(model.classes))
            parts.append(counts[: len(model.classes)])
            wholes.append([scene.value.labels.size] * len(model.classes))
        if progress:
            progress(done, len(shots))
    part, whole = (np.array(rows, np.float64).reshape(-1, len(model.classes)) for rows in (parts, wholes))
    columns = [model.classes.index(name) for name in bad]
    labels = tuple(
        ", ".join(f"{model.classes[c]} {100 * p[c] / w[c]:.1f}%" for c in columns or range(len(model.classes)))
        for p, w in zip(part, whole, strict=True)
    )
    sure = np.ones(len(kept), dtype=bool)
    return PlotCounts(tuple(kept), model.classes, Ratios(part, whole), bad, sure, labels, True, tuple(problems))


def _named(classes: Sequence[str], asked: Sequence[str]) -> tuple[str, ...]:
    if strange := [name for name in asked if name not in classes]:
        raise UsageError(f"the model does not know the class '{strange[0]}': it knows {', '.join(classes[:20])}")
    return tuple(dict.fromkeys(asked))


def _words(answer: Classes) -> str:
    return "unknown" if answer.known is False else f"{', '.join(answer.labels) or 'nothing'} {answer.prob:.2f}"
