"""Scores are scikit-learn's, with intervals, for whole, partial, single-class and perfect truths."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn import metrics as sk

from photovision.core.errors import UsageError
from photovision.core.report import Metric
from photovision.trust.metrics import scores


def simulated(n: int, width: int, seed: int = 0, skill: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(width, size=n)
    logits = rng.normal(size=(n, width)) + skill * np.eye(width)[labels]
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return probs.astype(np.float32), labels


def _sound(found: dict[str, Metric], n: int) -> None:
    for name, metric in found.items():
        assert metric.low is not None, name
        assert metric.high is not None, name
        assert metric.low <= metric.value <= metric.high, name
        assert metric.low < metric.high, name
        assert metric.n == n


def test_single_label_is_scikit_learns() -> None:
    probs, labels = simulated(400, 8)
    found = scores.single_label(probs, labels)
    said, truth = probs.argmax(1), np.eye(8)[labels]
    expected = {
        "accuracy": sk.accuracy_score(labels, said),
        "balanced_accuracy": sk.balanced_accuracy_score(labels, said),
        "macro_f1": sk.f1_score(labels, said, average="macro"),
        "auroc": sk.roc_auc_score(truth, probs, average="macro"),
        "log_loss": sk.log_loss(labels, probs),
        "top5_accuracy": sk.top_k_accuracy_score(labels, probs, k=5),
        "brier": ((probs - truth) ** 2).sum(1).mean(),
    }
    assert set(found) == {*expected, "ece"}
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value, abs=1e-5), name
    _sound(found, 400)


def test_classes_absent_from_the_truth_do_not_count() -> None:
    probs, labels = simulated(300, 6)
    keep = labels < 3
    found = scores.single_label(probs[keep], labels[keep])
    said = probs[keep].argmax(1)
    recalls = sk.recall_score(labels[keep], said, labels=[0, 1, 2], average="macro")
    f1 = sk.f1_score(labels[keep], said, labels=[0, 1, 2], average="macro")
    assert (found["balanced_accuracy"].value, found["macro_f1"].value) == pytest.approx((recalls, f1))


def test_single_class_truth_has_no_auroc_but_all_else() -> None:
    probs, labels = simulated(200, 3)
    found = scores.single_label(probs[labels == 1], labels[labels == 1])
    assert "auroc" not in found
    assert found["balanced_accuracy"].value == pytest.approx(found["accuracy"].value)


def test_all_right_does_not_claim_certainty() -> None:
    labels = np.arange(30) % 3
    probs = np.full((30, 3), 0.05, np.float32)
    probs[np.arange(30), labels] = 0.9
    found = scores.single_label(probs, labels)
    for name in ("accuracy", "balanced_accuracy", "macro_f1", "auroc"):
        assert found[name].value == 1
        assert found[name].low is not None
        assert found[name].low < 0.95, name


def test_intervals_of_macro_f1_cover() -> None:
    many, truth = simulated(40_000, 4, seed=9)
    target = sk.f1_score(truth, many.argmax(1), average="macro")
    rng = np.random.default_rng(1)
    hits = []
    for i in range(60):
        rows = rng.integers(len(truth), size=250)
        metric = scores.single_label(many[rows], truth[rows], seed=i)["macro_f1"]
        assert metric.low is not None
        assert metric.high is not None
        hits.append(metric.low <= target <= metric.high)
    assert np.mean(hits) >= 0.86


def multi(n: int = 300, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    matrix = (rng.random((n, width)) < 0.3).astype(np.float32)
    logits = 3 * matrix - 2 + rng.normal(size=(n, width))
    return (1 / (1 + np.exp(-logits))).astype(np.float32), matrix


def test_multi_label_is_scikit_learns() -> None:
    probs, matrix = multi()
    limits = np.full(5, 0.4, np.float32)
    found = scores.multi_label(probs, matrix, limits)
    said = probs >= limits
    assert found["map"].value == pytest.approx(sk.average_precision_score(matrix, probs, average="macro"))
    assert found["macro_auroc"].value == pytest.approx(sk.roc_auc_score(matrix, probs, average="macro"))
    assert found["micro_f1"].value == pytest.approx(sk.f1_score(matrix, said, average="micro"))
    assert found["macro_f1"].value == pytest.approx(sk.f1_score(matrix, said, average="macro"))
    assert found["exact_match"].value == pytest.approx(sk.accuracy_score(matrix, said))
    _sound(found, 300)


def test_multi_label_with_nothing_true_still_scores() -> None:
    probs, matrix = multi(40)
    found = scores.multi_label(probs, np.zeros_like(matrix))
    assert set(found) == {"exact_match", "ece"}


def test_per_class_table() -> None:
    probs, labels = simulated(300, 4)
    labels[labels == 3] = 2
    table = scores.per_class(probs, labels, ("a", "b", "c", "never there"))
    rows = {row[0]: row for row in table.rows}
    assert rows["a"][1] == int((labels == 0).sum())
    assert rows["a"][2].value == pytest.approx(sk.recall_score(labels == 0, probs.argmax(1) == 0))
    assert rows["a"][3].value == pytest.approx(sk.precision_score(labels == 0, probs.argmax(1) == 0))
    assert rows["a"][4].value == pytest.approx(sk.f1_score(labels == 0, probs.argmax(1) == 0))
    assert rows["a"][4].low < rows["a"][4].value < rows["a"][4].high
    assert rows["never there"][2] is None  # no picture to recall
    assert rows["never there"][3].value == 0  # named, wrongly
    assert rows["never there"][5] is None


def test_confusion_is_scikit_learns() -> None:
    probs, labels = simulated(200, 5)
    expected = sk.confusion_matrix(labels, probs.argmax(1), labels=range(5))
    assert (scores.confusion(probs.argmax(1), labels, 5) == expected).all()


def test_thresholds_reach_the_best_f1_and_rare_classes_share_one() -> None:
    probs, matrix = multi(500, 3)
    matrix[:, 2] = 0
    matrix[0, 2] = 1
    limits = scores.choose_thresholds(probs, matrix)
    for c in (0, 1):
        grid = max(sk.f1_score(matrix[:, c], probs[:, c] >= cut) for cut in np.linspace(0.01, 0.99, 99))
        assert sk.f1_score(matrix[:, c], probs[:, c] >= limits[c]) >= grid - 1e-9
    two_empty = np.column_stack([matrix[:, 0], np.zeros((500, 2), np.float32)])
    shared = scores.choose_thresholds(probs, two_empty)
    assert shared[1] == shared[2]
    assert (scores.choose_thresholds(probs, np.zeros_like(matrix)) == 0.5).all()


def test_ten_thousand_pictures_of_a_hundred_classes_take_seconds() -> None:
    probs, labels = simulated(10_000, 100)
    start = time.process_time()
    _sound(scores.single_label(probs, labels), 10_000)
    assert time.process_time() - start < 30  # about 4 s on an idle core; the bound only catches a lost fast path


@pytest.mark.parametrize(
    ("probs", "labels"),
    [
        (np.zeros((0, 2), np.float32), np.zeros(0, np.int64)),
        (np.full((2, 2), np.nan, np.float32), np.zeros(2, np.int64)),
        (np.full((2, 2), 0.5, np.float32), np.array([0, 2])),
        (np.full((2, 2), 0.5, np.float32), np.zeros(3, np.int64)),
    ],
)
def test_bad_arrays_are_refused(probs: np.ndarray, labels: np.ndarray) -> None:
    with pytest.raises(UsageError):
        scores.single_label(probs, labels)
