"""Material: the pictures of one training, read, checked and split, before anything is learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError
from photovision.core.phrases import count
from photovision.core.preprocess import Preprocess
from photovision.core.progress import ProgressCallback
from photovision.core.types import Floats, Ints
from photovision.core.value_range import ValueRanges, windows_in
from photovision.data.components import AnyFloats
from photovision.data.corrections import LABEL, NAME
from photovision.data.dataset import Dataset, Problem
from photovision.data.scan import Scan, scan
from photovision.data.scan_ahead import Scanned
from photovision.data.split import Splits, make_splits, usable_positions
from photovision.runtime.training_images import TrainingImages, write_training_images

Embed = Callable[[Dataset, Ints, int], tuple[AnyFloats | None, str]]
"""From a data set, the positions of its usable pictures and their typical side to features (N, D) or None, and why."""
ENOUGH = 10
"""Pictures of each class with which train, val and test are filled."""
SMALL_SIDE = 64
"""Pictures of no more pixels on their shorter side are too small for networks that know photographs."""
MOST_VALUES = 200
"""Attributes with more values than this (file numbers, patients) are no groups to compare."""


@dataclass(frozen=True, eq=False)
class TrainingSplits:
    """Pictures, and who learns, selects and judges with which.

    Attributes:
        dataset: all samples.
        splits: positions of train, val and test.
        problems: files that are used by nobody, with the reason.
        sides: int32 (N,), the shorter side of every picture in pixels; 0 where unreadable.
        record: by which the finished model recognises these pictures; None where nothing is to be recognised.
        ranges: what is black and what is white in pictures of more than 8 bits, as those to learn from have it.
    """

    dataset: Dataset
    splits: Splits
    problems: tuple[Problem, ...]
    sides: np.ndarray
    record: TrainingImages | None = None
    ranges: ValueRanges = ()

    def shown(self, preprocess: Preprocess) -> Preprocess:
        """How pictures become the input of a network that learns from these."""
        return replace(preprocess, value_ranges=self.ranges)

    @cached_property
    def train(self) -> Dataset:
        """Pictures to learn from."""
        return self.dataset.subset(self.splits.train)

    @cached_property
    def val(self) -> Dataset:
        """Pictures that select."""
        return self.dataset.subset(self.splits.val)

    @cached_property
    def test(self) -> Dataset:
        """Pictures that judge, once."""
        return self.dataset.subset(self.splits.test)

    @property
    def train_and_val(self) -> Dataset:
        """Pictures that a network learned from which learned from those of val, too."""
        return self.dataset.subset(np.sort(np.concatenate([self.splits.train, self.splits.val])))

    @property
    def small(self) -> bool:
        """Whether the pictures are so small that networks for photographs would look at enlarged blur."""
        return self.typical_side <= SMALL_SIDE

    @property
    def typical_side(self) -> int:
        """Median of the shorter sides of the training pictures, in pixels."""
        return int(np.median(self.sides[self.splits.train]))

    @property
    def similarity(self) -> Floats:
        """float32 (N,): how alike each picture of val and test is to the nearest of train, NaN where unknown."""
        known = self.splits.similarity
        return np.full(len(self.dataset), np.nan, np.float32) if known is None else known

    @property
    def component(self) -> Ints:
        """int64 (N,): equal for pictures that are alike, to be drawn together; each its own where unknown."""
        known = self.splits.component
        return np.arange(len(self.dataset)) if known is None else known

    @property
    def leaked(self) -> Ints:
        """Positions within `test` of pictures that have a look-alike in train or val."""
        return np.flatnonzero(np.isin(self.splits.test, self.splits.leaked)).astype(np.int64)

    @property
    def unseen(self) -> Dataset:
        """The pictures of `test` that have no look-alike in train or val."""
        return self.test.subset(np.delete(np.arange(len(self.test)), self.leaked))

    def without_test(self) -> TrainingSplits:
        """The same, where the pictures that would judge are learned from, too; nothing can then be proved."""
        own, none = self.splits, np.empty(0, np.int64)
        train = np.sort(np.concatenate([own.train, own.test]))
        return replace(self, splits=replace(own, train=train, test=none, leaked=none))

    def remember(self, folder: Path) -> None:
        """Let a bundle in the making keep by which it recognises its training pictures."""
        if self.record is not None:
            write_training_images(self.record, folder)

    def describe(self) -> dict[str, Any]:
        """What the bundle says of the data, JSON-ready."""
        counts = {name: len(getattr(self.splits, name)) for name in ("train", "val", "test")}
        per_class = self.train.label_matrix.sum(0).astype(int).tolist()
        return {
            "fingerprint": self.dataset.fingerprint,
            "source": self.dataset.source,
            "counts": counts,
            "train_per_class": dict(zip(self.dataset.classes, per_class, strict=True)),
            "groups": self._groups(),
            "published_split": self.splits.published,
            "notes": [*self.splits.notes, *self._corrected()],
            "problems": [vars(problem) for problem in self.problems[:1000]],
            "quarantined": len(self.problems),
            "recorded": self.record is not None,
        }

    def _corrected(self) -> list[str]:
        """What people changed, in a sentence."""
        count = sum(change.applied and change.decision == LABEL for change in self.dataset.corrections)
        return (
            [f"{count:,} {'label was' if count == 1 else 'labels were'} corrected by hand, in {NAME}."] if count else []
        )

    def _groups(self) -> dict[str, dict[str, int]]:
        """Attribute -> value -> how many training pictures have it; attributes of very many values are left out."""
        found: dict[str, Counter[str]] = {}
        for sample in self.train.samples:
            for name, value in sample.groups.items():
                found.setdefault(name, Counter())[value] += 1
        return {name: dict(counts.most_common()) for name, counts in found.items() if len(counts) <= MOST_VALUES}


def gather(
    dataset: Dataset,
    *,
    seed: int,
    min_classes: int = 2,
    progress: ProgressCallback | None = None,
    embed: Embed | None = None,
    sessions_by: str | None = None,
    scanned: Scanned | None = None,
) -> TrainingSplits:
    """Check every picture, compare them, and split.

    Args:
        dataset: N pictures with their truths.
        seed, min_classes, sessions_by: as for `data.split.make_splits`.
        progress: called with (pictures checked, N).
        embed: gives features of the pictures, by which val is held out; None compares none.
        scanned: gives their scan, where one is under way already.

    Raises:
        DataError: too few readable pictures to learn from, to select with, or to judge with.
    """
    found: Scan = scan(dataset, progress=progress) if scanned is None else scanned()
    sides = np.minimum(found.height, found.width).astype(np.int32)
    usable = usable_positions(dataset, found)
    features, why = None, ""
    if embed is not None and len(usable):
        shown = dataset.shown_by((*windows_in(dataset.samples[0].ranges), *found.value_ranges()))
        features, why = embed(shown, usable, int(np.median(sides[usable])))
    splits = make_splits(dataset, found, seed=seed, min_classes=min_classes, features=features, sessions_by=sessions_by)
    if why:
        splits = replace(splits, notes=(*splits.notes, why))
    problems = (*dataset.problems, *found.problems)
    short = [name for name, least in (("train", 2), ("val", 1), ("test", 1)) if len(getattr(splits, name)) < least]
    if short:
        broken = f"; {count(len(problems), 'file')} could not be used, first: {problems[0].message}" if problems else ""
        raise DataError(
            f"{count(len(usable), 'readable picture')} in {count(len(dataset.classes), 'class', 'classes')} are too few"
            f" to learn from and to test on ({short[0]} would have {len(getattr(splits, short[0]))}{broken}): add some,"
            f" to at least {ENOUGH} of each class"
        )
    windows = windows_in(dataset.samples[0].ranges)
    ranges = (*windows, *found.value_ranges(splits.train))
    return TrainingSplits(dataset.shown_by(ranges), splits, problems, sides, TrainingImages.of(found, splits), ranges)
