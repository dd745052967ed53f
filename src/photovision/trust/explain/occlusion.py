"""Occlusion: a window is hidden, and shown alone, at every place; what it does to the answer is its weight.

Hiding only finds what is indispensable, and little is where an object can be recognised from several of its parts;
showing a window alone finds what is enough. Both together tell more than either. Sources: Zeiler & Fergus 2014,
"Visualizing and understanding convolutional networks" (hiding); Fong & Vedaldi 2017, "Interpretable explanations of
black boxes by meaningful perturbation" (deleting and preserving, a blur in place of grey patches).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from photovision.core.types import Floats, Image, Ints
from photovision.trust.explain.explained_model import ExplainedModel, Explainer, blurred

WINDOW, STRIDE = 0.25, 0.125
"""Sides and steps of the window by those of the picture."""


def _occlusion(subject: ExplainedModel, images: Image, classes: Ints) -> Floats:
    return np.stack([_one(subject, image, int(target)) for image, target in zip(images, classes, strict=True)])


def _one(subject: ExplainedModel, image: Image, target: int) -> Floats:
    from scipy.ndimage import gaussian_filter

    fill = blurred(image[None])[0]
    shapes = list(_windows(subject.size))
    views = np.empty((2 * len(shapes) + 2, *image.shape), np.uint8)
    views[0], views[1] = image, fill
    views[2::2], views[3::2] = image, fill
    for number, window in enumerate(shapes):
        views[2 + 2 * number][window] = fill[window]
        views[3 + 2 * number][window] = image[window]
    odds = subject.log_odds(views, np.full(len(views), target))
    lost, gained = odds[0] - odds[2::2], odds[3::2] - odds[1]
    heat, times = np.zeros(subject.size), np.zeros(subject.size)
    for window, value in zip(shapes, lost + gained, strict=True):
        heat[window] += value
        times[window] += 1
    # The edges of windows are no finding, so they are smoothed away.
    return np.asarray(gaussian_filter(heat / times, STRIDE / 2 * np.array(subject.size), mode="nearest"), np.float32)


def _windows(size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Windows that cover every pixel equally often, those at the border reaching over it."""
    rows, columns = (_spans(side) for side in size)
    return ((row, column) for row in rows for column in columns)


def _spans(side: int) -> list[slice]:
    stride, window = max(1, round(STRIDE * side)), max(1, round(WINDOW * side))
    return [slice(max(0, start), start + window) for start in range(stride - window, side, stride)]


OCCLUSION = Explainer(
    "occlusion",
    "What hiding each window takes from the answer, and what showing it alone gives (occlusion).",
    torch=False,
    of_class=True,
    heatmaps=_occlusion,
)
