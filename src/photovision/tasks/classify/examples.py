"""Examples: wrong and right predictions of a classifier as pictures beside their heatmaps, for the first screen."""

from __future__ import annotations

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.report import RIGHT, WRONG, Figure
from photovision.core.thumbnail import jpeg
from photovision.core.types import Floats, Image, Ints
from photovision.data.augment.image import load_pixels
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.tasks.classify.evaluation_text import predicted_names, true_names
from photovision.tasks.classify.explain import heatmaps
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.explain.overlay import overlay

SHOWN = 8
"""Pictures; half of them wrong predictions, where there are so many."""
_SIDE, _GAP = 200, 4
_NOTE = (
    "Each picture beside its heatmap: bright places speak for the predicted class. Wrong predictions are those with the"
    " highest confidence; right ones are spread over the range of confidence. These maps are not tested: 'photovision"
    " explain' does that."
)


def examples(model: Recognizer, evaluation: ClassifyEvaluation) -> list[Figure]:
    """Wrong and right predictions with their heatmaps; nothing where no picture can be read any more.

    Args:
        model: whose predictions they are.
        evaluation: of N images.
    """
    found, images = [], []
    for row in chosen(evaluation).tolist():
        try:
            upright = open_sample(evaluation.samples[row], (_SIDE, _SIDE))
            images.append(load_pixels(evaluation.samples[row], model.preprocess))
        except UnreadableImage:
            continue
        upright.thumbnail((_SIDE, _SIDE))
        found.append((row, to_array(upright)))
    if not found:
        return []
    classes = evaluation.probs[[row for row, _ in found]].argmax(1).astype(np.int64)
    maps = heatmaps(model, np.stack(images), classes)
    pictures = [
        (jpeg(_beside(upright, heat, model)), _caption(evaluation, row))
        for (row, upright), heat in zip(found, maps, strict=True)
    ]
    title = "Wrong and right" if not evaluation.right.all() else "Right, every one of them"
    return [Figure(title, pictures=tuple(pictures), note=_NOTE, first=True)]


def chosen(evaluation: ClassifyEvaluation) -> Ints:
    """Rows to show: the wrong predictions with the highest confidence, then right ones over the range of confidence."""
    order = np.argsort(-evaluation.probs.max(1), kind="stable")
    wrong, right = order[~evaluation.right[order]], order[evaluation.right[order]]
    few = wrong[: max(SHOWN // 2, SHOWN - len(right))]
    spread = np.linspace(0, len(right) - 1, min(SHOWN - len(few), len(right))).astype(int)
    return np.concatenate([few, right[spread]])


def _beside(upright: Image, heat: Floats, model: Recognizer) -> Image:
    gap = np.full((upright.shape[0], _GAP, 3), 255, np.uint8)
    return np.concatenate([upright, gap, overlay(upright, heat, model.preprocess)], axis=1)


def _caption(evaluation: ClassifyEvaluation, row: int) -> str:
    if evaluation.right[row]:
        return f"{RIGHT}{predicted_names(evaluation, row)}"
    return f"{WRONG}{predicted_names(evaluation, row)}\ntrue: {true_names(evaluation, row)}"
