"""Remember: what a finished model keeps of its images, so that new ones can be compared with them, for every task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.types import Ints, Sample
from photovision.data.dataset import Dataset
from photovision.engine.drift import DriftModel
from photovision.runtime.held_out import HELD_OUT_FILE, HeldOut, write_held_out
from photovision.runtime.neighbours import MAX_IMAGES, NeighbourIndex, write_references

_ENOUGH = 100  # test images, from which on they stand for the usual ones


def remember_embeddings(model: Any, train: Dataset, held_out: Dataset, folder: Path, seed: int) -> HeldOut:
    """Write a bundle's references (embeddings of training images) and its predictions for held-out images.

    Args:
        model, train, folder, seed: as for `remember_references`.
        held_out: images that it did not learn from.

    Returns:
        the predictions for the readable ones of all held-out images.
    """
    remember_references(model, train, folder, seed)
    predicted: HeldOut = model.bundle.row.part("drift")(model).predict(held_out)
    write_held_out(predicted, folder, seed)
    return predicted


def remember_references(model: Any, train: Dataset, folder: Path, seed: int) -> None:
    """Write a bundle's references: embeddings of training images.

    Everything is computed by the exported graph, in its arithmetic, as the part "drift" of the task predicts.

    Args:
        model: the bundle as far as it is written, opened.
        train: images that it learned from; at most 2,048 of them are remembered, every class among them.
        folder: of the bundle.
        seed: of the choice.
    """
    compared: DriftModel = model.bundle.row.part("drift")(model)
    known = train.subset(chosen(train, seed))
    learned = compared.predict(known)
    if learned.embedding is not None:
        rows = range(len(known)) if learned.positions is None else learned.positions.tolist()
        samples = [known.samples[row] for row in rows]
        names = tuple(sample.id for sample in samples), tuple(" + ".join(names_of(sample)) for sample in samples)
        write_references(NeighbourIndex(learned.embedding.astype(np.float16), *names), folder)


def remember_usual(tested: HeldOut, leaked: Ints, val: HeldOut | None, count: int, folder: Path, seed: int) -> None:
    """Write a bundle's predictions for held-out images from those that were made to evaluate it.

    Training stopped where validation images were predicted best, which flatters them; so test images that no training
    image is like stand for the usual ones, where there are enough.

    Args:
        tested: for test images, with their positions.
        leaked: int64 (M,), positions of those that a training image is like.
        val: for validation images; None: what the folder has stays.
        count: of validation images.
        folder: of the bundle; what is there of a task that has no embeddings stays.
        seed: of the choice.
    """
    assert tested.positions is not None
    unseen = np.flatnonzero(~np.isin(tested.positions, leaked))
    enough = len(unseen) >= min(_ENOUGH, count) or (val is None and not (folder / HELD_OUT_FILE).is_file())
    kept = tested.take(unseen) if enough else val
    if kept is not None and kept.embedding is not None:
        write_held_out(kept, folder, seed)


def usual(val: Dataset, unseen: Dataset) -> Dataset:
    """The images whose predictions stand for the usual ones: test images that no training image is like, where there
    are enough, for training stopped where validation images were predicted best, which flatters them."""
    return unseen if len(unseen) >= min(_ENOUGH, len(val)) else val


def chosen(train: Dataset, seed: int) -> np.ndarray:
    """Positions of at most 2,048 images, drawn class after class, so that rare classes are remembered, too.

    An image of several classes is drawn as one of its rarest.
    """
    if len(train) <= MAX_IMAGES:
        return np.arange(len(train))
    shuffled = np.random.default_rng(seed).permutation(len(train))
    kinds = _rarest([names_of(sample) for sample in train.samples])
    turn, taken = np.zeros(len(shuffled), dtype=np.int64), Counter[str]()
    for place, row in enumerate(shuffled.tolist()):
        turn[place] = taken[kinds[row]]  # how many of its class come before it
        taken[kinds[row]] += 1
    return np.sort(shuffled[np.argsort(turn, kind="stable")[:MAX_IMAGES]])


def names_of(sample: Sample) -> tuple[str, ...]:
    """The classes that occur in an image: those it is labelled with, else those of its objects or pixels."""
    if sample.target is not None:
        return sample.target
    return () if sample.annotations is None else tuple(sorted(set(sample.annotations.names)))


def _rarest(names: Sequence[tuple[str, ...]]) -> list[str]:
    counts = Counter(name for several in names for name in several)
    return [min(several, key=lambda name: (counts[name], name), default="") for several in names]
