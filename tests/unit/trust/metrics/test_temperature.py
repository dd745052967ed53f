"""A planted temperature is found again; calibrated and over-confident models are told apart."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax

from photovision.core.errors import UsageError
from photovision.trust.metrics import calibrate


def drawn(n: int, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits whose softmax is exactly the chance of each class."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, width))
    labels = (softmax(logits, axis=1).cumsum(1) < rng.random((n, 1))).sum(1)
    return logits.astype(np.float32), labels


@pytest.mark.parametrize("planted", [0.4, 1.0, 3.0])
def test_planted_temperature_is_found(planted: float) -> None:
    logits, labels = drawn(4000)
    assert calibrate.fit_temperature(logits * np.float32(planted), labels) == pytest.approx(planted, rel=0.08)


def test_planted_temperature_is_found_in_multi_label_data() -> None:
    logits, _ = drawn(2000)
    truth = (np.random.default_rng(1).random(logits.shape) < expit(logits)).astype(np.float32)
    assert calibrate.fit_temperature(logits * 2, truth, multilabel=True) == pytest.approx(2.0, rel=0.08)


def test_too_few_pictures_leave_the_model_as_it_is() -> None:
    logits, labels = drawn(19)
    assert calibrate.fit_temperature(logits, labels) == 1.0


def test_all_right_does_not_run_to_certainty() -> None:
    labels = np.arange(60) % 3
    logits = np.eye(3, dtype=np.float32)[labels] * 3
    temperature = calibrate.fit_temperature(logits, labels)
    confidence = softmax(logits / temperature, axis=1).max(1).mean()
    assert 0.2 < temperature < 1
    assert confidence < 1 - 1e-5  # the likelihood alone would end at the bound, 1 - 1e-26


def test_temperature_lowers_the_calibration_error_of_new_pictures() -> None:
    logits, labels = drawn(6000)
    hot = logits * 4
    temperature = calibrate.fit_temperature(hot[:3000], labels[:3000])
    before = calibrate.ece(softmax(hot[3000:], axis=1), labels[3000:])
    after = calibrate.ece(softmax(hot[3000:] / temperature, axis=1), labels[3000:])
    assert before > 0.1
    assert after < before / 4


def test_ece_of_calibrated_predictions_is_what_chance_gives() -> None:
    logits, labels = drawn(3000)
    probs = softmax(logits, axis=1)
    found, chance = calibrate.ece(probs, labels), calibrate.ece_by_chance(probs, labels)
    assert found < 0.04
    assert chance == pytest.approx(found, abs=0.015)
    assert calibrate.ece_by_chance(probs[:100], labels[:100]) > 2 * chance


def test_ece_does_not_depend_on_order_even_with_ties() -> None:
    probs = np.repeat(np.array([[0.9, 0.1], [0.6, 0.4]], np.float32), 40, axis=0)
    labels = np.array(([0] * 36 + [1] * 4) + ([0] * 24 + [1] * 16))
    order = np.random.default_rng(0).permutation(80)
    assert calibrate.ece(probs, labels) == pytest.approx(0, abs=1e-7)
    assert calibrate.ece(probs[order], labels[order]) == pytest.approx(0, abs=1e-7)


def test_reliability_curve_lies_on_the_diagonal_for_calibrated_predictions() -> None:
    logits, labels = drawn(5000)
    curve = calibrate.reliability(softmax(logits, axis=1), labels)
    assert curve.counts.sum() == 5000
    assert len(curve.counts) == 10
    assert (np.diff(curve.confidence) > 0).all()
    inside = (curve.low <= curve.confidence) & (curve.confidence <= curve.high)
    assert inside.mean() >= 0.7
    over = calibrate.reliability(softmax(logits * 5, axis=1), labels)
    assert (over.confidence > over.high).mean() > 0.6


def test_gap_columns_sum_to_the_ece() -> None:
    logits, labels = drawn(300)
    probs = softmax(logits, axis=1)
    matrix = np.eye(6)[labels]
    for truth, cells in ((labels, 300), (matrix, 1800)):
        columns = calibrate.gap_columns(probs, truth)
        assert np.abs(columns.sum(0)).sum() / cells == pytest.approx(calibrate.ece(probs, truth))


def test_wrong_shapes_and_unreadable_rows_are_refused() -> None:
    logits, labels = drawn(30)
    with pytest.raises(UsageError):
        calibrate.fit_temperature(logits, labels[:-1])
    with pytest.raises(UsageError):
        calibrate.fit_temperature(np.full_like(logits, np.nan), labels)
    with pytest.raises(UsageError):
        calibrate.ece(logits[:0], labels[:0])
