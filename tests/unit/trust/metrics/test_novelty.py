"""The gate's figures: false alarms against what was asked, and what it makes of pictures of something else."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.trust.metrics.novelty import centred_gate, fit_gate, moved_gate, novelty_finding


def unit(points: np.ndarray) -> np.ndarray:
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def test_few_validation_pictures_make_no_gate() -> None:
    points = unit(np.random.default_rng(0).normal(size=(50, 4)))
    labels = np.arange(50) % 2
    assert fit_gate(points, labels, points[:19], np.zeros((19, 2), np.float32)) is None


def test_more_dimensions_than_pictures_still_make_a_gate() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    points = unit(np.eye(200)[labels] + rng.normal(0, 0.03, (60, 200)))
    held_out = unit(np.eye(200)[labels] + rng.normal(0, 0.03, (60, 200)))
    gate = fit_gate(points, labels, held_out, np.eye(3, dtype=np.float32)[labels])
    assert gate is not None
    strangers = unit(np.eye(200)[50:60])
    assert (gate.novelty(strangers, np.ones((10, 3), np.float32)) > gate.limit(0.05)).all()
    assert np.isfinite(gate.scores).all()


def test_a_class_of_its_own_width_is_no_stranger_along_its_axis() -> None:
    rng = np.random.default_rng(0)

    def wide(count: int) -> np.ndarray:
        return unit(np.eye(8)[[0] * count] + rng.normal(0, 1, (count, 8)) * [0, 0.6, *[0.03] * 6])

    points, held_out = wide(400), wide(400)
    gate = fit_gate(points, np.zeros(400, np.int64), held_out, np.zeros((400, 2), np.float32))
    assert gate is not None
    along, across = unit(np.float32([[1, 0.6, 0, 0, 0, 0, 0, 0], [1, 0, 0.6, 0, 0, 0, 0, 0]]))
    limit = gate.limit(0.05)
    assert gate.novelty(along[None], np.zeros((1, 2), np.float32))[0] < limit
    assert gate.novelty(across[None], np.zeros((1, 2), np.float32))[0] > limit


def test_the_gate_of_a_changed_network_finds_the_same_pictures_as_novel() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    known, held_out, new = (unit(np.eye(8)[labels] + rng.normal(0, 0.2, (300, 8))) for _ in range(3))
    turned = np.linalg.qr(rng.normal(size=(8, 8)))[0].astype(np.float32)
    gate = fit_gate(known, labels, held_out, 10 * held_out[:, :3])
    assert gate is not None
    changed = centred_gate(known @ turned, labels, False)
    moved = moved_gate(gate, changed, (new, 10 * new[:, :3]), (new @ turned, 5 * new[:, :3]))
    one, other = gate.novelty(new, 10 * new[:, :3]), moved.novelty(new @ turned, 5 * new[:, :3])
    assert np.corrcoef(one, other)[0, 1] > 0.97
    assert np.quantile(other, 0.95) == pytest.approx(np.quantile(one, 0.95), abs=0.15)
    assert np.array_equal(moved.scores, gate.scores)


def test_false_alarms_as_asked_give_no_warning_and_more_of_them_do() -> None:
    rng = np.random.default_rng(0)
    calm = novelty_finding(rng.random(2000).astype(np.float32), 0.95, 0.05)
    assert calm.metrics["false_alarms"].value == pytest.approx(0.05, abs=0.02)
    assert not calm.warnings
    assert "novelty_auroc" not in calm.metrics
    assert any("not measured" in sentence for sentence in calm.summary)
    shifted = novelty_finding((rng.random(2000) + 0.2).astype(np.float32), 0.95, 0.05)
    assert any("differ from the pictures that it learned from" in warning for warning in shifted.warnings)


def test_strangers_are_counted_kind_by_kind() -> None:
    known = np.linspace(0, 1, 200, dtype=np.float32)
    others = {"near": known.copy(), "far": known + 5, "none": np.empty(0, np.float32)}
    found = novelty_finding(known, 0.95, 0.05, others)
    (table,) = found.tables
    rows = {row[0]: row for row in table.rows}
    assert set(rows) == {"near", "far"}
    assert rows["near"][2].value == pytest.approx(0.5)
    assert rows["far"][2].value == 1
    assert rows["far"][3].value == 1
    assert found.metrics["novelty_auroc"].value == pytest.approx(0.75)
    assert found.metrics["detected_unknown"].n == 400
