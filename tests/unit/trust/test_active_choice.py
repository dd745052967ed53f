"""The next pictures to label: uncertain ones of all kinds, never near-twins, and a random part."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import DataError, UsageError
from photovision.trust.active_choice import margin_uncertainty, near_twins, next_batch
from photovision.trust.learning_curve import learning_curve
from photovision.trust.ridge import STRENGTHS, fit_ridge


def clouds(each: int, spread: float, classes: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, 6) and labels (N,) of classes around centres of their own."""
    rng = np.random.default_rng(seed)
    centres = 3 * np.eye(classes, 6)
    labels = np.repeat(np.arange(classes), each)
    return (centres[labels] + spread * rng.normal(size=(len(labels), 6))).astype(np.float32), labels


@pytest.mark.parametrize("strength", STRENGTHS)
def test_leave_one_out_of_ridge_is_that_of_fitting_without_each_picture(strength: float) -> None:
    rows, labels = clouds(5, 1.0)
    targets = np.eye(3)[labels]
    head = fit_ridge(rows, targets, (strength,))
    unit = float(((rows - rows.mean(0)) ** 2).sum()) / len(rows)
    for left in range(len(rows)):
        others = np.delete(np.arange(len(rows)), left)
        design = rows[others].astype(float) - rows[others].mean(0)
        level = targets[others].mean(0)
        weight = np.linalg.solve(design.T @ design + strength * unit * np.eye(6), design.T @ (targets[others] - level))
        assert head.held_out[left] == pytest.approx((rows[left] - rows[others].mean(0)) @ weight + level, abs=1e-6)


def test_ridge_names_classes_and_refuses_a_single_picture() -> None:
    rows, labels = clouds(10, 0.3)
    assert (fit_ridge(rows, np.eye(3)[labels])(rows).argmax(1) == labels).all()
    with pytest.raises(DataError, match="at least 2 labelled pictures, got 1"):
        fit_ridge(rows[:1], np.eye(3)[labels[:1]])


def test_the_first_batch_has_every_class() -> None:
    rows, labels = clouds(40, 0.3)
    batch = next_batch(rows, None, 3, random_share=0)
    assert set(labels[batch.chosen].tolist()) == {0, 1, 2}
    assert len(batch.random) == 0


def test_uncertain_pictures_come_first_but_not_those_of_one_place_alone() -> None:
    rows, labels = clouds(50, 0.3)
    unsure = np.zeros(len(rows), np.float32)
    unsure[:20] = unsure[50:70] = 1.0
    chosen = next_batch(rows, unsure, 10, random_share=0).chosen
    assert unsure[chosen].mean() > 0.7
    assert set(labels[chosen].tolist()) >= {0, 1}


def test_a_batch_holds_no_near_twins_nor_a_twin_of_its_random_part() -> None:
    rows, _ = clouds(12, 1.0)
    thrice = np.concatenate([rows, 1.01 * rows, rows])
    batch = next_batch(thrice, None, 30)
    assert len(np.unique(batch.chosen % len(rows))) == len(batch.chosen)
    assert not near_twins(thrice[batch.chosen], thrice[batch.random]).any()


def test_a_tenth_is_drawn_at_random_whatever_is_uncertain() -> None:
    rows, _ = clouds(200, 1.0)
    unsure = np.linspace(0, 1, len(rows)).astype(np.float32)
    first, again = (next_batch(rows, unsure, 50, seed=4) for _ in range(2))
    other = next_batch(rows, unsure[::-1], 50, seed=4)
    assert len(first.random) == 5
    assert first.random.tolist() == again.random.tolist() == other.random.tolist()
    assert not set(first.random.tolist()) & set(first.chosen.tolist())


def test_everything_is_suggested_where_there_is_little() -> None:
    rows, _ = clouds(2, 1.0)
    batch = next_batch(rows, None, 50)
    assert sorted([*batch.chosen.tolist(), *batch.random.tolist()]) == list(range(6))
    with pytest.raises(UsageError, match="at least 1 picture, got 0"):
        next_batch(rows, None, 0)
    with pytest.raises(UsageError, match="0 to 1, got 2"):
        next_batch(rows, None, 5, random_share=2)


def test_margins_of_one_label_and_of_several() -> None:
    scores = np.array([[0.9, 0.1, 0.0], [0.5, 0.45, 0.05], [0.9, 0.55, 0.0]])
    assert margin_uncertainty(scores, False).argmax() == 1
    assert margin_uncertainty(scores, True).argmax() == 1
    assert margin_uncertainty(scores, True)[2] == pytest.approx(-0.05, abs=1e-6)


def test_more_labels_buy_more_where_the_curve_still_rises() -> None:
    hard, labels = clouds(40, 2.5, classes=5)
    rising = learning_curve(hard, np.eye(5)[labels], 100)
    easy, plain = clouds(40, 0.2)
    flat = learning_curve(easy, np.eye(3)[plain], 100)
    assert rising is not None
    assert flat is not None
    assert rising.low <= rising.gain <= rising.high
    assert rising.gain > 0.01
    assert flat.stop
    assert not rising.stop


def test_there_is_no_curve_of_few_pictures_or_one_class() -> None:
    rows, labels = clouds(6, 1.0)
    assert learning_curve(rows, np.eye(3)[labels], 10) is None
    assert learning_curve(np.tile(rows, (5, 1)), np.ones((90, 1)), 10) is None
