"""Who learns and who judges in a private training, by a rule under which nobody's pictures move another's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from photovision.core.errors import DataError, UsageError
from photovision.core.phrases import count
from photovision.core.types import Ints
from photovision.data.dataset import Dataset

TEST_SHARE = 0.2
_LEAST = 20  # test pictures


@dataclass(frozen=True, eq=False)
class PrivateSplit:
    """Positions of the pictures that are protected, and of those that judge.

    Attributes:
        train: int64 (N,), to learn from.
        units: int64 (N,), equal for pictures of one unit: each its own, or those of a person.
        test: int64 (M,), of other units; their pictures are not protected.
        published: whether the data came with this split.
    """

    train: Ints
    units: Ints
    test: Ints
    published: bool

    @property
    def count(self) -> int:
        """How many units learn."""
        return len(np.unique(self.units))


def private_split(dataset: Dataset, per: str | None, seed: int) -> PrivateSplit:
    """The published test split, else a fifth of the units, each by a hash of its own name and the seed alone.

    Args:
        dataset: labelled pictures, one class each.
        per: an attribute whose equal values are one person; None protects pictures.
        seed: of the hash.

    Raises:
        UsageError: pictures have no such attribute.
        DataError: people are in both splits, or too few pictures judge.
    """
    names = _units(dataset, per)
    published = "test" in dataset.splits or "val" in dataset.splits
    if published:
        part = "test" if "test" in dataset.splits else "val"
        judges = np.zeros(len(dataset), bool)
        judges[list(dataset.splits[part])] = True
    else:
        judges = np.array([_drawn(name, seed) for name in names])
    train, test = np.flatnonzero(~judges), np.flatnonzero(judges)
    both = {names[row] for row in train} & {names[row] for row in test}
    if per is not None and both:
        raise DataError(
            f"{count(len(both), 'value')} of '{per}' are in train and in test: give the test pictures of other people,"
            " or no splits"
        )
    if len(test) < _LEAST or not len(train):
        raise DataError(
            f"{count(len(test), 'picture')} would judge and {len(train):,} teach, at least {_LEAST} should judge: add"
            " pictures, or a test split"
        )
    units = np.unique([names[row] for row in train], return_inverse=True)[1].astype(np.int64)
    return PrivateSplit(train, units, test, published)


def _units(dataset: Dataset, per: str | None) -> list[str]:
    if per is None:
        return [sample.id for sample in dataset.samples]
    missing = sum(per not in sample.groups for sample in dataset.samples)
    if missing:
        known = sorted({name for sample in dataset.samples for name in sample.groups})
        raise UsageError(
            f"{count(missing, 'picture')} of {len(dataset):,} have no '{per}': each has to belong to somebody;"
            f" known attributes: {', '.join(known) or 'none'}"
        )
    return [sample.groups[per] for sample in dataset.samples]


def _drawn(name: str, seed: int) -> bool:
    digest = hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") < TEST_SHARE * 2**64
