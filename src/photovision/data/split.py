"""Who learns, who chooses, who judges: splits that keep groups and near-duplicates on one side.

Pictures that must stay together (same group, same looks) form a unit. Units are dealt out class by class, rarest class
first, to the split that lacks that class most (iterative stratification, Sechidis et al., "On the stratification of
multi-label data", ECML 2011), which serves single-label and multi-label data alike.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from photovision.core.errors import DataError, UsageError
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.data.scan import Scan

MAX_VAL = 5000
"""A validation split that is carved out by us needs no more pictures than this to choose well."""
GROUP = "group"
VIDEO, SCENE = KEPT = ("video", "scene")
"""Attributes that keep pictures together as "group" does."""
KIND = 5
"""A scene that holds more than the 5th part of the pictures is a kind of place, not one."""
TRAIN, VAL, TEST = 0, 1, 2


@dataclass(frozen=True, eq=False)
class Splits:
    """Positions of the pictures that learn, choose and judge; unreadable and unlabelled ones are in none.

    Attributes:
        train, val, test: int64 positions in the dataset, ascending, without overlap.
        leaked: positions in `test` whose near-duplicate or group is in `train` or `val`.
        published: whether `test` was given by the data rather than drawn by us.
        notes: sentences on how the splits came about.
    """

    train: Ints
    val: Ints
    test: Ints
    leaked: Ints
    published: bool
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        together = np.concatenate([self.train, self.val, self.test])
        if len(np.unique(together)) != len(together):
            raise DataError("a picture is in two splits: give each picture one split")
        if not np.isin(self.leaked, self.test).all():
            raise UsageError("leaked positions should be among the test positions")


def make_splits(
    dataset: Dataset,
    scan: Scan,
    *,
    seed: int = 0,
    val: float = 0.15,
    test: float = 0.15,
    group_by: str | None = GROUP,
    min_classes: int = 2,
) -> Splits:
    """Split a dataset, honouring the published split where there is one; the same for every order of the samples.

    Without a published split all three are drawn. A published test split is kept as it is, and val is carved out of
    train where it lacks. Train and val without test: the published val becomes the test split, and a new val is carved
    out of train.

    Args:
        dataset: N pictures with their truths.
        scan: what `scan(dataset)` found.
        seed: another seed draws another split.
        val, test: shares of the pictures, 0 or more and together below 1.
        group_by: attribute whose equal values must stay together, such as "patient"; "group", with which "video" and
            "scene" count, too, may be absent.
        min_classes: classes that have to be there; 1 for a task that learns from a single one.

    Raises:
        DataError: fewer than `min_classes` classes have at least 2 readable pictures.
        UsageError: shares out of range, or no picture has the attribute `group_by`.

    Example:
        >>> from photovision.data.read import dataset_from_arrays
        >>> from photovision.data.scan import scan
        >>> noise = np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)
        >>> data = dataset_from_arrays(noise, ["a", "b"] * 10)
        >>> splits = make_splits(data, scan(data))
        >>> len(splits.train), len(splits.val), len(splits.test)
        (14, 3, 3)
    """
    if not (0 <= val < 1 and 0 <= test < 1 and val + test < 1):
        raise UsageError(f"val and test should be shares of 0 or more, together below 1, got {val} and {test}")
    usable = _usable(dataset, scan)
    units = units_of(dataset, scan, usable, group_by)
    truth = _truth(dataset)
    _check_classes(dataset, truth, usable, min_classes)
    deal = _Deal(dataset, truth, units, seed)
    parts, notes, published = _published(dataset, usable, deal, val, test)
    train, held, judged = (np.sort(part) for part in parts)
    seen = np.unique(units[np.concatenate([train, held])])
    leaked = judged[np.isin(units[judged], seen)]
    if len(leaked):
        notes.append(
            f"{len(leaked):,} of the {len(judged):,} test pictures have a near-duplicate or their group in train or"
            " val; scores are stated with and without them."
        )
    notes += _remarks(dataset, truth, units, usable, train)
    return Splits(train, held, judged, leaked, published, tuple(notes))


def _published(
    dataset: Dataset, usable: Ints, deal: _Deal, val: float, test: float
) -> tuple[tuple[Ints, Ints, Ints], list[str], bool]:
    """Train, val and test with notes, and whether the test split was published."""
    given = {name: usable[np.isin(usable, dataset.splits[name])] for name in dataset.splits}
    given = {name: positions for name, positions in given.items() if len(positions)}
    rest = np.setdiff1d(usable, np.concatenate([*given.values(), np.empty(0, np.int64)]))
    if given and "train" not in given and len(rest):
        given["train"] = rest  # a table that marks test pictures only means that the others learn
    if "train" not in given or given.keys() == {"train"}:
        pool = np.sort(np.concatenate(list(given.values()))) if given else usable
        note = (
            f"Split at random by classes, with groups and near-duplicates kept together: val {val:.0%}, test {test:.0%}"
        )
        why = f" (the data has only {' and '.join(given)})." if given else "."
        return deal(pool, val, test), [note + why], False
    train = given["train"]
    if "test" in given and "val" in given:
        return (train, given["val"], given["test"]), ["Train, val and test are the published ones."], True
    # Every class may add a picture to its share, so that many is kept in reserve.
    share = min(val, max(MAX_VAL - len(dataset.classes), MAX_VAL // 2) / len(train))
    kept, carved, _ = deal(train, share, 0.0)
    if "test" in given:
        note = f"The published test split is kept; val is {len(carved):,} pictures carved out of train."
        return (kept, carved, given["test"]), [note], True
    note = (
        "The published val split is kept untouched and serves as the test split; for choosing,"
        f" a new val of {len(carved):,} pictures is carved out of train."
    )
    return (kept, carved, given["val"]), [note], True


def _usable(dataset: Dataset, scan: Scan) -> Ints:
    """Positions of readable, labelled pictures."""
    if len(scan) != len(dataset):
        raise UsageError(f"the scan is of {len(scan):,} pictures, the dataset has {len(dataset):,}: scan it again")
    labelled = np.array([sample.target is not None for sample in dataset.samples], dtype=bool)
    return np.flatnonzero(scan.readable & labelled)


def _truth(dataset: Dataset) -> csr_array:
    """int64 (N, C + 1), sparse: the classes of every picture, and a last column for those that have none."""
    index = {name: number for number, name in enumerate(dataset.classes)}
    columns, ends = array("q"), array("q", [0])  # a fifth of the memory of lists
    for sample in dataset.samples:
        columns.extend([index[name] for name in sample.target or ()] or [len(index)])
        ends.append(len(columns))
    parts = np.ones(len(columns), np.int64), np.asarray(columns), np.asarray(ends)
    return csr_array(parts, shape=(len(dataset), len(index) + 1))


def _counts(truth: csr_array, positions: Ints) -> Ints:
    """int64 (C,): how many of the pictures are of each class."""
    return np.asarray(truth[positions].sum(axis=0), dtype=np.int64)[:-1]


def _check_classes(dataset: Dataset, truth: csr_array, usable: Ints, least: int) -> None:
    counts = _counts(truth, usable)
    if len(usable) >= 2 and (dataset.multilabel or (counts >= 2).sum() >= least):
        return
    shown = _shown([f"{name}: {count}" for name, count in zip(dataset.classes, counts.tolist(), strict=True)])
    raise DataError(
        f"this training needs at least {least} {'class' if least == 1 else 'classes'} with at least 2 readable pictures"
        f"{'' if least == 1 else ' each'}, but there are"
        f" {len(dataset.classes)} class(es) with {len(usable):,} picture(s) ({shown}): add pictures or classes"
    )


def units_of(dataset: Dataset, scan: Scan, usable: Ints, group_by: str | None = GROUP) -> Ints:
    """Which pictures must stay together: those of equal groups or equal looks, also in chains.

    Args:
        dataset: N pictures.
        scan: what `scan(dataset)` found.
        usable: int64 positions of the pictures whose groups count.
        group_by: attribute whose equal values must stay together; None for looks alone.

    Returns:
        int64 (N,): equal numbers stay together.
    """
    links: list[tuple[Ints, Ints]] = [(np.arange(len(dataset)), scan.duplicates)]
    columns = [GROUP, *KEPT] if group_by == GROUP else [name for name in (group_by,) if name is not None]
    for name in columns:
        values = [dataset.samples[int(position)].groups.get(name, "") for position in usable]
        if name not in (GROUP, *KEPT) and not any(values):
            known = sorted({name for position in usable for name in dataset.samples[int(position)].groups})
            raise UsageError(f"no picture has the attribute '{name}' to group by; known: {', '.join(known) or 'none'}")
        if name == SCENE and _is_kind(values):
            continue
        first: dict[str, int] = {}
        named = [(int(p), first.setdefault(v, int(p))) for p, v in zip(usable, values, strict=True) if v]
        pairs = np.array(named, dtype=np.int64).reshape(-1, 2)
        links.append((pairs[:, 0], pairs[:, 1]))
    one, other = (np.concatenate(ends) for ends in zip(*links, strict=True))
    graph = coo_array((np.ones(len(one), dtype=np.int8), (one, other)), shape=(len(dataset), len(dataset)))
    units: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return units


def _is_kind(values: Sequence[str]) -> bool:
    """Whether a scene is a kind of place ("indoor", "city street") that many pictures share, not one place."""
    named = Counter(value for value in values if value)
    return bool(named) and max(named.values()) > len(values) / KIND


class _Deal:
    """Deals whole units out to train, val and test."""

    def __init__(self, dataset: Dataset, truth: csr_array, units: Ints, seed: int) -> None:
        self.dataset, self.truth, self.units, self.seed = dataset, truth, units, seed

    def __call__(self, pool: Ints, val: float, test: float) -> tuple[Ints, Ints, Ints]:
        """The positions in `pool`, dealt out; train has every class of the pool."""
        units, number = np.unique(self.units[pool], return_inverse=True)
        members = csr_array((np.ones(len(pool), np.int64), (number.ravel(), pool)), (len(units), len(self.dataset)))
        order = self._order(pool, number.ravel(), len(units))
        side = np.empty(len(units), dtype=np.int64)
        side[order] = _Table((members @ self.truth)[order], np.array((1 - val - test, val, test))).dealt()
        train, held, judged = (pool[side[number.ravel()] == part] for part in (TRAIN, VAL, TEST))
        return train, held, judged

    def _order(self, pool: Ints, number: Ints, count: int) -> Ints:
        """Large units first, equal ones in an order drawn from the seed and the pictures' ids, not their positions."""
        draws = np.full(count, np.iinfo(np.int64).max)
        for position, unit in zip(pool.tolist(), number.tolist(), strict=True):
            name = self.dataset.samples[position].id
            draw = hashlib.sha256(f"{self.seed}:{name}".encode("utf-8", "replace")).digest()[:8]
            draws[unit] = min(draws[unit], int.from_bytes(draw, "big") >> 1)
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

    def dealt(self) -> Ints:
        """int64 (U,): TRAIN, VAL or TEST for every unit."""
        wanted = self._wanted()
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


def _remarks(dataset: Dataset, truth: csr_array, units: Ints, usable: Ints, train: Ints) -> list[str]:
    remarks = []
    counts = _counts(truth, usable)
    alone = [name for name, count in zip(dataset.classes, counts, strict=True) if count == 1]
    if alone:
        remarks.append(f"Classes with a single picture cannot be judged: {_shown(alone)}.")
    learnt = _counts(truth, train)
    unseen = [name for name, n, all_ in zip(dataset.classes, learnt, counts, strict=True) if n == 0 and all_ > 0]
    if unseen:
        remarks.append(f"Classes without a picture in the published train split cannot be learnt: {_shown(unseen)}.")
    _, sizes = np.unique(units[usable], return_counts=True)
    if (sizes > 1).any():
        kept, many = int(sizes[sizes > 1].sum()), int((sizes > 1).sum())
        remarks.append(
            f"{kept:,} pictures share a group of near-duplicates or of equal group values ({many:,} in all)."
        )
    return remarks


def _shown(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
