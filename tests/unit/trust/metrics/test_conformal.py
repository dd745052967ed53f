"""Coverage is counted as it is, and a warning comes where sets keep less than they promise, and only there."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.trust.metrics.conformal import fit_sets, sets_finding

CLASSES = ("a", "b", "c")


def draw(seed: int, count: int, sharp: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(3, size=count)
    logits = rng.normal(0, 1, (count, 3)) + sharp * np.eye(3)[truth] * rng.random((count, 1))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return probs.astype(np.float32), truth


def test_few_pictures_make_no_sets() -> None:
    assert fit_sets(*draw(0, 19)) is None
    assert fit_sets(*draw(0, 20)) is not None


def test_pictures_like_the_calibrating_ones_give_no_warning() -> None:
    alarms = 0
    for seed in range(20):
        sets = fit_sets(*draw(2 * seed, 600))
        assert sets is not None
        probs, truth = draw(2 * seed + 1, 600)
        found = sets_finding(probs, truth, sets.thresholds(0.9), 0.9, CLASSES)
        alarms += bool(found.warnings)
        assert found.metrics["coverage"].n == 600
    assert alarms <= 3


def test_harder_pictures_are_found_to_break_the_promise() -> None:
    sets = fit_sets(*draw(0, 1000))
    assert sets is not None
    probs, truth = draw(1, 1000, sharp=0.5)
    found = sets_finding(probs, truth, sets.thresholds(0.9), 0.9, CLASSES)
    assert found.metrics["coverage"].high < 0.9  # type: ignore[operator]
    assert any("cover less than their target" in warning for warning in found.warnings)


def test_one_class_that_falls_short_is_named() -> None:
    probs = np.tile(np.float32([0.9, 0.05, 0.05]), (300, 1))
    truth = np.repeat([0, 1], [270, 30])
    found = sets_finding(probs, truth, np.full(3, 0.5, np.float32), 0.9, CLASSES)
    assert found.metrics["coverage"].value == pytest.approx(0.9)
    assert any("'b'" in warning for warning in found.warnings)


def test_sizes_are_counted() -> None:
    probs = np.float32([[0.9, 0.1, 0.0], [0.5, 0.5, 0.0], [0.2, 0.2, 0.2]])
    found = sets_finding(probs, np.array([0, 0, 0]), np.full(3, 0.4, np.float32), 0.9, CLASSES)
    assert found.metrics["set_size"].value == pytest.approx(1.0)
    assert found.metrics["coverage"].value == pytest.approx(2 / 3)


def test_for_several_labels_the_true_labels_are_counted() -> None:
    probs = np.float32([[0.9, 0.8, 0.1]] * 30)
    truth = np.float32([[1, 1, 1]] * 30)
    found = sets_finding(probs, truth, np.full(3, 0.5, np.float32), 0.9, CLASSES)
    assert found.metrics["coverage"].n == 90
    assert found.metrics["coverage"].value == pytest.approx(2 / 3)
    assert not sets_finding(probs, np.zeros((30, 3), np.float32), np.full(3, 0.5), 0.9, CLASSES).metrics
