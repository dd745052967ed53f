"""Examples: wrong and right predictions of a classifier as pictures beside their heatmaps, for the first screen."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.overlay import overlay
from photovision.core.report import RIGHT, WRONG, Figure
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image, Ints
from photovision.data.augment.image import load_pixels
from photovision.tasks.classify.evaluation import ClassifyEvaluation, Predictor
from photovision.tasks.classify.evaluation_text import predicted_names, true_names
from photovision.tasks.classify.explain import heatmaps, subject_of
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.explain.default_method import choose

SHOWN = 8
"""Pictures; half of them wrong predictions, where there are so many."""
_SIDE, _GAP = 200, 4
_QUICK = "cam"
"""The explainer of the maps here; where it does not suit a model, maps would take minutes and are left out."""
_MAPS = (
    "Each picture beside its heatmap: bright places speak for the predicted class. These maps are not tested:"
    " 'photovision explain' does that."
)
_NOTE = "Wrong predictions are those with the highest confidence; right ones are spread over the range of confidence."


def examples(model: Predictor, evaluation: ClassifyEvaluation) -> list[Figure]:
    """Wrong and right predictions, with heatmaps where these take no time; nothing where no picture can be read.

    Args:
        model: whose predictions they are.
        evaluation: of N images.
    """
    found = {row: upright for row in chosen(evaluation).tolist() if (upright := _upright(evaluation, row)) is not None}
    if not found:
        return []
    shown = [np.asarray(upright) for upright in found.values()]
    note = _NOTE
    if isinstance(model, Recognizer) and choose(subject_of(model)).name == _QUICK:
        shown, note = _with_maps(model, evaluation, found), f"{_MAPS} {_NOTE}"
    pictures = [(jpeg(image), _caption(evaluation, row)) for image, row in zip(shown, found, strict=True)]
    title = "Wrong and right" if not evaluation.right.all() else "Right, every one of them"
    return [Figure(title, pictures=tuple(pictures), note=note, first=True)]


def chosen(evaluation: ClassifyEvaluation) -> Ints:
    """Rows to show: the wrong predictions with the highest confidence, then right ones over the range of confidence."""
    order = np.argsort(-evaluation.probs.max(1), kind="stable")
    wrong, right = order[~evaluation.right[order]], order[evaluation.right[order]]
    few = wrong[: max(SHOWN // 2, SHOWN - len(right))]
    spread = np.linspace(0, len(right) - 1, min(SHOWN - len(few), len(right))).astype(int)
    return np.concatenate([few, right[spread]])


def _upright(evaluation: ClassifyEvaluation, row: int) -> Image | None:
    """The whole upright picture, at most _SIDE pixels long; None where it cannot be read any more."""
    try:
        upright = open_sample(evaluation.samples[row], (_SIDE, _SIDE))
    except UnreadableImage:
        return None
    upright.thumbnail((_SIDE, _SIDE))
    return to_array(upright)


def _with_maps(model: Recognizer, evaluation: ClassifyEvaluation, found: Mapping[int, Image]) -> list[Image]:
    """Each picture beside itself under its heatmap."""
    rows = list(found)
    pixels = np.stack([load_pixels(evaluation.samples[row], model.preprocess) for row in rows])
    maps = heatmaps(model, pixels, evaluation.probs[rows].argmax(1).astype(np.int64), _QUICK)
    return [
        np.concatenate(
            [image, np.full((len(image), _GAP, 3), 255, np.uint8), overlay(image, heat, model.preprocess)], axis=1
        )
        for image, heat in zip(found.values(), maps, strict=True)
    ]


def _caption(evaluation: ClassifyEvaluation, row: int) -> str:
    if evaluation.right[row]:
        return f"{RIGHT}{predicted_names(evaluation, row)}"
    return f"{WRONG}{predicted_names(evaluation, row)}\ntrue: {true_names(evaluation, row)}"
