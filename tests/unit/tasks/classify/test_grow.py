"""A classifier grows on stored features: planted wrong labels are seen, old classes stay, new ones are learned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from photovision.core.errors import ModelError
from photovision.tasks.classify.exemplars import (
    Exemplars,
    HeadVersion,
    read_golden,
    read_version,
    write_golden,
    write_version,
)
from photovision.tasks.classify.grow import Golden, NewData, check_labels, fitted, grown, trial_of
from photovision.trust.promotion import PromotionLimits, judge

CENTRES = np.random.default_rng(7).normal(0, 1, (4, 16))


def drawn(count: int, classes: int, seed: int, spread: float = 0.5, groups: bool = False) -> Exemplars:
    rng = np.random.default_rng(seed)
    label = np.arange(count) % classes
    seen = CENTRES[label] + rng.normal(0, spread, (count, 16))
    unit = (seen / np.linalg.norm(seen, axis=1, keepdims=True)).astype(np.float16)
    ids = tuple(f"{seed}-{row}" for row in range(count))
    return Exemplars(unit, label, ids, {"site": tuple("ab"[row % 2] for row in range(count))} if groups else {})


def start(classes: int, count: int = 60) -> HeadVersion:
    learned = drawn(count, classes, 1)
    return HeadVersion(("a", "b", "c", "d")[:classes], learned, learned.at(np.arange(0)), *fitted(learned, classes))


def new_data(old: HeadVersion, classes: int, count: int = 200, wrong: float = 0.0) -> NewData:
    learn, held = drawn(count, classes, 2), drawn(count // 2, classes, 3)
    learn, held = mislabelled(learn, wrong, classes), mislabelled(held, wrong, classes)
    names = ("a", "b", "c", "d")[: max(classes, len(old.classes))]
    return NewData(names, learn, held, old.logits(learn.joined(held)), np.arange(count + count // 2))


def mislabelled(part: Exemplars, wrong: float, classes: int) -> Exemplars:
    rows, label = np.random.default_rng(4).permutation(len(part))[: round(wrong * len(part))], part.label.copy()
    label[rows] = (label[rows] + 1) % classes
    return Exemplars(part.embedding, label, part.ids)


def golden_of(old: HeadVersion) -> Golden:
    kept = drawn(150, len(old.classes), 5)
    return Golden(kept, old.logits(kept))


def test_wrong_labels_are_refused_before_they_are_learned_and_sound_ones_are_not() -> None:
    old = start(3)
    sound, bad = (
        check_labels(old, new_data(old, 3, wrong=share), golden_of(old), PromotionLimits()) for share in (0.0, 0.2)
    )
    assert sound.holds
    assert not bad.holds
    assert "first look at " in bad.text


def test_a_new_class_is_learned_and_the_old_ones_stay() -> None:
    old = start(3)
    new, golden = new_data(old, 4), golden_of(old)
    version = grown(old, new, golden)
    trial = trial_of(old, version, new, golden)
    assert version.classes == ("a", "b", "c", "d")
    assert judge(trial, PromotionLimits(), 0.02).granted
    fourth = trial.truth == 3
    assert (version.logits(new.held)[new.held.label == 3].argmax(1) == 3).mean() > 0.8
    assert np.isneginf(trial.old[:, 3]).all()
    assert not trial.right[0][fourth].any()
    before, after = (right[trial.golden].mean() for right in trial.right)
    assert after >= before - 0.01


def test_pictures_like_those_already_known_change_nothing() -> None:
    old = start(3, 600)
    new, golden = new_data(old, 3, count=60), golden_of(old)
    assert not judge(trial_of(old, grown(old, new, golden), new, golden), PromotionLimits(), 0.02).granted


def test_exemplars_stay_within_their_bound_and_keep_rare_classes() -> None:
    many = drawn(300, 3, 6).joined(Exemplars(drawn(4, 4, 8).embedding, np.full(4, 3), ("r",) * 4))
    kept = many.bounded(40, 0)
    assert len(kept) == 40
    assert (kept.label == 3).sum() == 4


def test_a_version_and_a_golden_set_are_read_as_they_were_written(tmp_path: Path) -> None:
    old = start(3)
    write_version(old, tmp_path / "state")
    again = read_version(tmp_path / "state")
    assert again.classes == old.classes
    assert np.array_equal(again.logits(old.learned), old.logits(old.learned))
    golden = drawn(30, 3, 9, groups=True)
    write_golden(golden, old.logits(golden), tmp_path / "golden")
    kept, logits = read_golden(tmp_path / "golden")
    assert kept.groups == golden.groups
    assert np.array_equal(logits, old.logits(golden))
    (tmp_path / "state").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="damaged"):
        read_version(tmp_path / "state")
