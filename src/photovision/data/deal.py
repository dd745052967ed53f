"""Deal: whole units of pictures dealt out to train, val and test, class by class.

Units are dealt rarest class first, to the split that lacks that class most (iterative stratification, Sechidis et al.,
"On the stratification of multi-label data", ECML 2011), which serves single-label and multi-label data alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array

from photovision.core.types import Ints, Sample
from photovision.data.components import mixed

TRAIN, VAL, TEST = 0, 1, 2


def draws_of(samples: Sequence[Sample], seed: int) -> Ints:
    """int64 (N,): random numbers from the seed and the pictures' ids, not their positions."""

    def draw(name: str) -> int:
        return int.from_bytes(hashlib.sha256(f"{seed}:{name}".encode("utf-8", "replace")).digest()[:8], "big") >> 1

    return np.fromiter((draw(sample.id) for sample in samples), np.int64, len(samples))


class Deal:
    """Deals whole units out to train, val and test.

    Args:
        truth: int64 (N, C), sparse: how many pictures of each class every picture is.
        units: int64 (N,), equal for pictures that must stay together.
        draws: int64 (N,), random numbers that belong to the pictures, 0 or more.
        fair: whether large units come to val as small ones do. Else large units are dealt first, so that the shares
            come out well, and mostly go to train, since it lacks most.
    """

    def __init__(self, truth: csr_array, units: Ints, draws: Ints, fair: bool = False) -> None:
        self.truth, self.units, self.draws, self.fair = truth, units, draws, fair

    def __call__(self, pool: Ints, val: float, test: float) -> tuple[Ints, Ints, Ints]:
        """The positions in `pool`, dealt out; train has every class of the pool."""
        units, number = np.unique(self.units[pool], return_inverse=True)
        members = csr_array((np.ones(len(pool), np.int64), (number.ravel(), pool)), (len(units), self.truth.shape[0]))
        order = self._order(pool, number.ravel(), len(units))
        side = np.empty(len(units), dtype=np.int64)
        table = _Table((members @ self.truth)[order], np.array((1 - val - test, val, test)))
        if self.fair:
            table.serve_val()
        side[order] = table.dealt()
        train, held, judged = (pool[side[number.ravel()] == part] for part in (TRAIN, VAL, TEST))
        return train, held, judged

    def _order(self, pool: Ints, number: Ints, count: int) -> Ints:
        """Large units first, and equal ones by their draws; where all are dealt fairly, only by their draws."""
        draws = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(draws, number, self.draws[pool])
        if self.fair:
            return np.argsort(mixed(draws), kind="stable").astype(np.int64)  # the least of many draws is small
        return np.lexsort((draws, -np.bincount(number, minlength=count))).astype(np.int64)


class _Table:
    """The table at which units are dealt: who holds what, and who lacks what.

    Args:
        amounts: int64 (U, C), sparse: how many pictures of each class are in each unit, in the order of dealing.
        shares: float64 (3,), the parts of train, val and test, which sum to 1.
    """

    def __init__(self, amounts: csr_array, shares: np.ndarray) -> None:
        self.amounts, self.by_class, self.shares = amounts, amounts.tocsc(), shares
        self.units_of = np.diff(self.by_class.indptr)
        self.side = np.full(amounts.shape[0], -1)
        self.holding = np.zeros((3, amounts.shape[1]), dtype=np.int64)

    def serve_val(self) -> None:
        """Give val its share in whole units as they come, large ones like small ones, and no more than half a class.

        Units of several pictures come whatever their class has already, so that classes of few large units are held
        out, too; single pictures where their class lacks them.
        """
        total, wanted = np.asarray(self.amounts.sum(axis=0)), self._wanted()[VAL]
        given = np.zeros_like(total)
        for unit in range(self.amounts.shape[0]):
            classes, many = self._row(unit)
            lacks = many.max() > 1 or (given + 0.5 <= wanted)[classes].any()
            fits = (
                given.sum() + many.sum() / 2 <= wanted.sum() and (2 * (given[classes] + many) <= total[classes]).all()
            )
            if lacks and fits:
                given[classes] += many
                self._give(unit, VAL)

    def dealt(self) -> Ints:
        """int64 (U,): TRAIN, VAL or TEST for every unit."""
        wanted = self._wanted()
        if (self.side == VAL).any():  # it was served
            wanted[TRAIN] += wanted[VAL]
            wanted[VAL] = 0
        lacking = wanted.sum(axis=1)
        # Units of the rarest class are dealt first: they have the least choice.
        for column in np.argsort(self.units_of, kind="stable").tolist():
            for unit in self._units(column):
                if self.side[unit] >= 0:
                    continue
                part = max((TRAIN, TEST, VAL), key=lambda p: (wanted[p, column], lacking[p]))
                classes, many = self._row(unit)
                wanted[part, classes] -= many
                lacking[part] -= many.sum()
                self._give(unit, part)
        for part in (TRAIN, TEST, VAL):
            if self.shares[part] > 0:
                self._complete(part)
        return self.side

    def _wanted(self) -> np.ndarray:
        """float64 (3, C): pictures that each split should get; at least one of a tiny class for test, then for val."""
        total = np.asarray(self.amounts.sum(axis=0), dtype=np.float64)
        wanted = np.outer(self.shares, total)
        for part, enough in ((TEST, 2), (VAL, 3)):
            if self.shares[part] > 0:
                wanted[part] = np.where(self.units_of >= enough, np.maximum(wanted[part], 1), 0)
        wanted[TRAIN] = total - wanted[VAL] - wanted[TEST]
        return wanted

    def _complete(self, part: int) -> None:
        """Bring every class that is missing from a split there, by its smallest unit; train gives what it can spare."""
        for column in np.flatnonzero((self.units_of > 0) & (self.holding[part] == 0)).tolist():
            # The last units in the order are the smallest ones.
            for unit in self._units(column)[::-1]:
                held, classes = self.side[unit], self._row(unit)[0]
                if part == TRAIN or (held == TRAIN and (self.holding[TRAIN, classes] > 1).all()):
                    self._give(unit, part)
                    break

    def _give(self, unit: int, part: int) -> None:
        classes, _ = self._row(unit)
        if self.side[unit] >= 0:
            self.holding[self.side[unit], classes] -= 1
        self.holding[part, classes] += 1
        self.side[unit] = part

    def _row(self, unit: int) -> tuple[np.ndarray, np.ndarray]:
        """The classes of a unit and how many pictures it has of each."""
        start, stop = self.amounts.indptr[unit : unit + 2]
        return self.amounts.indices[start:stop], self.amounts.data[start:stop]

    def _units(self, column: int) -> np.ndarray:
        """The units with pictures of a class, in the order of dealing."""
        start, stop = self.by_class.indptr[column : column + 2]
        return np.sort(self.by_class.indices[start:stop])
