"""Prediction sets keep their promise, the gate its rate of false alarms, and neither trusts what lies on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photovision.core.errors import ModelError, UsageError
from photovision.runtime.bundle import Bundle
from photovision.runtime.uncertainty import (
    GATE_FILE,
    ConformalSets,
    NoveltyDetector,
    NoveltySession,
    Uncertainty,
    read_doubt,
    write_doubt,
)
from photovision.trust.metrics.conformal import fit_sets
from photovision.trust.metrics.novelty import fit_gate


def draw(rng: np.random.Generator, count: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of a model that errs, and the truth."""
    truth = rng.integers(classes, size=count)
    logits = rng.normal(0, 1, (count, classes)) + 2 * np.eye(classes)[truth] * rng.uniform(0, 1.5, (count, 1))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    return probs.astype(np.float32), truth


@pytest.mark.parametrize("coverage", [0.8, 0.95])
def test_sets_hold_the_truth_as_often_as_asked_in_every_class(coverage: float) -> None:
    rng = np.random.default_rng(0)
    held, count = np.zeros(4), np.zeros(4)
    for _ in range(60):
        sets = fit_sets(*draw(rng, 400))
        assert sets is not None
        probs, truth = draw(rng, 400)
        within = (probs >= sets.thresholds(coverage))[np.arange(400), truth]
        held += np.bincount(truth, within, 4)
        count += np.bincount(truth, minlength=4)
    # 24,000 pictures: the mean of each class is known to about a point, that of all to half of it.
    assert np.abs(held / count - coverage).max() < 0.02
    assert held.sum() / count.sum() == pytest.approx(coverage, abs=0.01)


def test_rare_classes_share_a_threshold() -> None:
    rng = np.random.default_rng(1)
    plenty = np.sort(rng.random(200)).astype(np.float32)
    rare = [np.float32([0.1 * i, 0.1 * i + 0.05]) for i in range(10)]
    found = ConformalSets((plenty, *rare)).thresholds(0.9)
    assert len(set(found[1:].tolist())) == 1
    assert found[1] == pytest.approx(0.05)  # the second smallest of 20 in all
    assert found[0] == plenty[19]


def test_too_few_pictures_of_all_classes_together_leave_every_class_in() -> None:
    assert ConformalSets((np.float32([0.9]), np.float32([0.8]))).thresholds(0.95).tolist() == [0, 0]


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, "0.9", [0.9]])
def test_shares_outside_0_to_1_are_refused(share: Any) -> None:
    with pytest.raises(UsageError, match="above 0 and below 1"):
        ConformalSets((np.float32([0.5]),)).thresholds(share)
    with pytest.raises(UsageError, match="false_alarms should be above 0"):
        Uncertainty(ConformalSets((np.float32([0.5]),)), gate(), 0.9, share)


