"""The linear head on frozen features."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from photovision.core.report import Metric
from photovision.core.types import Floats
from photovision.learn.head import fit_head
from photovision.tasks.classify.objective import ClassifyObjective


def score(logits: Floats, truth: Floats) -> Metric:
    task = ClassifyObjective()
    return task.score(task.decode(logits), truth)


def test_reads_handwritten_digits() -> None:
    features, labels = load_digits(return_X_y=True)
    targets = np.eye(10, dtype=np.float32)[labels]
    features = features.astype(np.float32)
    head = fit_head(features[:1200], targets[:1200], features[1200:1500], targets[1200:1500], score)
    assert score(head(features[1500:]), targets[1500:]).value > 0.85


def test_a_class_without_examples_is_never_the_answer() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 5)).astype(np.float32)
    targets = np.eye(3, dtype=np.float32)[(features[:, 0] > 0).astype(int) * 2]  # class 1 never occurs
    head = fit_head(features, targets, features, targets, score)
    assert set(head(features).argmax(1)) == {0, 2}
    assert head.score.value > 0.9


def test_multilabel_heads_are_independent() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 4)).astype(np.float32)
    targets = (features[:, :3] > 0).astype(np.float32)
    task = ClassifyObjective(multilabel=True)
    head = fit_head(features, targets, features, targets, lambda x, y: task.score(task.decode(x), y), multilabel=True)
    assert head.score.value > 0.95
