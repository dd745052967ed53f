"""Tests for shortcuts: does the model look at the object, or at something beside it that went with the class?

Four tests, all on the pictures as the network sees them:

- transplants (`photovision.trust.robustness.patch_transplant`): does a small region at the border decide the class?
  This one gives the verdict, and has a stated rate of false alarms.
- masks: how many answers stay right with the centre or the border gone, against guessing.
- attribution: how much of the explanations, where there are some, lies outside of the centre.
- planted markers (`photovision.trust.robustness.watermarks`): how many answers a sticker, a date, a watermark or a
  frame changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from photovision.core.errors import UsageError
from photovision.core.types import Floats, Image
from photovision.trust.metrics.statistics import Estimate, Z, proportion
from photovision.trust.robustness.patch_transplant import Answer, Bench, Confirmed, Flags, transplant
from photovision.trust.robustness.watermarks import MARKERS, plant

MIN_PICTURES = 40
"""With fewer pictures nothing is tested."""
_MASKED, _MARKED = 200, 100  # pictures for either mask, and for each marker
_CENTRE = 0.5**0.5  # side of the centred rectangle of half the area


class MarkStability(NamedTuple):
    """How many answers one kind of marker changes.

    Attributes:
        changed: their share.
        towards: the class that most of the changed answers went to, and their number; None where none changed.
    """

    changed: Estimate
    towards: tuple[int, int] | None
    n: int


@dataclass(frozen=True, eq=False)
class Shortcuts:
    """What the four tests found.

    Attributes:
        confirmed: regions that were tested in the end, the strongest first; `found` says which are shortcuts.
        examined: classes with enough pictures to be examined.
        accuracy: share of right answers of the whole picture, without its centre and without its border, each with how
            many pictures it rests on.
        guessing: share of right answers of the best constant answer.
        outside: share of positive attribution outside the centre's half of the picture, and the maps behind it.
        markers: kind -> how many answers it changes.
        images_tested: how many pictures the model was asked about.
    """

    confirmed: tuple[Confirmed, ...]
    examined: tuple[int, ...]
    accuracy: Mapping[str, tuple[Estimate, int]]
    guessing: float
    outside: tuple[Estimate, int] | None
    markers: Mapping[str, MarkStability]
    images_tested: int

    @property
    def found(self) -> list[Confirmed]:
        """The shortcuts."""
        return [one for one in self.confirmed if one.found]


def find_shortcuts(
    answer: Answer,
    images: Image,
    truth: np.ndarray,
    *,
    thresholds: Floats | None = None,
    heatmaps: Floats | None = None,
    answers: int = 4000,
    seed: int = 0,
) -> Shortcuts:
    """Run all tests.

    Args:
        answer: from uint8 pictures (N, H, W, 3) to probabilities float32 (N, C); called with at most 64 pictures.
        images: uint8 (N, H, W, 3) at the network's size, at least 40, that the model has not learned from but that were
            collected like those it learned from: a marker that is not in them cannot be found.
        truth: int64 (N,) class indices, or 0/1 (N, C) for multi-label.
        thresholds: float32 (C,), the least probability that counts as true; multi-label only, 0.5 where None.
        heatmaps: float32 (M, H, W), explanations of some pictures, positive where it speaks for the answer.
        answers: about how many pictures the model may be asked about; a quarter goes to masks and markers.
        seed: of what is drawn by chance.

    Raises:
        UsageError: too few pictures, or shapes that do not fit.
    """
    if images.ndim != 4 or len(images) < MIN_PICTURES or len(truth) != len(images):
        raise UsageError(
            f"shortcuts need at least {MIN_PICTURES} pictures (N, H, W, 3) with their truth, got {images.shape} and"
            f" {len(truth)}"
        )
    rng = np.random.default_rng(seed)
    calls = _Counted(answer)
    width = calls(images[:1]).shape[1]
    true = truth > 0 if truth.ndim == 2 else np.arange(width) == truth[:, None]
    bench = Bench(calls, _saying(truth.ndim == 2, thresholds), images, true)
    part = rng.permutation(len(images))[: min(_MASKED, answers // 20)]
    plain = _ask(bench, images[part])
    accuracy = {"whole picture": plain}
    for name, inside in (("centre gone", True), ("border gone", False)):
        accuracy[name] = _ask(bench, _masked(images[part], inside))
    marked = part[: min(_MARKED, answers // 40)]
    markers = {
        kind: _stability(_ask(bench, plant(kind, images[marked], rng)), plain[: len(marked)]) for kind in MARKERS
    }
    confirmed, examined = transplant(bench, rng, max(0, answers - calls.images_tested))
    right = {
        name: (proportion(int((predicted == true[part]).all(1).sum()), len(part)), len(part))
        for name, predicted in accuracy.items()
    }
    best = float(true[part].mean(0).max()) if truth.ndim == 1 else _most_common(true[part])
    return Shortcuts(tuple(confirmed), tuple(examined), right, best, _outside(heatmaps), markers, calls.images_tested)


class _Counted:
    """An answering function that is asked in blocks, and counts."""

    def __init__(self, answer: Answer) -> None:
        self.answer, self.images_tested = answer, 0

    def __call__(self, images: Image) -> Floats:
        self.images_tested += len(images)
        return self.answer(images)


def _saying(multilabel: bool, thresholds: Floats | None) -> Callable[[Floats], Flags]:
    def says(probs: Floats) -> Flags:
        if multilabel:
            return np.asarray(probs >= (0.5 if thresholds is None else thresholds))
        return np.asarray(np.arange(probs.shape[1]) == probs.argmax(1)[:, None])

    return says


def _ask(bench: Bench, images: Image) -> Flags:
    """Predictions for pictures: bool (N, C)."""
    return np.concatenate([bench.says(bench.answer(images[at : at + 64])) for at in range(0, len(images), 64)])


def _masked(images: Image, inside: bool) -> Image:
    """The pictures with the centre's half of the area, or the other half, in each picture's mean colour."""
    height, width = images.shape[1:3]
    top, left = round(height * (1 - _CENTRE) / 2), round(width * (1 - _CENTRE) / 2)
    hidden = np.full((height, width), not inside)
    hidden[top : height - top, left : width - left] = inside
    mean = np.round(images.mean((1, 2), keepdims=True)).astype(np.uint8)
    return np.where(hidden[None, :, :, None], mean, images)


def _stability(predicted: Flags, plain: Flags) -> MarkStability:
    changed = (predicted != plain).any(1)
    went = (predicted & ~plain)[changed].sum(0)
    towards = (int(went.argmax()), int(went.max())) if went.any() else None
    return MarkStability(proportion(int(changed.sum()), len(changed)), towards, len(changed))


def _most_common(true: Flags) -> float:
    _, counts = np.unique(true, axis=0, return_counts=True)
    return float(counts.max() / len(true))


def _outside(heatmaps: Floats | None) -> tuple[Estimate, int] | None:
    """The mean share of positive attribution that lies outside of the centre's half."""
    if heatmaps is None or len(heatmaps) < 2:
        return None
    positive = np.maximum(heatmaps, 0).astype(np.float64)
    height, width = positive.shape[1:]
    top, left = round(height * (1 - _CENTRE) / 2), round(width * (1 - _CENTRE) / 2)
    whole = positive.sum((1, 2))
    some = whole > 0
    shares = 1 - positive[some, top : height - top, left : width - left].sum((1, 2)) / whole[some]
    if len(shares) < 2:
        return None
    value, half = float(shares.mean()), Z * float(shares.std(ddof=1)) / np.sqrt(len(shares))
    return Estimate(value, float(max(0.0, value - half)), float(min(1.0, value + half))), len(shares)
