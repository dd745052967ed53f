"""Robust: corrupted pictures to choose by and to judge by, and whether a robust variant is worth its price."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from photovision.core.parallel import in_order
from photovision.core.report import Metric
from photovision.core.types import Image, Sample
from photovision.data.augment.image import load_pixels
from photovision.data.corruptions import CORRUPTIONS, corrupt
from photovision.data.dataset import Dataset
from photovision.engine.training_run import TrainingRun
from photovision.models.backbones import Backbone
from photovision.tasks.classify.variants import corruptions_of
from photovision.trust.metrics.statistics import (
    BEYOND_CHANCE,
    Estimate,
    bootstrap_sums,
    paired_proportions,
    proportion,
    standard_error,
)

SEVERITY = 3
LARGEST_COST = 0.01
"""Accuracy on pictures as they are that robustness may cost: a point, or a standard error where that is more."""
_LEAST, _MOST, _SHARE = 200, 2000, 0.04


def judged_corruptions(run: TrainingRun) -> tuple[str, ...]:
    """The corruptions asked for; all there are, where only AugMix was."""
    return corruptions_of(run.config.robust) or CORRUPTIONS.names()


def corrupted(run: TrainingRun, source: Backbone, part: str) -> tuple[np.ndarray, Dataset]:
    """Rows of "val" or "test", evenly spread, and these pictures after one corruption each, at severity 3.

    They are as many as fit into a small share of the budget, 200 to 2,000, and the same for all variants.
    """
    material, kinds, seed = run.splits, judged_corruptions(run), run.config.seed
    dataset: Dataset = getattr(material, part)
    count = min(len(dataset), max(_LEAST, run.work.value("corrupted-pictures", lambda: _affordable(run, source))))
    rows = np.unique(np.linspace(0, len(dataset) - 1, count).round().astype(int))

    def make(number: int) -> Image:
        pixels = load_pixels(dataset.samples[int(rows[number])], source.preprocess)
        return corrupt(pixels, kinds[number % len(kinds)], SEVERITY, (seed, number))

    def every() -> np.ndarray:
        return np.stack([image for _, image in in_order(range(len(rows)), make)])

    images = run.work.array(f"corrupted-{part}", every)
    samples = [dataset.samples[int(row)] for row in rows]
    changed = tuple(Sample(one.id, image, one.target, one.groups) for one, image in zip(samples, images, strict=True))
    return rows, Dataset(changed, dataset.classes, multilabel=dataset.multilabel)


def _affordable(run: TrainingRun, source: Backbone) -> int:
    """How many pictures of validation and of test can be corrupted and answered in a small share of the budget."""
    kinds, samples = judged_corruptions(run), run.splits.val.samples
    trials = range(max(16, len(kinds)))
    started = time.monotonic()
    for number in trials:
        corrupt(load_pixels(samples[number % len(samples)], source.preprocess), kinds[number % len(kinds)], SEVERITY)
    each = (time.monotonic() - started) / len(trials)
    answers = 3.0  # answering by several variants costs about twice as much as corrupting
    return int(min(_MOST, _SHARE * run.config.minutes * 60 / (2 * answers * each)))


def choose_robust(clean: Mapping[str, np.ndarray], worse: Mapping[str, np.ndarray], plain: str) -> tuple[str, str]:
    """Which rung to keep, and why, by validation alone.

    A robust variant is kept where it answers corrupted pictures better by more than chance explains, and costs at most
    a point of accuracy on the others (or a standard error, where that is more); of several, the most robust.

    Args:
        clean: rung -> bool (N,), which pictures as they are it has right.
        worse: rung -> bool (M,), the same for corrupted ones.
        plain: the rung without change.
    """
    best, gained = plain, 0.0
    for name in clean:
        if name == plain:
            continue
        cost, gain = paired_proportions(clean[name], clean[plain]), paired_proportions(worse[plain], worse[name])
        cheap = cost.value <= max(LARGEST_COST, standard_error(cost))
        if cheap and gain.value > max(gained, BEYOND_CHANCE * standard_error(gain)):
            best, gained = name, gain.value
    if best != plain:
        return best, (
            f"'{best}' is kept. On corrupted validation pictures it is right {gained * 100:.1f} points more often than"
            f" '{plain}', beyond chance, and on pictures as they are at most a point or a standard error less often."
        )
    return plain, (
        f"'{plain}' is kept without change. No robust variant was better on corrupted validation pictures, beyond"
        " chance, while losing at most a point or a standard error on pictures as they are."
    )


def measured(clean: np.ndarray, worse: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """What a rung reaches, JSON-ready.

    Args:
        clean: bool (N,), which pictures as they are it has right.
        worse: bool (M,), which of the corrupted ones.
        rows: which pictures of the N were corrupted.
    """
    part = clean[rows]
    shares = {"clean": clean, "corrupted": worse, "clean_part": part}
    return {
        name: Metric(*proportion(int(right.sum()), len(right)), len(right)).to_json() for name, right in shares.items()
    }


def gains(
    plain: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray], rows: np.ndarray
) -> dict[str, Any]:
    """What another rung changes against the plain one, JSON-ready; each is (clean, corrupted) as in `measured`."""
    clean, worse = paired_proportions(plain[0], other[0]), paired_proportions(plain[1], other[1])
    found = {
        "clean": Metric(*clean, len(plain[0]), "points").to_json(),
        "corrupted": Metric(*worse, len(plain[1]), "points").to_json(),
    }
    share = recovered(plain[0][rows], plain[1], other[1])
    if share is not None:
        found["recovered"] = Metric(*share, len(rows)).to_json()
    return found


def recovered(clean: np.ndarray, worse: np.ndarray, better: np.ndarray) -> Estimate | None:
    """The share of the accuracy lost to corruption that is won back, with a paired bootstrap over pictures.

    None where the loss is not above 0 beyond doubt: the share of nothing has no meaning.

    Args:
        clean, worse: bool (N,), the plain rung's right answers before and after corruption.
        better: bool (N,), another rung's after corruption.

    Example:
        >>> right = np.arange(100) < 90
        >>> recovered(right, np.arange(100) < 50, np.arange(100) < 70).value
        0.5
    """
    if paired_proportions(worse, clean).low <= 0:
        return None
    columns = np.stack([clean, worse, better], 1).astype(np.float64)

    def share(sums: np.ndarray) -> np.ndarray:
        lost = sums[:, 0] - sums[:, 1]
        back: np.ndarray = np.divide(sums[:, 2] - sums[:, 1], lost, out=np.full(len(lost), np.nan), where=lost != 0)
        return back

    return bootstrap_sums(columns, {"share": share})["share"]
