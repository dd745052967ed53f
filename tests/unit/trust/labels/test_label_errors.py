"""Wrong labels are found where they were planted, none where there are none, and silence is told from blindness."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from threadpoolctl import threadpool_limits

from photovision.core.errors import UsageError
from photovision.trust.labels.label_errors import LabelErrors, confident_joint, label_errors, surprise


def planted(labels: np.ndarray, rate: float, seed: int, classes: int = 10) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    wrong = np.zeros(len(labels), bool)
    wrong[rng.permutation(len(labels))[: round(rate * len(labels))]] = True
    return np.where(wrong, (labels + rng.integers(1, classes, len(labels))) % classes, labels), wrong


def digits_judged(rate: float, seed: int) -> tuple[LabelErrors, np.ndarray]:
    """Real digits, judged out of sample, and which of their labels are wrong."""
    digits = load_digits()
    labels, wrong = planted(digits.target, rate, seed)
    model = LogisticRegression(C=0.1, max_iter=500)
    with threadpool_limits(1, "blas"):  # so small that threads would only wait for each other
        probs = cross_val_predict(model, digits.data / 16, labels, cv=5, method="predict_proba")
    return label_errors(probs, labels), wrong


def drawn(n: int, classes: int, spread: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a perfectly calibrated model, and labels that are drawn from them: a hard task, all honest."""
    rng = np.random.default_rng(seed)
    probs = softmax(rng.normal(0, spread, (n, classes)), axis=1)
    return probs, (probs.cumsum(1) > rng.random(n)[:, None]).argmax(1)


def test_planted_labels_are_found_on_real_digits() -> None:
    for seed in range(3):
        found, wrong = digits_judged(0.05, seed)
        assert found.shown
        assert found.share.low < 0.05 < found.share.high
        hits = wrong[found.suspects]
        assert hits.mean() > 0.85
        assert hits.sum() > 0.85 * wrong.sum()
        assert abs(hits.sum() / wrong.sum() - found.power) < 0.15
        assert found.chance[found.suspects].mean() == pytest.approx(hits.mean(), abs=0.1)


def test_suggestions_are_the_true_classes() -> None:
    found, wrong = digits_judged(0.05, 0)
    named = found.suspects[wrong[found.suspects]]
    assert (found.suggested[named] == load_digits().target[named]).mean() > 0.9
    assert (found.confidence <= found.chance + 1e-9).all()


def test_nothing_is_found_on_trusted_digits() -> None:
    found, _ = digits_judged(0.0, 0)
    assert not found.shown
    assert len(found.suspects) == 0
    assert found.share.value < 0.002
    assert found.power > 0.8  # not for want of sight


def test_a_hard_task_is_not_taken_for_wrong_labels() -> None:
    shown = [label_errors(*drawn(400, 5, spread, seed)).shown for seed in range(50) for spread in (1.0, 3.0)]
    assert sum(shown) <= 4  # nominally 1 of 100
    probs, labels = drawn(4000, 5, 3.0, 0)
    assert confident_joint(probs, labels).sum() - np.trace(confident_joint(probs, labels)) > 200


def test_the_interval_covers_the_true_share() -> None:
    hits = []
    for seed in range(60):
        probs, truth = drawn(600, 4, 6.0, seed)
        labels, wrong = planted(truth, 0.1, 1000 + seed, 4)
        share = label_errors(probs, labels).share
        hits.append(share.low <= wrong.mean() <= share.high)
    assert np.mean(hits) >= 0.9


def test_temperature_of_the_probabilities_does_not_matter() -> None:
    probs, truth = drawn(600, 4, 6.0, 3)
    labels, _ = planted(truth, 0.1, 4, 4)
    sharp, blunt = (label_errors(softmax(np.log(probs) / t, axis=1), labels) for t in (0.5, 2.0))
    assert sharp.share == pytest.approx(blunt.share, abs=2e-3)
    assert set(sharp.suspects.tolist()) == set(blunt.suspects.tolist())
    assert blunt.temperature * 4 == pytest.approx(sharp.temperature, rel=0.1)


def test_what_cannot_be_told_is_said() -> None:
    probs, truth = drawn(500, 4, 0.3, 0)
    labels, _ = planted(truth, 0.05, 1, 4)
    found = label_errors(probs, labels)
    assert not found.shown
    assert found.power < 0.1


def test_the_order_of_pictures_does_not_matter() -> None:
    probs, truth = drawn(500, 4, 6.0, 5)
    labels, _ = planted(truth, 0.08, 6, 4)
    order = np.random.default_rng(0).permutation(500)
    straight, turned = label_errors(probs, labels), label_errors(probs[order], labels[order])
    assert straight.suspects.tolist() == order[turned.suspects].tolist()
    assert straight.share == pytest.approx(turned.share, abs=1e-6)


def test_the_confident_joint_counts_as_in_the_paper() -> None:
    probs = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.85, 0.15]])
    labels = np.array([0, 0, 0, 1, 1])
    # Usual probabilities: 0.6 for class 0, 0.375 for class 1.
    assert confident_joint(probs, labels).tolist() == [[2, 1], [1, 1]]


def test_two_classes_serve_one_class_of_many() -> None:
    rng = np.random.default_rng(0)
    truth = (rng.random(600) < 0.2).astype(np.int64)
    yes = 1 / (1 + np.exp(-rng.normal(np.where(truth, 7, -7), 2.5)))
    labels = truth.copy()
    labels[:20] = 1 - labels[:20]
    found = label_errors(np.column_stack([1 - yes, yes]), labels)
    assert found.shown
    assert (found.suspects < 20).mean() > 0.8


def test_surprise_prefers_the_better_model_among_wrong_labels() -> None:
    probs, truth = drawn(800, 5, 5.0, 0)
    labels, _ = planted(truth, 0.1, 1, 5)
    blurred = 0.5 * probs + 0.5 * probs[:, ::-1]
    assert surprise(probs, labels) < surprise(blurred, labels)


@pytest.mark.parametrize(
    ("probs", "labels"),
    [
        (np.full((10, 2), 0.5), np.zeros(10, np.int64)),
        (np.full((60, 1), 1.0), np.zeros(60, np.int64)),
        (np.full((60, 2), 0.5), np.zeros(59, np.int64)),
        (np.full((60, 2), 0.5), np.full(60, 2)),
        (np.full((60, 2), np.nan), np.zeros(60, np.int64)),
    ],
)
def test_nonsense_is_refused(probs: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(UsageError):
        label_errors(probs, labels)
