"""Splits: properties that hold for any data, and what becomes of every published split."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import make_folder

from photovision.core.errors import DataError, UsageError
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.read import read_dataset
from photovision.data.scan import UNKNOWN, Scan, scan
from photovision.data.split import MAX_VAL, Splits, make_splits


def known_scan(looks: list[int], readable: list[bool] | None = None) -> Scan:
    """A scan of plain pictures of which those with equal `looks` are copies of each other."""
    count = len(looks)
    ones = np.ones(count, np.int32)
    return Scan(
        readable=np.array(readable if readable is not None else [True] * count, dtype=bool),
        height=ones,
        width=ones,
        rotated=np.zeros(count, bool),
        bytes=np.ones(count, np.int64),
        kind=np.zeros(count, np.uint8),
        kinds=(("PNG", "RGB"),),
        digest=np.array(looks, dtype=np.uint64),
        hash=np.zeros((count, 4), np.uint64),
        colour=np.zeros((count, 32), np.int8),
        detail=np.zeros(count, np.uint8),
        brightness=np.zeros(count, np.float32),
        contrast=np.zeros(count, np.float32),
        low=np.zeros(count, np.float32),
        high=np.zeros(count, np.float32),
        number=np.zeros(count, np.uint8),
        taken=np.full(count, UNKNOWN, np.uint32),
        camera=np.zeros(count, np.uint32),
        problems=(),
        oddities={},
    )


def known_data(
    labels: list[str] | list[tuple[str, ...]],
    groups: list[str] | None = None,
    splits: dict[str, list[int]] | None = None,
) -> Dataset:
    targets = [label if isinstance(label, tuple) else (label,) for label in labels]
    samples = tuple(
        Sample(f"{i:05d}", Path(f"{i}.png"), target, {"group": groups[i]} if groups and groups[i] else {})
        for i, target in enumerate(targets)
    )
    classes = tuple(sorted({name for target in targets for name in target}))
    given_splits = {name: tuple(positions) for name, positions in (splits or {}).items()}
    return Dataset(samples, classes, given_splits, any(len(t) != 1 for t in targets))


def sides(splits: Splits) -> dict[int, str]:
    return {int(i): name for name in ("train", "val", "test") for i in getattr(splits, name)}


@st.composite
def cases(draw: st.DrawFn) -> tuple[Dataset, Scan]:
    """Small data with skewed classes, groups, copies and unreadable files; single- or multi-label."""
    count = draw(st.integers(6, 60))
    pick = random.Random(draw(st.integers(0, 10_000)))
    several = draw(st.booleans())
    if several:
        labels: list = [tuple(name for name in "abcd" if pick.random() < 0.3) for _ in range(count)]
        labels[:2] = [("a",), ("a", "b")]
    else:
        labels = pick.choices("abcd", weights=(20, 8, 3, 1), k=count)
        labels[:4] = "aabb"
    groups = [pick.choice(["", "", *map(str, range(count // 3))]) for _ in range(count)]
    looks = [pick.choice([i, i, i, pick.randrange(count)]) for i in range(count)]
    readable = [i < 4 or pick.random() < 0.9 for i in range(count)]
    return known_data(labels, groups), known_scan(looks, readable)


@given(cases(), st.integers(0, 3))
def test_splits_are_whole_disjoint_and_safe(case: tuple[Dataset, Scan], seed: int) -> None:
    data, found = case
    splits = make_splits(data, found, seed=seed)
    side = sides(splits)
    assert len(side) == len(splits.train) + len(splits.val) + len(splits.test)  # disjoint
    assert sorted(side) == np.flatnonzero(found.readable).tolist()  # whole
    assert splits.leaked.tolist() == []
    for one in side:
        for other in side:
            same_group = data.samples[one].groups.get("group", one) == data.samples[other].groups.get("group", other)
            if same_group or found.digest[one] == found.digest[other]:
                assert side[one] == side[other]


@given(cases(), st.integers(0, 3))
def test_train_has_every_class(case: tuple[Dataset, Scan], seed: int) -> None:
    data, found = case
    present = data.label_matrix[found.readable].any(axis=0)
    assert (data.label_matrix[make_splits(data, found, seed=seed).train].any(axis=0) == present).all()


@given(cases(), st.randoms(use_true_random=False))
def test_splits_do_not_depend_on_the_order_of_the_samples(case: tuple[Dataset, Scan], pick: random.Random) -> None:
    data, found = case
    order = list(range(len(data)))
    pick.shuffle(order)
    shuffled = replace(
        found, **{n: v[order] for n, v in vars(found).items() if isinstance(v, np.ndarray) and n != "duplicates"}
    )
    straight, other = sides(make_splits(data, found)), sides(make_splits(data.subset(order), shuffled))
    assert {order[i]: name for i, name in other.items()} == straight


def test_shares_and_classes_are_kept() -> None:
    data = known_data(["a"] * 700 + ["b"] * 200 + ["c"] * 100)
    splits = make_splits(data, known_scan(list(range(1000))), val=0.1, test=0.2)
    assert (len(splits.train), len(splits.val), len(splits.test)) == (700, 100, 200)
    assert np.bincount(data.labels[splits.test]).tolist() == [140, 40, 20]
    assert np.bincount(data.labels[splits.val]).tolist() == [70, 20, 10]


def test_another_seed_draws_another_split_and_one_seed_always_the_same() -> None:
    data, found = known_data(["a", "b"] * 50), known_scan(list(range(100)))
    first = make_splits(data, found)
    assert make_splits(data, found).test.tolist() == first.test.tolist()
    assert make_splits(data, found, seed=1).test.tolist() != first.test.tolist()


@pytest.mark.parametrize(("count", "counts"), [(1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1))])
def test_tiny_classes_reach_train_first_then_test_then_val(count: int, counts: tuple[int, int, int]) -> None:
    data = known_data(["big"] * 40 + ["mid"] * 30 + ["tiny"] * count)
    splits = make_splits(data, known_scan(list(range(70 + count))))
    assert tuple(int((data.labels[part] == 2).sum()) for part in (splits.train, splits.val, splits.test)) == counts
    assert any("single picture" in note and "tiny" in note for note in splits.notes) == (count == 1)


def test_three_large_groups_of_a_class_reach_every_split() -> None:
    labels = ["a"] * 30 + ["b"] * 60
    groups = [f"patient {i // 10}" for i in range(30)] + [""] * 60
    data = known_data(labels, groups)
    splits = make_splits(data, known_scan(list(range(90))))
    assert [int((data.labels[part] == 0).sum()) for part in (splits.train, splits.val, splits.test)] == [10, 10, 10]


def test_several_labels_are_spread_evenly() -> None:
    pick = random.Random(0)
    labels = [tuple(n for n, p in zip("abc", (0.5, 0.2, 0.03), strict=True) if pick.random() < p) for _ in range(1000)]
    data = known_data(labels)
    splits = make_splits(data, known_scan(list(range(1000))))
    total = data.label_matrix.sum(axis=0)
    for part in (splits.val, splits.test):
        np.testing.assert_allclose(data.label_matrix[part].sum(axis=0), 0.15 * total, atol=2)
        assert abs(len(part) - 150) < 15


LABELS = ["a", "b"] * 50


@pytest.mark.parametrize(
    ("given_splits", "kept", "published"),
    [
        (
            {"train": (0, 60), "val": (60, 80), "test": (80, 100)},
            {"train": (0, 60), "val": (60, 80), "test": (80, 100)},
            True,
        ),
        ({"train": (0, 80), "test": (80, 100)}, {"test": (80, 100)}, True),
        ({"train": (0, 80), "val": (80, 100)}, {"test": (80, 100)}, True),
        ({"test": (80, 100)}, {"test": (80, 100)}, True),
        ({"val": (80, 100)}, {"test": (80, 100)}, True),
        ({"train": (0, 100)}, {}, False),
        ({"test": (0, 100)}, {}, False),
        ({}, {}, False),
    ],
    ids=["all", "no val", "no test", "test among others", "val among others", "only train", "only test", "none"],
)
def test_published_splits(given_splits: dict, kept: dict, published: bool) -> None:
    data = known_data(LABELS, splits={name: list(range(*span)) for name, span in given_splits.items()})
    splits = make_splits(data, known_scan(list(range(100))))
    assert splits.published == published
    assert sorted(sides(splits)) == list(range(100))
    for name, span in kept.items():
        assert getattr(splits, name).tolist() == list(range(*span))
    assert min(map(len, (splits.train, splits.val, splits.test))) >= 10
    assert splits.notes


def test_a_published_val_that_judges_is_said_so() -> None:
    data = known_data(LABELS, splits={"train": list(range(80)), "val": list(range(80, 100))})
    assert "published val split is kept untouched" in make_splits(data, known_scan(list(range(100)))).notes[0]


def test_leaks_of_a_published_test_are_listed_not_removed() -> None:
    groups = [""] * 100
    groups[3] = groups[95] = "patient 7"
    looks = list(range(100))
    looks[99] = 5
    data = known_data(LABELS, groups, {"train": list(range(80)), "test": list(range(80, 100))})
    splits = make_splits(data, known_scan(looks))
    assert splits.test.tolist() == list(range(80, 100))
    assert splits.leaked.tolist() == [95, 99]
    assert any(note.startswith("2 of the 20 test pictures") for note in splits.notes)
    assert any(note.endswith("on the same side wherever the published splits leave it open.") for note in splits.notes)
    drawn = make_splits(replace(data, splits={}), known_scan(looks))
    assert any(note.endswith("They were kept on the same side of the split.") for note in drawn.notes)


def test_a_carved_val_has_no_copies_in_train_and_a_limit() -> None:
    count = 40_000
    looks = [i // 2 for i in range(count)]
    data = known_data(
        ["a", "b", "c", "d"] * (count // 4), splits={"train": list(range(39_000)), "test": list(range(39_000, count))}
    )
    splits = make_splits(data, known_scan(looks))
    assert MAX_VAL * 0.95 <= len(splits.val) <= MAX_VAL
    assert not set(splits.train // 2) & set(splits.val // 2)


def test_unlabelled_pictures_are_in_no_split() -> None:
    data = known_data(LABELS)
    samples = (*data.samples, Sample("x", Path("x.png"), None))
    splits = make_splits(replace(data, samples=samples), known_scan(list(range(101))))
    assert 100 not in sides(splits)


def test_classes_that_a_published_train_lacks_are_named() -> None:
    data = known_data([*LABELS, "new", "new"], splits={"train": list(range(80)), "test": list(range(80, 102))})
    assert any("cannot be learnt: new" in note for note in make_splits(data, known_scan(list(range(102)))).notes)


@pytest.mark.parametrize("labels", [["a"] * 10, ["a", "b", "c"], ["a"] * 10 + ["b"]])
def test_too_few_classes_or_pictures_give_one_line(labels: list[str]) -> None:
    with pytest.raises(DataError, match="at least 2 classes with at least 2 readable pictures each") as caught:
        make_splits(known_data(labels), known_scan(list(range(len(labels)))))
    assert "\n" not in str(caught.value)


def test_other_attributes_can_keep_pictures_together() -> None:
    data = known_data(LABELS)
    samples = tuple(replace(s, groups={"camera": str(i // 10)}) for i, s in enumerate(data.samples))
    data = replace(data, samples=samples)
    side = sides(make_splits(data, known_scan(list(range(100))), group_by="camera"))
    assert all(len({side[i] for i in range(start, start + 10)}) == 1 for start in range(0, 100, 10))
    with pytest.raises(UsageError, match=r"'patient' to group by.*camera"):
        make_splits(data, known_scan(list(range(100))), group_by="patient")


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.5, 0.5), (1.0, 0.0)])
def test_shares_must_leave_something_to_learn_from(val: float, test: float) -> None:
    with pytest.raises(UsageError, match="shares"):
        make_splits(known_data(LABELS), known_scan(list(range(100))), val=val, test=test)


def test_real_files_with_a_broken_and_a_copied_one(tmp_path: Path) -> None:
    make_folder(tmp_path, per_class=10)
    (tmp_path / "circle" / "zz.png").write_bytes((tmp_path / "circle" / "000.png").read_bytes())
    (tmp_path / "square" / "bad.png").write_bytes(b"")
    data = read_dataset(tmp_path)
    side = sides(make_splits(data, scan(data)))
    ids = {sample.id: i for i, sample in enumerate(data.samples)}
    assert side[ids["circle/000.png"]] == side[ids["circle/zz.png"]]
    assert ids["square/bad.png"] not in side
    assert len(side) == 21
