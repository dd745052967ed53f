"""Holdout: which pictures a model may be evaluated on, and learn its confidence from: those that it did not learn from.

Every verb obeys this one rule. A bundle keeps a record of its training pictures (`runtime.training_images`), so that
they are recognised under other names, in other folders and formats, and among new pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.phrases import count
from photovision.core.progress import ProgressCallback
from photovision.core.task import either
from photovision.core.types import Ints
from photovision.data.dataset import SPLITS, Dataset
from photovision.data.near_duplicates import resembling
from photovision.data.scan import Bools, Scan, scan
from photovision.data.sessions import NO_SESSIONS
from photovision.data.split import make_splits, units_of
from photovision.runtime.bundle import Bundle
from photovision.runtime.training_images import (
    RECALIBRATION,
    ROLES,
    TEST,
    TRAIN,
    VAL,
    TrainingImages,
    pixels_of,
    read_training_images,
    roles_of,
    write_training_images,
)

ADOPTED = " What the adopted model learned from is not known: some of these pictures may have been among it."
NO_RECORD = " The model keeps no record of its training pictures: whether some of them are among these is not known."


class HasBundle(Protocol):
    """An opened model of any task."""

    @property
    def bundle(self) -> Bundle:
        """Where it lives."""


@dataclass(frozen=True, eq=False)
class Holdout:
    """Pictures to evaluate a model on.

    Attributes:
        dataset: these pictures, without splits.
        leaked: positions in it of pictures that are training pictures, resemble them, or share a group with them.
        note: sentences on how they were chosen.
    """

    dataset: Dataset
    leaked: tuple[int, ...]
    note: str

    def unseen(self, purpose: str) -> Holdout:
        """Without the leaked ones; raises DataError where none are left for a purpose such as "to compare models"."""
        if not self.leaked:
            return self
        rest = np.setdiff1d(np.arange(len(self.dataset)), self.leaked)
        if not len(rest):
            raise DataError(
                f"all {len(self.dataset):,} pictures are or resemble training pictures: {purpose}, give others"
            )
        left = count(len(self.leaked), "picture")
        note = f" {left} that the training pictures include or resemble {_were(len(self.leaked))} left out."
        return Holdout(self.dataset.subset(rest), (), self.note + note)


@dataclass(frozen=True, eq=False)
class Exposure:
    """What a model knows of the N pictures of a data set.

    Attributes:
        learned: bool (N,), which it learned from.
        related: bool (N,), which resemble those, or share a group with them.
        recalibrated: bool (N,), which its confidence was learned from after the training.
        roles: uint8 (N,) of `runtime.training_images`, for the very data of its training; None for other data.
        recorded: whether it is known at all.
    """

    learned: Bools
    related: Bools
    recalibrated: Bools
    roles: np.ndarray | None = None
    recorded: bool = True


def hold_out(
    dataset: Dataset, models: Sequence[HasBundle], split: str | None = None, progress: ProgressCallback | None = None
) -> Holdout:
    """Choose the pictures to evaluate one or more models on.

    Without `split`: of the very data that a model was trained on, the test pictures of that training; of other data its
    published test split, else its published val split, else all of it; each without the pictures that a model learned
    from. A split that is asked for is taken whole; what leaked is known.

    Args:
        dataset: labelled pictures.
        models: all that are to be evaluated.
        split: "all", "train", "val", "test", or None.
        progress: called with (pictures read, pictures to read) where pictures have to be recognised.

    Raises:
        UsageError: no split of that name.
        DataError: the data has no such split, or no picture that the models did not learn from.
    """
    if split is not None and split not in ("all", *SPLITS):
        raise UsageError(f"the split should be all, {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, got '{split}'")
    known = exposures(dataset, models, progress)
    learned, related, recalibrated = (
        np.any([getattr(one, name) for one in known], axis=0) for name in ("learned", "related", "recalibrated")
    )
    adopted = any("adoption" in model.bundle.info for model in models)
    step = "adoption" if adopted else "own training"
    rows, note = _chosen(dataset, next((one.roles for one in known if one.roles is not None), None), split, step)
    past = int(learned[rows].sum())
    if past and split is None:
        if past == len(rows):
            raise DataError(
                f"the model learned from all {past:,} of these pictures: give others, or choose the split 'all' to"
                " evaluate on them anyway"
            )
        rows = rows[~learned[rows]]
        note += f" {count(past, 'picture')} that the model learned from {_were(past)} left out."
    elif past:
        note += f" The model learned from {past:,} of them, so the figures flatter it."
    if not all(one.recorded for one in known):
        note += ADOPTED if adopted else NO_RECORD
    if taught := int(recalibrated[rows].sum()):
        note += f" The model's confidence was learned from {taught:,} of them, so figures of confidence flatter it."
    leaked = np.flatnonzero((learned | related)[rows])
    whole = len(rows) == len(dataset) and not dataset.splits
    return Holdout(dataset if whole else dataset.subset(rows), tuple(leaked.tolist()), note)


def unseen_part(dataset: Dataset, model: HasBundle, purpose: str, progress: ProgressCallback | None = None) -> Holdout:
    """All pictures of a data set that a model neither learned from nor can know from others that resemble them.

    Of the very data that it was trained on, these are the test pictures of that training.

    Args:
        dataset: labelled pictures; its published splits do not matter here.
        model: that is to learn something from them.
        purpose: such as "to calibrate a model", for the message where none are left.
        progress: as for `hold_out`.

    Raises:
        DataError: there is no such picture.
    """
    (known,) = exposures(dataset, [model], progress)
    seen = known.learned | known.related
    rest = np.flatnonzero(~seen if known.roles is None else (known.roles == TEST) & ~seen)
    if len(dataset) and not len(rest):
        raise DataError(
            f"the model learned from these {len(dataset):,} pictures, or from pictures that resemble them: {purpose},"
            " give others"
        )
    left = len(dataset) - len(rest)
    note = f"{count(len(rest), 'picture')} that took no part in the training."
    note += f" {count(left, 'picture')} that did, or that resemble those, {_were(left)} left out." if left else ""
    part = dataset.subset(rest) if left or dataset.splits else dataset
    return Holdout(part, (), note if known.recorded else NO_RECORD.strip())


def _were(n: int) -> str:
    return "was" if n == 1 else "were"


def _chosen(dataset: Dataset, roles: np.ndarray | None, split: str | None, step: str) -> tuple[Ints, str]:
    """Positions, and a sentence on them."""
    if roles is not None and split != "all":
        name = split or "test"
        return np.flatnonzero(roles == ROLES[name]), f"Evaluated on the {name} pictures of the model's {step}."
    chosen = split or next((name for name in ("test", "val") if dataset.splits.get(name)), "all")
    if chosen == "all":
        return np.arange(len(dataset)), "Evaluated on all pictures of the data."
    if chosen not in dataset.splits:
        if not dataset.splits:
            raise DataError(
                f"the data has no published splits, so there is no '{chosen}': leave the split out to evaluate on all"
                " pictures that the model did not learn from"
            )
        raise DataError(f"the data has no split '{chosen}': choose {either(list(dataset.splits))}, or leave it out")
    return np.array(dataset.splits[chosen], np.int64), f"Evaluated on the published {chosen} split."


def exposures(
    dataset: Dataset,
    models: Sequence[HasBundle],
    progress: ProgressCallback | None = None,
    *,
    seen: Scan | None = None,
) -> list[Exposure]:
    """What each model knows of the pictures, which are read once, and only where that is needed.

    Args:
        dataset: the pictures.
        models: opened ones.
        progress: called with (pictures read, pictures to read).
        seen: what `scan(dataset)` found, where that was done already.
    """
    found: list[Scan] = [] if seen is None else [seen]

    def looks() -> Scan:
        if not found:
            found.append(scan(dataset, progress=progress))
        return found[0]

    return [_exposure(dataset, model.bundle, looks) for model in models]


def _exposure(dataset: Dataset, bundle: Bundle, looks: Callable[[], Scan]) -> Exposure:
    record, n = read_training_images(bundle.path), len(dataset)
    recorded = "adoption" not in bundle.info  # what an adopted model learned from before is unknown
    none = np.zeros(n, bool)
    own = (bundle.info.get("data") or {}).get("fingerprint") == dataset.fingerprint
    if own and (record is None or len(record) < n):  # an older bundle: the split is drawn again
        seed = int((bundle.info.get("training") or {}).get("seed", 0))
        splits = make_splits(dataset, looks(), seed=seed, sessions_by=NO_SESSIONS)
        roles = roles_of(splits, n)
        return Exposure(np.isin(roles, (TRAIN, VAL)), np.isin(np.arange(n), splits.leaked), none, roles)
    if record is None:
        again = (bundle.info.get("recalibrated") or {}).get("data") == dataset.fingerprint
        return Exposure(none, none, np.full(n, again), recorded=False)
    if own and len(record) == n:
        return Exposure(np.isin(record.role, (TRAIN, VAL)), record.leaked, none, record.role, recorded)
    return replace(_recognised(dataset, record, looks(), own), recorded=recorded)


def _recognised(dataset: Dataset, record: TrainingImages, seen: Scan, own: bool) -> Exposure:
    """By their content: pictures of other data, or, where a later step brought more, of the model's own data."""
    pixels = pixels_of(seen)

    def among(part: TrainingImages) -> Bools:
        return seen.readable & (np.isin(seen.digest, part.digest) | np.isin(pixels, part.pixels))

    roles = record.role[: len(dataset)] if own else None
    past, tests = record.at(np.isin(record.role, (TRAIN, VAL))), record.at(record.role == TEST)
    if roles is None:
        # A copy of a training picture that the training's own test split holds, too, is evaluated, as one that leaked.
        learned = among(past) & ~among(tests)
    else:
        later = record.at(np.arange(len(roles), len(record)))
        learned = np.isin(roles, (TRAIN, VAL)) | among(later.at(np.isin(later.role, (TRAIN, VAL))))
    alike = seen.readable & (among(past) | resembling(seen.looks, past.looks))
    units = units_of(dataset, seen, np.flatnonzero(seen.readable))
    related = np.isin(units, units[learned | alike]) & seen.readable
    return Exposure(learned, related, among(record.at(record.role == RECALIBRATION)), roles)


def add_recalibration(folder: Path, dataset: Dataset) -> None:
    """Let a bundle in the making keep that its confidence was learned from these pictures, too."""
    record = read_training_images(folder)
    if record is not None:
        more = TrainingImages.of(scan(dataset), RECALIBRATION)
        write_training_images(record.joined(more), folder)