def clusters(rng: np.random.Generator, count: int, classes: int = 3, width: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Unit embeddings around one direction a class, and the classes."""
    labels = rng.integers(classes, size=count)
    points = np.eye(width)[labels] + rng.normal(0, 0.1, (count, width))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


def sure(rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
    """Logits of a network that is sure of these classes."""
    return (8 * np.eye(3)[labels] + rng.normal(0, 0.5, (len(labels), 3))).astype(np.float32)


def gate(seed: int = 0, multilabel: bool = False) -> NoveltyDetector:
    rng = np.random.default_rng(seed)
    known, labels = clusters(rng, 500)
    held_out, held_labels = clusters(rng, 1000)
    found = fit_gate(known, labels, held_out, sure(rng, held_labels), multilabel=multilabel)
    assert found is not None
    return found


def test_the_gate_is_as_often_wrong_as_asked_on_its_own_kind() -> None:
    one = gate()
    rng = np.random.default_rng(9)
    fresh, labels = clusters(rng, 4000)
    novelty = one.novelty(fresh, sure(rng, labels))
    for asked in (0.02, 0.1):
        assert (novelty > one.limit(asked)).mean() == pytest.approx(asked, abs=0.025)


def test_the_gate_sees_a_direction_that_no_class_has_however_sure_the_network_is() -> None:
    one = gate()
    stranger = np.eye(16, dtype=np.float32)[10:11]
    assert one.novelty(stranger, np.float32([[50, 0, 0]]))[0] > one.limit(0.02)


def test_the_gate_sees_a_network_in_two_minds() -> None:
    one = gate()
    usual, labels = clusters(np.random.default_rng(5), 200)
    confident = one.novelty(usual, 8 * np.eye(3, dtype=np.float32)[labels])
    torn = one.novelty(usual, np.zeros((200, 3), np.float32))
    assert (torn > confident).all()


def test_distances_agree_with_the_plain_formula() -> None:
    one = gate()
    points = clusters(np.random.default_rng(3), 20)[0]
    matrix = one.rest * np.eye(16) + one.axes.T @ np.diag(one.weights) @ one.axes
    plain = [min((p - m) @ matrix @ (p - m) for m in one.means) for p in points]
    assert np.allclose(one.distances(points), plain, rtol=1e-3, atol=1e-2)


def test_a_session_gains_the_novelty_of_its_pictures() -> None:
    class Fixed:
        engine, precision = "none", "f32"

        def run(self, images: np.ndarray) -> dict[str, np.ndarray]:
            return {"embedding": np.eye(16, dtype=np.float32)[: len(images)], "logits": np.zeros((len(images), 3))}

    outputs = NoveltySession(Fixed(), gate()).run(np.zeros((4, 8, 8, 3), np.uint8))
    assert outputs["novelty"].shape == (4,)
    assert outputs["novelty"][3] > outputs["novelty"][0]


def bundle(folder: Path, **changes: Any) -> Bundle:
    told = write_doubt(ConformalSets((np.float32([0.5] * 30),) * 3), gate(), folder)
    told = json.loads(json.dumps(told)) | changes
    return Bundle(folder, {"classes": ["a", "b", "c"], "multilabel": False, "doubt": told})


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    found = read_doubt(bundle(tmp_path))
    assert found is not None
    points, labels = clusters(np.random.default_rng(2), 50)
    logits = 8 * np.eye(3, dtype=np.float32)[labels]
    assert np.allclose(found.gate.novelty(points, logits), gate().novelty(points, logits), rtol=1e-4, atol=1e-4)
    assert found.limit == pytest.approx(gate().limit(0.02), rel=1e-4)
    assert (found.coverage, found.false_alarms) == (0.95, 0.02)
    asked = read_doubt(bundle(tmp_path), 0.8, 0.1)
    assert asked is not None
    assert (asked.coverage, asked.false_alarms) == (0.8, 0.1)
    assert asked.limit < found.limit


def test_older_bundles_have_no_doubt_and_say_so_when_asked(tmp_path: Path) -> None:
    older = Bundle(tmp_path, {"classes": ["a", "b"], "multilabel": False})
    assert read_doubt(older) is None
    with pytest.raises(UsageError, match="train it again"):
        read_doubt(older, coverage=0.9)


@pytest.mark.parametrize(
    "changes",
    [
        {"set_scores": [[0.5]]},
        {"set_scores": "many"},
        {"gate": {}},
        {"gate": {"rest": 1, "distance": [1], "energy": [0, 1], "scores": [1]}},
        {"gate": {"rest": "x", "distance": [0, 1], "energy": [0, 1], "scores": [1]}},
        {"gate": {"rest": 1, "distance": [0, 1], "energy": [0, 1], "scores": []}},
    ],
)
def test_damage_is_one_clear_line(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match="damaged"):
        read_doubt(bundle(tmp_path, **changes))


def test_a_damaged_or_missing_file_of_arrays_is_refused(tmp_path: Path) -> None:
    whole = bundle(tmp_path)
    (tmp_path / GATE_FILE).write_bytes(b"\x80\x04 not tensors")
    with pytest.raises(ModelError, match="damaged"):
        read_doubt(whole)
    (tmp_path / GATE_FILE).unlink()
    with pytest.raises(ModelError, match="damaged"):
        read_doubt(whole)
