"""Prediction sets keep their promise, the gate its rate of false alarms, and neither trusts what lies on the disk."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photovision.core.errors import ModelError, UsageError
from photovision.runtime.bundle import Bundle
from photovision.runtime.similarity import SimilarityIndex
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


def drifting(rng: np.random.Generator, low: float, high: float, count: int = 400) -> tuple[np.ndarray, ...]:
    """Probabilities, truth and similarity of a model that is sure everywhere, and wrong where similarity is low."""
    similarity = rng.uniform(low, high, count).astype(np.float32)
    truth = rng.integers(4, size=count)
    logits = rng.normal(0, 1, (count, 4)) + 5 * np.eye(4)[truth] * similarity[:, None]
    probs = np.exp(2 * logits) / np.exp(2 * logits).sum(1, keepdims=True)
    return probs.astype(np.float32), truth, similarity


def test_sets_grow_as_similarity_falls_and_hold_the_truth_elsewhere() -> None:
    rng = np.random.default_rng(0)
    covered = {"plain": 0.0, "similar": 0.0}
    for _ in range(10):
        probs, truth, similarity = drifting(rng, 0.3, 1.0)
        sets = fit_sets(probs, truth, similarity)
        assert sets is not None
        doubt = Uncertainty(sets, GATE)
        new, label, near = drifting(rng, 0.3, 0.6)
        rows = np.arange(len(label))
        for name, least in (("plain", doubt.thresholds()), ("similar", doubt.thresholds(near))):
            covered[name] += (new >= least)[rows, label].mean() / 10
        falling = doubt.thresholds(np.linspace(1, 0, 9, dtype=np.float32))
        assert (np.diff(falling, axis=0) <= 0).all()
    assert covered["similar"] > 0.91
    assert covered["plain"] < covered["similar"] - 0.03


def test_sets_do_not_follow_similarity_where_it_means_nothing() -> None:
    rng = np.random.default_rng(1)
    sizes = []
    for _ in range(10):
        probs, truth = draw(rng, 400)
        sets = fit_sets(probs, truth, rng.uniform(0.4, 0.9, 400).astype(np.float32))
        assert sets is not None
        new, label = draw(rng, 400)
        doubt = Uncertainty(sets, GATE)
        within = new >= doubt.thresholds(rng.uniform(0.4, 0.9, 400).astype(np.float32))
        assert within[np.arange(400), label].mean() > 0.91
        sizes.append(within.sum() / (new >= doubt.thresholds()).sum())
    assert np.mean(sizes) == pytest.approx(1, abs=0.04)


def test_what_is_answered_is_in_the_set() -> None:
    probs, truth, similarity = drifting(np.random.default_rng(2), 0.3, 1.0)
    sets = fit_sets(probs, truth, similarity)
    assert sets is not None
    named = np.eye(4, dtype=bool)[[0]]
    within = np.zeros((1, 4), np.float32) >= Uncertainty(sets, GATE).thresholds(np.ones(1, np.float32), named)
    assert within.tolist() == [[True, False, False, False]]


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


GATE = gate()


def test_the_gate_lets_familiar_pictures_of_another_place_pass() -> None:
    rng = np.random.default_rng(4)
    known, labels = clusters(rng, 500)

    def elsewhere(count: int, power: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        points, own = clusters(rng, count)
        away = 0.6 * rng.random((count, 1)) ** power  # a high power leaves few far away
        points = points + away * np.eye(16)[rng.integers(3, 8, count)]
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), own, 1 - away[:, 0]

    held_out, held_labels, similarity = elsewhere(600, 4)
    logits = sure(rng, held_labels)
    plain = fit_gate(known, labels, held_out, logits)
    aware = fit_gate(known, labels, held_out, logits, similarity=similarity.astype(np.float32))
    assert plain is not None
    assert aware is not None
    new, own, near = elsewhere(600, 1)
    said, far = sure(rng, own), near < 0.7
    alarms = (aware.novelty(new, said, near)[far] > aware.limit(0.02)).mean()
    assert alarms < 0.5 * (plain.novelty(new, said)[far] > plain.limit(0.02)).mean()
    strangers = np.eye(16, dtype=np.float32)[8:]
    nothing_alike = aware.novelty(strangers, np.zeros((8, 3), np.float32), np.zeros(8))
    assert (nothing_alike > aware.limit(0.02)).all()


def test_false_alarms_are_as_often_as_asked_at_every_similarity() -> None:
    rng = np.random.default_rng(6)
    known, labels = clusters(rng, 500)

    def some(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        points, own = clusters(rng, count)
        away = 0.5 * rng.random((count, 1))
        points = points + away * np.eye(16)[rng.integers(3, 8, count)]
        return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), own, 1 - away[:, 0] ** 2

    held_out, held_labels, similarity = some(1000)
    one = fit_gate(known, labels, held_out, sure(rng, held_labels), similarity=similarity)
    assert one is not None
    new, own, near = some(4000)
    novelty = one.novelty(new, sure(rng, own), near)
    assert (novelty > one.limit(0.1)).mean() == pytest.approx(0.1, abs=0.03)
    middle = np.median(near)
    assert (novelty[near < middle] > one.limit(0.1)).mean() < 0.2


def test_the_gate_is_as_often_wrong_as_asked_on_its_own_kind() -> None:
    one = gate()
    rng = np.random.default_rng(9)
    fresh, labels = clusters(rng, 4000)
    novelty = one.novelty(fresh, sure(rng, labels))
    for asked in (0.02, 0.1):
        assert (novelty > one.limit(asked)).mean() == pytest.approx(asked, abs=0.025)


@pytest.mark.parametrize(("count", "asked"), [(200, 0.05), (413, 0.02), (2000, 0.02)])
def test_nine_of_ten_models_call_no_more_unknown_than_asked(count: int, asked: float) -> None:
    # Of a uniform novelty, what is missing from the limit to 1 is the rate.
    draws = np.sort(np.random.default_rng(3).random((400, count)), axis=1)
    rates = np.array([1 - replace(gate(), scores=scores.astype(np.float32)).limit(asked) for scores in draws])
    assert 0.86 <= (rates <= asked).mean() <= 0.98
    assert rates.mean() > 0.4 * asked


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

    assert "similarity" not in NoveltySession(Fixed(), gate()).run(np.zeros((4, 8, 8, 3), np.uint8))
    known = SimilarityIndex.around(np.eye(16)[:3])
    outputs = NoveltySession(Fixed(), gate(), known).run(np.zeros((4, 8, 8, 3), np.uint8))
    assert outputs["similarity"][:3].tolist() == pytest.approx([1, 1, 1])
    assert outputs["similarity"][3] < 0.5
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


def test_similarity_of_sets_is_written_and_read_in_step(tmp_path: Path) -> None:
    probs, truth, similarity = drifting(np.random.default_rng(3), 0.3, 1.0)
    sets = fit_sets(probs[:, :3], np.minimum(truth, 2), similarity)
    assert sets is not None
    told = json.loads(json.dumps(write_doubt(sets, GATE, tmp_path)))
    found = read_doubt(Bundle(tmp_path, {"classes": ["a", "b", "c"], "multilabel": False, "doubt": told}))
    assert found is not None
    near = np.linspace(0.2, 1, 5, dtype=np.float32)
    assert np.allclose(found.thresholds(near), Uncertainty(sets, GATE).thresholds(near), rtol=1e-3)
    assert found.sets.low == pytest.approx(np.quantile(similarity, 0.05), abs=1e-4)


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
        {"set_similarity": [[0.5] * 30] * 2 + [[0.5] * 29]},
        {"set_similarity": 3},
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


@pytest.mark.parametrize("coverage", [0.5, 0.8, 0.9, 0.98])
def test_sets_that_follow_similarity_hold_the_coverage_asked_of_few_pictures(coverage: float) -> None:
    rng = np.random.default_rng(0)

    def pictures(count: int) -> tuple[np.ndarray, np.ndarray]:
        alike = rng.uniform(0.2, 1, count)
        return np.exp(-rng.exponential(1.2 - alike)).astype(np.float32), alike.astype(np.float32)

    held = []
    for _ in range(60):
        truth, alike = pictures(60)
        base, rise = ConformalSets((truth,), (alike,)).line(coverage)
        new, near = pictures(2000)
        held.append(np.mean(new >= base[0] * np.exp(rise * near)))
    assert np.mean(held) >= coverage - 0.004
