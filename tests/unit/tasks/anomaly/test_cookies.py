"""Anomaly detection on real photographs: learned from 31 good biscuits, tried on 14 good and 40 broken ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from photovision.core.types import Image
from photovision.models.backbones import choose, create
from photovision.models.feature_levels import export_levels
from photovision.models.weights import available
from photovision.runtime.session import open_session
from photovision.tasks.anomaly.learning import GoodPictures, learn
from photovision.tasks.anomaly.metrics import picture_metrics
from photovision.tasks.anomaly.threshold import GoodScores, promise


@pytest.mark.slow
def test_broken_biscuits_are_found_and_the_promise_is_kept(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "cookies"
    if not folder.is_dir() or not available():
        pytest.skip("needs shared/data/cookies and packaged weights")
    source = choose(None, "auto", None)
    preprocess = replace(source.preprocess, size=(224, 224))

    def read(pattern: str) -> Image:
        return np.stack([preprocess.load(path) for path in sorted(folder.glob(pattern))])

    good = read("train/good/*")
    levels = export_levels(create(source, 0).eval(), preprocess, tmp_path / "levels.onnx")
    pictures = GoodPictures(len(good), lambda position: good[position], np.arange(len(good)))
    learned = learn(pictures, tmp_path / "levels.onnx", levels, tmp_path / "model.onnx")
    scorer = open_session(tmp_path / "model.onnx", precision="f32")
    scores = [scorer.run(read(pattern))["score"] for pattern in ("test/good/*", "*/broken/*")]
    bad = np.repeat([False, True], [len(part) for part in scores])
    kept = promise(GoodScores.of(learned.scores), 0.05)[""]
    found = picture_metrics(np.concatenate(scores).astype(np.float64), bad, kept.threshold)
    assert found["auroc"].value >= 0.98
    alarms = found["false_alarms"]
    assert alarms.low is not None
    assert alarms.low <= kept.expected.high
