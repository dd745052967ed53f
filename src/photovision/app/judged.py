"""Judged: which pictures a model may fairly be judged on: not those that it has learnt by heart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from photovision.core.errors import UsageError
from photovision.data.dataset import SPLITS, Dataset
from photovision.data.scan import scan
from photovision.data.split import make_splits


@dataclass(frozen=True, eq=False)
class Judged:
    """Pictures to judge a model on.

    Attributes:
        dataset: these pictures.
        leaked: positions in it of pictures that resemble, or share a group with, pictures that the model learnt from.
        note: a sentence on how they were chosen.
    """

    dataset: Dataset
    leaked: tuple[int, ...]
    note: str


def judged_part(
    dataset: Dataset,
    info: Mapping[str, Any],
    split: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Judged:
    """Choose the pictures to judge a model on.

    Without `split`: of the very data that the model was trained on, the test pictures of that training; of other data
    its published test split, else its published val split, else all of it.

    Args:
        dataset: labelled pictures.
        info: the content of the model's bundle.json.
        split: "all", "train", "val", "test", or None.
        progress: called with (pictures read, pictures to read) where the split of the training has to be drawn again.

    Raises:
        UsageError: no split of that name.
        DataError: the data has no such split.
    """
    if split is not None and split not in ("all", *SPLITS):
        raise UsageError(f"the split should be all, {', '.join(SPLITS[:-1])} or {SPLITS[-1]}, got '{split}'")
    trained_on_it = (info.get("data") or {}).get("fingerprint") == dataset.fingerprint
    if trained_on_it and split != "all" and ("test" not in dataset.splits or split == "val"):
        return _as_in_training(dataset, info, split or "test", progress)
    chosen = split or next((name for name in ("test", "val") if dataset.splits.get(name)), "all")
    if chosen == "all":
        own = "; the model learnt from some of them, so the figures flatter it" if trained_on_it else ""
        return Judged(dataset, (), f"Judged on all pictures of the data{own}.")
    return Judged(dataset.split(chosen), (), f"Judged on the published {chosen} split.")


def _as_in_training(
    dataset: Dataset, info: Mapping[str, Any], split: str, progress: Callable[[int, int], None] | None
) -> Judged:
    seed = int((info.get("training") or {}).get("seed", 0))
    splits = make_splits(dataset, scan(dataset, progress=progress), seed=seed)
    positions = {"train": splits.train, "val": splits.val, "test": splits.test}[split].tolist()
    leaks = set(splits.leaked.tolist())
    leaked = tuple(row for row, position in enumerate(positions) if position in leaks)
    return Judged(dataset.subset(positions), leaked, f"Judged on the {split} pictures of the model's own training.")
