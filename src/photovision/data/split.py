"""Who learns, who chooses, who judges: splits that keep groups and near-duplicates on one side.

Pictures that must stay together (same group, same looks) form a unit, which `photovision.data.deal` deals out. Where
features of the pictures are given, val is dealt in whole components of similar pictures instead, so that what chooses
is not what was memorised (`photovision.data.components`).
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_array

from photovision.core.errors import DataError, UsageError
from photovision.core.phrases import count
from photovision.core.types import Floats, Ints
from photovision.data.components import AnyFloats, joined
from photovision.data.dataset import Dataset
from photovision.data.deal import Deal, draws_of
from photovision.data.likeness import Likeness
from photovision.data.patients import kept_apart, patients_of, spoilt
from photovision.data.scan import Scan
from photovision.data.sessions import GROUP, PATIENT, sessions_of

MAX_VAL = 5000
"""A validation split that is carved out by us needs no more pictures than this to choose well."""
VIDEO, SCENE = "video", "scene"
KEPT = (VIDEO, SCENE, PATIENT)
"""Attributes that keep pictures together as "group" does."""
KIND = 5
"""A scene that holds more than the 5th part of the pictures is a kind of place, not one."""
STRETCHES = 20
"""Parts of a video that is too long to be kept whole."""
JOINED = 0.5
"""Part of the share of val that is carved out of train to join a published val."""


@dataclass(frozen=True, eq=False)
class Splits:
    """Positions of the pictures that learn, choose and judge; unreadable and unlabelled ones are in none.

    Attributes:
        train, val, test: int64 positions in the dataset, ascending, without overlap.
        leaked: positions in `test` whose near-duplicate or group is in `train` or `val`.
        published: whether `test` was given by the data rather than drawn by us.
        notes: sentences on how the splits came about.
        similarity: float32 (N,), how alike each picture of val and test is to the nearest of train (cosine of centred
            features, -1 to 1), NaN for others; None where the pictures were not compared.
        component: int64 (N,), equal for pictures that are alike, of which val holds whole components; None likewise.
        units: int64 (N,), equal for pictures that stay together: of one group, or near-duplicates; None where unknown.
    """

    train: Ints
    val: Ints
    test: Ints
    leaked: Ints
    published: bool
    notes: tuple[str, ...] = ()
    similarity: Floats | None = None
    component: Ints | None = None
    units: Ints | None = None

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
    features: AnyFloats | None = None,
    sessions_by: str | None = None,
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
        group_by: attribute whose equal values must stay together, such as "lot"; "group", with which "video" and
            "scene" count, too, may be absent. Patients stay together in any case.
        min_classes: classes that have to be there; 1 for a task that learns from a single one.
        features: float (N, D) that say how alike the pictures are. With them, val is held out of train in whole
            components of similar pictures; a published val is kept, and joined by such components where its pictures
            are as much like those of train as these are like each other. Test is the same as without.
        sessions_by: whose whole capture sessions val holds, too: None those that capture times tell, a column's name
            those that it tells, "none" looks for none. Sessions that would leave too little to learn from are left out.

    Raises:
        DataError: fewer than `min_classes` classes have at least 2 readable pictures.
        UsageError: shares out of range, or no picture has the attribute `group_by` or `sessions_by`.

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
    usable = usable_positions(dataset, scan)
    units = units_of(dataset, scan, usable, group_by)
    truth = _truth(dataset)
    _check_classes(dataset, truth, usable, min_classes)
    draws = draws_of(dataset.samples, seed)
    sessions = sessions_of(dataset, scan, sessions_by)
    likeness = Likeness.of(
        dataset, truth, usable, units, draws, features=features, sessions=sessions, share=val / (1 - test)
    )
    dealer = _Dealer(Deal(truth, units, draws), likeness)
    patients = patients_of(dataset)
    (train, held, judged), notes, published = _by_patient(dataset, usable, dealer, val, test, patients)
    seen = np.unique(units[np.concatenate([train, held])])
    leaked = judged[np.isin(units[judged], seen)]
    if len(leaked):
        notes.append(
            f"{len(leaked):,} of the {len(judged):,} test pictures have a near-duplicate or their group in train or"
            " val; scores are stated with and without them."
        )
    apart = sum(len(np.unique(units[part])) for part in (train, held, judged)) > len(np.unique(units[usable]))
    notes += _remarks(dataset, truth, units, usable, train, apart)
    splits = Splits(train, held, judged, leaked, published, tuple(notes), units=units)
    if likeness is None:
        return replace(splits, component=units) if (patients >= 0).any() else splits
    return _known(splits, likeness)


def _known(splits: Splits, likeness: Likeness) -> Splits:
    """Splits with how alike their pictures are, and notes on it."""
    similarity = likeness.similarity(np.concatenate([splits.val, splits.test]), splits.train)
    first, *others = splits.notes  # how they were split; what follows are caveats
    if similarity is not None and len(splits.val) + len(splits.test):
        parts = (("val", splits.val), ("test", splits.test))
        means = [f"{float(similarity[part].mean()):.2f} for {name}" for name, part in parts if len(part)]
        first += f" The similarity to the nearest training picture is on average {' and '.join(means)}."
    notes = (first, *others, *([likeness.note] if likeness.note else []))
    return replace(splits, notes=notes, similarity=similarity, component=likeness.component)


def _by_patient(
    dataset: Dataset, usable: Ints, dealer: _Dealer, val: float, test: float, patients: Ints
) -> tuple[tuple[Ints, Ints, Ints], list[str], bool]:
    """The sides with no patient on two of them, notes, and whether the test split was published."""
    known = {name: usable[np.isin(usable, positions)] for name, positions in dataset.splits.items()}
    redrawn = spoilt(patients, known)
    parts, notes, published = _published(replace(dataset, splits={}) if redrawn else dataset, usable, dealer, val, test)
    if redrawn:
        notes.append("The published split parts the pictures of most patients, so it is drawn again by patient.")
    sides = kept_apart(dataset, patients, *(np.sort(part) for part in parts))
    how = " ".join((notes[0], sides.shared) if sides.shared else (notes[0],))
    return (sides.train, sides.val, sides.test), [how, *notes[1:], *sides.notes], published


@dataclass(frozen=True, eq=False)
class _Dealer:
    """Draws splits: test by units, val by components where pictures were compared, else by units, too."""

    deal: Deal
    likeness: Likeness | None

    def draw(self, pool: Ints, val: float, test: float) -> tuple[tuple[Ints, Ints, Ints], str]:
        """Train, val and test of a pool, and how val was drawn, in words."""
        train, held, judged = self.deal(pool, val, test)
        if self.likeness is None or not len(held):
            return (train, held, judged), ""
        left, whole, _ = self.likeness.deal(np.sort(np.concatenate([train, held])), val / (1 - test), 0.0)
        if len(whole) > max(2 * val * len(pool), len(held)):  # too much would be missing from what is learned
            return (train, held, judged), ""
        return (left, whole, judged), f" as whole {self.likeness.how}."

    def joins(self, val: Ints, train: Ints) -> bool:
        """Whether a published val is to be joined by components of train."""
        return self.likeness is not None and self.likeness.close(val, train)


def _held_out(how: str) -> str:
    return f" Val is held out{how}" if how else ""


def _published(
    dataset: Dataset, usable: Ints, dealer: _Dealer, val: float, test: float
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
        parts, how = dealer.draw(pool, val, test)
        return parts, [note + why + _held_out(how)], False
    train = given["train"]
    # Every class may add a picture to its share, so that many is kept in reserve.
    share = min(val, max(MAX_VAL - len(dataset.classes), MAX_VAL // 2) / len(train))
    if "test" in given and "val" in given:
        note = "Train, val and test are the published ones."
        if not dealer.joins(given["val"], train):
            return (train, given["val"], given["test"]), [note], True
        (kept, carved, _), how = dealer.draw(train, JOINED * share, 0.0)
        if len(carved) > share * len(train):  # whole videos or groups: they would be missed more than they help
            return (train, given["val"], given["test"]), [note], True
        note += (
            f" The val pictures are as much like the training pictures as these are like each other, so {len(carved):,}"
            f" of train join them{how}"
        )
        return (kept, np.concatenate([given["val"], carved]), given["test"]), [note], True
    (kept, carved, _), how = dealer.draw(train, share, 0.0)
    if "test" in given:
        note = f"The published test split is kept; val is {len(carved):,} pictures carved out of train."
        return (kept, carved, given["test"]), [note + _held_out(how)], True
    note = (
        "The published val split is kept untouched and serves as the test split; for choosing,"
        f" a new val of {len(carved):,} pictures is carved out of train."
    )
    return (kept, carved, given["val"]), [note + _held_out(how)], True


def usable_positions(dataset: Dataset, scan: Scan) -> Ints:
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
    shown = _shown([f"{name}: {number}" for name, number in zip(dataset.classes, counts.tolist(), strict=True)])
    raise DataError(
        f"this training needs at least {least} {'class' if least == 1 else 'classes'} with at least 2 readable pictures"
        f"{'' if least == 1 else ' each'}, got {count(len(usable), 'picture')} in"
        f" {count(len(dataset.classes), 'class', 'classes')} ({shown}): add pictures or classes"
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
    columns = [GROUP, *KEPT] if group_by == GROUP else [] if group_by is None else [group_by, PATIENT]
    for name in columns:
        values = [dataset.samples[int(position)].groups.get(name, "") for position in usable]
        if name == group_by != GROUP and not any(values):
            known = sorted({name for position in usable for name in dataset.samples[int(position)].groups})
            raise UsageError(f"no picture has the attribute '{name}' to group by; known: {', '.join(known) or 'none'}")
        if name == SCENE and _is_kind(values):
            continue
        if name == VIDEO:
            values = in_stretches(values)
        first: dict[str, int] = {}
        named = [(int(p), first.setdefault(v, int(p))) for p, v in zip(usable, values, strict=True) if v]
        pairs = np.array(named, dtype=np.int64).reshape(-1, 2)
        links.append((pairs[:, 0], pairs[:, 1]))
    one, other = (np.concatenate(ends) for ends in zip(*links, strict=True))
    return joined(len(dataset), one, other)


def in_stretches(videos: Sequence[str]) -> list[str]:
    """The video of every frame, one that holds more than half of the frames being cut into twenty stretches.

    Such a video kept whole would leave nothing to choose or to judge with; only neighbours at the cuts are then apart.

    Args:
        videos: of N frames in their order, "" for pictures of none.

    Example:
        >>> in_stretches(["a"] * 4 + ["b"])
        ['a 0', 'a 5', 'a 10', 'a 15', 'b']
    """
    counts, seen, found = Counter(videos), Counter[str](), []
    for video in videos:
        large = bool(video) and 2 * counts[video] > len(videos)
        found.append(f"{video} {STRETCHES * seen[video] // counts[video]}" if large else video)
        seen[video] += 1
    return found


def _is_kind(values: Sequence[str]) -> bool:
    """Whether a scene is a kind of place ("indoor", "city street") that many pictures share, not one place."""
    named = Counter(value for value in values if value)
    return bool(named) and max(named.values()) > len(values) / KIND


def _remarks(dataset: Dataset, truth: csr_array, units: Ints, usable: Ints, train: Ints, apart: bool) -> list[str]:
    """What is odd about the data; `apart` is whether published splits part pictures that belong together."""
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
        groups = "" if many == 1 else f", in {many:,} groups"
        side = "wherever the published splits leave it open" if apart else "of the split"
        remarks.append(
            f"{kept:,} pictures look almost the same or share a group{groups}. They were kept on the same side {side}."
        )
    return remarks


def _shown(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
