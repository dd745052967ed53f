"""Components of similar pictures: planted capture sessions are found, and val is held out in whole ones."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from test_split import known_data, known_scan, sides

from photovision.core.errors import UsageError
from photovision.data.components import DEGREES, centred, components, mixed_components, nearest_similarity
from photovision.data.dataset import Dataset
from photovision.data.split import make_splits

CLASSES, SESSIONS, EACH = 3, 4, 8


def planted(spread: float = 0.15, seed: int = 0) -> tuple[Dataset, np.ndarray, np.ndarray]:
    """3 classes of 4 sessions of 8 pictures, with features and the session of every picture."""
    rng = np.random.default_rng(seed)
    session = np.repeat(np.arange(CLASSES * SESSIONS), EACH)
    kind, place = rng.normal(0, 0.3, (CLASSES, 64)), rng.normal(0, 1, (CLASSES * SESSIONS, 64))
    features = kind[session // SESSIONS] + place[session] + rng.normal(0, spread, (len(session), 64))
    return known_data([f"c{n // SESSIONS}" for n in session]), features.astype(np.float32), session


def independent(count: int, classes: int = 2) -> tuple[Dataset, np.ndarray]:
    """Pictures that have nothing in common but their class."""
    rng = np.random.default_rng(5)
    features = rng.normal(0, 1, (count, 64)) + np.arange(count)[:, None] % classes
    return known_data([f"c{n % classes}" for n in range(count)]), features.astype(np.float32)


def test_planted_sessions_are_the_components() -> None:
    _, features, session = planted()
    found = components(centred(features), (0.75,))[0]
    assert len(np.unique(found)) == CLASSES * SESSIONS
    assert len(np.unique(np.stack([found, session]), axis=1).T) == CLASSES * SESSIONS


@pytest.mark.parametrize("seed", range(4))
def test_whole_sessions_are_held_out_for_val_and_test_stays(seed: int) -> None:
    data, features, session = planted()
    scan = known_scan(list(range(len(data))))
    splits = make_splits(data, scan, seed=seed, val=0.3, features=features)
    held = set(session[splits.val])
    assert held
    assert not held & set(session[splits.train])
    assert set(data.labels[splits.train]) == set(range(CLASSES))
    assert splits.test.tolist() == make_splits(data, scan, seed=seed, val=0.3).test.tolist()
    assert splits.similarity is not None
    assert splits.similarity[splits.val].max() < DEGREES[0]
    beside = splits.test[np.isin(session[splits.test], session[splits.train])]
    assert splits.similarity[beside].min() > 0.9
    assert np.isnan(splits.similarity[splits.train]).all()
    assert "held out as whole groups of similar pictures" in splits.notes[0]
    assert "The similarity to the nearest training picture is on average 0." in splits.notes[0]


def test_pictures_that_are_not_alike_are_split_as_without_features() -> None:
    data, features = independent(200)
    scan = known_scan(list(range(200)))
    plain, splits = make_splits(data, scan), make_splits(data, scan, features=features)
    for name in ("train", "val", "test"):
        assert len(getattr(splits, name)) == len(getattr(plain, name))
        assert np.bincount(data.labels[getattr(splits, name)]).tolist() == [len(getattr(plain, name)) // 2] * 2
    assert splits.component is not None
    assert len(np.unique(splits.component)) == 200


def test_several_degrees_are_held_out() -> None:
    rng = np.random.default_rng(1)
    # Sessions of sessions: pictures whose nearest neighbours are alike to many degrees.
    place, spot = rng.normal(0, 1, (30, 96)), rng.normal(0, 0.55, (150, 96))
    rows = np.repeat(np.arange(150), 6)
    features = place[rows // 5] + spot[rows] + rng.normal(0, 0.3, (900, 96))
    data = known_data(["ab"[n // 5 % 2] for n in rows])
    splits = make_splits(data, known_scan(list(range(900))), features=features.astype(np.float32))
    assert splits.similarity is not None
    found = splits.similarity[splits.val]
    assert 0.1 < (found < DEGREES[0]).mean() < 0.9
    assert abs(len(splits.val) - 135) <= 12


def test_one_that_is_alike_all_over_is_split_finer() -> None:
    rng = np.random.default_rng(2)
    features = np.repeat([[9.0, 0], [0, 9.0]], 50, axis=0) + rng.normal(0, 0.5, (100, 2))
    data = known_data(["a"] * 50 + ["b"] * 50)
    splits = make_splits(data, known_scan(list(range(100))), features=features.astype(np.float32))
    assert (len(splits.train), len(splits.val), len(splits.test)) == (70, 15, 15)


@pytest.mark.parametrize("labels", [["a", "a", "b", "b"], ["a", "b"] * 3, ["a"] * 30 + ["b"] * 2])
def test_tiny_classes_keep_a_picture_to_learn_from(labels: list[str]) -> None:
    data = known_data(labels)
    features = np.random.default_rng(0).normal(0, 1, (len(labels), 8)).astype(np.float32)
    splits = make_splits(data, known_scan(list(range(len(labels)))), features=features)
    assert set(data.labels[splits.train]) == {0, 1}


def test_groups_and_copies_stay_with_their_components() -> None:
    data, features, session = planted()
    groups = ["g" if n in (0, 95) else "" for n in range(len(data))]
    looks = [0 if n in (9, 40) else n for n in range(len(data))]
    grouped = known_data([sample.label for sample in data.samples], groups)
    for seed in range(4):
        splits = make_splits(grouped, known_scan(looks), seed=seed, val=0.3, test=0, features=features)
        side = sides(splits)
        assert side[0] == side[95]
        assert side[9] == side[40]
        assert splits.component is not None
        assert len({int(splits.component[n]) for n in (0, 95)}) == 1
        held = set(session[splits.val])
        assert not held & set(session[splits.train])


def test_boxes_and_several_labels_are_compared_over_all_classes() -> None:
    data, features, session = planted()
    scan = known_scan(list(range(len(data))))
    several = [replace(s, target=(*s.target, "c0")) if s.target != ("c0",) else s for s in data.samples]
    for other in (
        replace(data, samples=tuple(several), multilabel=True),
        replace(data, annotation_type="boxes", multilabel=True),
    ):
        splits = make_splits(other, scan, val=0.3, test=0, features=features, min_classes=1)
        assert len(splits.val) >= 20
        assert not set(session[splits.val]) & set(session[splits.train])


def test_unreadable_pictures_are_in_no_split() -> None:
    data, features, _ = planted()
    readable = [n % 7 != 0 for n in range(len(data))]
    features[~np.array(readable)] = 0
    splits = make_splits(data, known_scan(list(range(len(data))), readable), features=features)
    assert sorted(sides(splits)) == np.flatnonzero(readable).tolist()


def test_the_order_of_the_samples_does_not_matter_and_the_seed_does() -> None:
    data, features, _ = planted()
    order = np.random.default_rng(3).permutation(len(data))
    scan = known_scan(list(range(len(data))))
    straight = sides(make_splits(data, scan, features=features))
    shuffled = sides(make_splits(data.subset(order), scan, features=features[order]))
    assert {int(order[n]): name for n, name in shuffled.items()} == straight
    assert sides(make_splits(data, scan, seed=1, features=features)) != straight


def test_a_published_test_is_kept_and_val_held_out_of_train() -> None:
    data, features, session = planted()
    test = tuple(np.flatnonzero(session % SESSIONS == 3).tolist())
    train = tuple(np.flatnonzero(session % SESSIONS != 3).tolist())
    published = replace(data, splits={"train": train, "test": test})
    splits = make_splits(published, known_scan(list(range(len(data)))), val=0.3, features=features)
    assert tuple(splits.test) == test
    assert not set(session[splits.val]) & set(session[splits.train])


def test_a_published_val_that_is_like_train_is_joined_by_held_out_components() -> None:
    data, features, session = planted()
    number = np.arange(len(data))
    test, val = number % EACH == 7, number % EACH == 6
    parts = {"train": ~(test | val), "val": val, "test": test}
    published = replace(data, splits={name: tuple(np.flatnonzero(rows).tolist()) for name, rows in parts.items()})
    scan = known_scan(list(range(len(data))))
    splits = make_splits(published, scan, val=0.6, features=features)
    joined = np.setdiff1d(splits.val, np.flatnonzero(val))
    assert set(np.flatnonzero(val)) <= set(splits.val)
    assert len(joined)
    assert not set(session[joined]) & set(session[splits.train])
    assert "join them" in splits.notes[0]
    assert sorted(sides(splits)) == number.tolist()


def test_a_published_val_from_elsewhere_is_left_as_it_is() -> None:
    data, features, session = planted()
    parts = {"train": session % SESSIONS < 2, "val": session % SESSIONS == 2, "test": session % SESSIONS == 3}
    published = replace(data, splits={name: tuple(np.flatnonzero(rows).tolist()) for name, rows in parts.items()})
    splits = make_splits(published, known_scan(list(range(len(data)))), features=features)
    for name, rows in parts.items():
        assert getattr(splits, name).tolist() == np.flatnonzero(rows).tolist()


def test_features_of_other_pictures_are_refused() -> None:
    data, features, _ = planted()
    with pytest.raises(UsageError, match="features of 95 pictures"):
        make_splits(data, known_scan(list(range(len(data)))), features=features[1:])


def test_similarity_and_components_do_not_depend_on_the_tiles() -> None:
    rng = np.random.default_rng(0)
    features = np.repeat(rng.normal(0, 1, (500, 16)), 9, axis=0) + rng.normal(0, 0.05, (4500, 16))
    rows = centred(features.astype(np.float32))  # more than two tiles
    nearest = nearest_similarity(rows[:5], rows[5:])
    assert np.allclose(nearest, (rows[:5].astype(np.float32) @ rows[5:].astype(np.float32).T).max(1), atol=1e-5)
    found = components(rows, (0.97,))[0]
    assert len(np.unique(found)) == 500
    assert (found.reshape(500, 9) == found.reshape(500, 9)[:, :1]).all()
    assert np.isnan(nearest_similarity(rows[:2], rows[:0])).all()
    assert len(mixed_components(rows[:0], np.empty(0, int), np.empty(0, int), np.empty(0, int))) == 0


def test_memory_is_bounded_where_all_are_alike() -> None:
    rows = centred(np.random.default_rng(0).normal(0, 1, (1, 8)).repeat(6000, axis=0) + np.eye(8)[np.arange(6000) % 8])
    tracemalloc.start()
    found = components(rows)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(np.unique(found[0])) <= 8
    assert peak < 400_000_000  # all pairs at once would be 36 million, of 16 bytes and more


def test_a_published_val_is_not_joined_by_most_of_what_is_learned() -> None:
    """Three videos teach: a whole one would be missed more than it helps to choose."""
    data, features, _ = planted()
    number = np.arange(len(data))
    test, val = number % EACH == 7, number % EACH == 6
    samples = tuple(replace(sample, groups={"video": f"v{i % 3}"}) for i, sample in enumerate(data.samples))
    parts = {"train": ~(test | val), "val": val, "test": test}
    published = replace(
        data, samples=samples, splits={name: tuple(np.flatnonzero(rows).tolist()) for name, rows in parts.items()}
    )
    splits = make_splits(published, known_scan(list(range(len(data)))), features=features)
    for name, rows in parts.items():
        assert getattr(splits, name).tolist() == np.flatnonzero(rows).tolist()


def test_frames_of_a_single_video_are_split_in_stretches() -> None:
    data, features, _ = planted()
    samples = tuple(replace(sample, groups={"video": "only"}) for sample in data.samples)
    for known in (None, features):
        splits = make_splits(replace(data, samples=samples), known_scan(list(range(len(data)))), features=known)
        assert len(splits.train) > max(len(splits.val), len(splits.test))
        assert len(splits.val)
        assert len(splits.test)
        stretch = np.arange(len(data)) * 20 // len(data)
        parts = [set(stretch[part]) for part in (splits.train, splits.val, splits.test)]
        assert sum(len(part) for part in parts) == 20
