"""Learning from good pictures: what the scorer finds, and that nothing judges what it has seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from surfaces import LEVELS, surface, write_network

from photovision.core.errors import DataError
from photovision.core.types import Image
from photovision.runtime.session import Session, open_session
from photovision.tasks.anomaly.graph import OUTPUTS
from photovision.tasks.anomaly.learning import BankConfig, GoodPictures, LearnedScorer, learn
from photovision.tasks.anomaly.threshold import GoodScores, promise
from photovision.trust.metrics.statistics import auroc

CONFIG = BankConfig(bank_size=200, reservoir=2000, folds=5, probes=6)
GOOD = np.stack([surface(seed) for seed in range(40)])
NEW = np.stack([surface(seed) for seed in range(100, 140)])
BAD = np.stack([surface(seed, bad=True) for seed in range(200, 220)])


def pictures(images: Image) -> GoodPictures:
    return GoodPictures(len(images), lambda position: images[position], np.arange(len(images)))


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[LearnedScorer, Path]:
    folder = tmp_path_factory.mktemp("anomaly")
    path = folder / "model.onnx"
    return learn(pictures(GOOD), write_network(folder / "levels.onnx"), LEVELS, path, CONFIG), path


@pytest.fixture(scope="module")
def scorer(learned: tuple[LearnedScorer, Path]) -> Session:
    return open_session(learned[1], precision="f32")


def test_bad_pictures_score_above_good_ones(learned: tuple[LearnedScorer, Path], scorer: Session) -> None:
    scores = np.concatenate([scorer.run(NEW)["score"], scorer.run(BAD)["score"]])
    assert auroc(scores, np.arange(len(scores)) >= len(NEW))[0] > 0.95
    kept = promise(GoodScores.of(learned[0].scores), 0.1)[""]
    assert (scores[: len(NEW)] >= kept.threshold).mean() < 0.3


def test_the_heatmap_is_hottest_at_the_defect(scorer: Session) -> None:
    picture = surface(7)
    picture[40:52, 8:20] = 10
    heat = scorer.run(picture[None])["heatmap"][0]
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    assert (row, column) in {(r, c) for r in (4, 5, 6, 7) for c in (0, 1, 2, 3)}


def test_held_out_scores_are_not_below_those_of_new_good_pictures(
    learned: tuple[LearnedScorer, Path], scorer: Session
) -> None:
    own, new = np.median(learned[0].scores), np.median(scorer.run(NEW)["score"])
    seen = np.median(scorer.run(GOOD)["score"])
    assert own >= new - 0.3
    assert seen < own


def test_both_engines_and_all_batches_give_the_same_score(learned: tuple[LearnedScorer, Path], scorer: Session) -> None:
    other = open_session(learned[1], engine="onnxruntime").run(BAD)
    here = scorer.run(BAD)
    assert set(other) == set(OUTPUTS)
    for name in OUTPUTS:
        assert np.allclose(here[name], other[name], rtol=1e-3, atol=1e-3)
        single = np.concatenate([scorer.run(image[None])[name] for image in BAD])
        assert np.allclose(here[name], single, rtol=1e-4, atol=1e-4)


def test_the_same_pictures_give_the_same_graph(learned: tuple[LearnedScorer, Path], tmp_path: Path) -> None:
    again = learn(pictures(GOOD), write_network(tmp_path / "levels.onnx"), LEVELS, tmp_path / "model.onnx", CONFIG)
    assert np.array_equal(again.scores, learned[0].scores)
    assert (tmp_path / "model.onnx").read_bytes() == learned[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["levels.onnx", "model.onnx"]


def test_bad_pictures_among_the_good_ones_are_named(tmp_path: Path) -> None:
    mixed = GOOD.copy()
    mixed[[3, 30]] = BAD[:2]
    network = write_network(tmp_path / "levels.onnx")
    kept = learn(pictures(mixed), network, LEVELS, tmp_path / "model.onnx", CONFIG)
    assert {3, 30} <= set(kept.suspects.tolist())
    assert len(kept.rows) == 40
    config = BankConfig(bank_size=200, reservoir=2000, folds=5, probes=6, leave_out_suspects=True)
    clean = learn(pictures(mixed), network, LEVELS, tmp_path / "clean.onnx", config)
    assert {3, 30}.isdisjoint(clean.rows.tolist())


def test_clean_pictures_have_no_suspects(learned: tuple[LearnedScorer, Path]) -> None:
    assert len(learned[0].suspects) == 0


def test_known_bad_pictures_do_not_touch_the_bank(learned: tuple[LearnedScorer, Path], tmp_path: Path) -> None:
    network = write_network(tmp_path / "levels.onnx")
    found = learn(pictures(GOOD), network, LEVELS, tmp_path / "model.onnx", CONFIG, {"hole": list(BAD[:5])})
    assert found.selected.auroc["known: hole"] > 0.9
    first, second = (open_session(path, precision="f32").run(NEW) for path in (learned[1], tmp_path / "model.onnx"))
    assert np.array_equal(first["statistics"], second["statistics"])


def test_pictures_of_one_thing_are_refused(tmp_path: Path) -> None:
    twins = GoodPictures(20, lambda position: GOOD[position], np.zeros(20, np.int64))
    with pytest.raises(DataError, match="only 1 different"):
        learn(twins, write_network(tmp_path / "levels.onnx"), LEVELS, tmp_path / "model.onnx", CONFIG)
    few = GoodPictures(20, lambda position: GOOD[position], np.arange(20) // 5)
    assert np.isfinite(
        learn(few, write_network(tmp_path / "levels.onnx"), LEVELS, tmp_path / "model.onnx", CONFIG).scores
    ).all()


def test_too_few_good_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least 8 good pictures, got 3"):
        learn(pictures(GOOD[:3]), write_network(tmp_path / "levels.onnx"), LEVELS, tmp_path / "model.onnx", CONFIG)
