"""HeldOut: what was kept of held-out pictures comes back, and a damaged file is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle, colour_picture

from photovision.core.errors import ModelError
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.engine.load import load
from photovision.runtime.held_out import HELD_OUT_FILE, MAX_IMAGES, HeldOut, read_held_out, write_held_out
from photovision.tasks.classify.fit_novelty import remember


def some(count: int = 60) -> HeldOut:
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.ones(4), count).astype(np.float32)
    return HeldOut.of(probs, rng.normal(size=count).astype(np.float32), rng.normal(size=(count, 8)).astype(np.float32))


def test_written_and_read_again_they_are_the_same(tmp_path: Path) -> None:
    write_held_out(some(), tmp_path)
    again, known = read_held_out(tmp_path), some()
    assert again is not None
    for name in ("best", "prob", "novelty", "embedding"):
        assert np.array_equal(getattr(again, name), getattr(known, name)), name


def test_a_model_without_gate_and_embeddings_has_the_rest(tmp_path: Path) -> None:
    write_held_out(HeldOut.of(np.float32([[0.2, 0.8]] * 3), None, None), tmp_path)
    again = read_held_out(tmp_path)
    assert again is not None
    assert (again.novelty, again.embedding) == (None, None)
    assert again.best.tolist() == [1, 1, 1]


def test_at_most_a_thousand_are_kept_and_drawn_at_random(tmp_path: Path) -> None:
    probs = np.zeros((3000, 2), np.float32)
    probs[:, 0] = np.linspace(0.5, 1, 3000)
    write_held_out(HeldOut.of(probs, None, None), tmp_path)
    kept = read_held_out(tmp_path)
    assert kept is not None
    assert len(kept) == MAX_IMAGES
    assert kept.prob.mean() == pytest.approx(0.75, abs=0.02)


def test_nothing_there_is_none_and_damage_is_said(tmp_path: Path) -> None:
    assert read_held_out(tmp_path) is None
    (tmp_path / HELD_OUT_FILE).write_bytes(b"something else")
    with pytest.raises(ModelError, match="damaged"):
        read_held_out(tmp_path)


def test_parts_must_fit_and_be_finite() -> None:
    with pytest.raises(ModelError, match="as many numbers"):
        HeldOut(np.zeros(3, np.int64), np.zeros(2, np.float32))
    with pytest.raises(ModelError, match="finite"):
        HeldOut(np.zeros(1, np.int64), np.float32([np.nan]))


def test_a_bundle_keeps_what_it_said_of_validation_pictures(tmp_path: Path) -> None:
    folder = add_doubt(colour_bundle(tmp_path / "model"))
    kept = read_held_out(folder)
    assert kept is not None
    assert len(kept) == 180
    assert np.bincount(kept.best).tolist() == [60, 60, 60]
    assert kept.novelty is not None
    answer = load(folder).predict(np.asarray(colour_picture("red", 2000)))
    assert not isinstance(answer, list)
    assert answer.prob in kept.prob.tolist()


def test_test_pictures_stand_for_the_usual_where_there_are_enough(tmp_path: Path) -> None:
    folder = colour_bundle(tmp_path / "model")

    def some(name: str, count: int) -> Dataset:
        return dataset_from_arrays(
            [np.asarray(colour_picture(name, i)) for i in range(count)], [name] * count, ("red", "green", "blue")
        )

    for count, colour in ((150, 2), (20, 1)):
        remember(load(folder), some("red", 30), some("green", 120), folder, 0, some("blue", count))
        kept = read_held_out(folder)
        assert kept is not None
        assert set(kept.best.tolist()) == {colour}
