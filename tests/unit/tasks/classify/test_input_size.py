"""A larger input is chosen where held-out images gain by it, and nowhere else."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from photovision.core.preprocess import Preprocess
from photovision.data.read import dataset_from_arrays
from photovision.engine.splits import gather
from photovision.engine.train_config import TrainConfig
from photovision.engine.training_run import TrainingRun
from photovision.engine.workdir import WorkDir
from photovision.models.backbones import Backbone
from photovision.tasks.classify.input_size import beyond_chance, fitting_features
from photovision.tasks.classify.linear_probe import open_features


@pytest.mark.parametrize(
    ("gained", "lost", "expected"),
    [(0, 0, False), (1, 0, False), (2, 0, True), (20, 14, True), (20, 15, False), (3, 9, False)],
)
def test_only_a_gain_that_chance_does_not_explain_counts(gained: int, lost: int, expected: bool) -> None:
    before = np.repeat([False, True, True], [gained, lost, 50])
    after = np.repeat([True, False, True], [gained, lost, 50])
    assert beyond_chance(before, after) is expected


@pytest.mark.parametrize(("pixels", "size"), [(160, 96), (100, None)], ids=["asked-for", "small-images"])
def test_the_size_stays_where_it_was_asked_for_or_images_show_no_more(
    tmp_path: Path, pixels: int, size: int | None
) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (60, pixels, pixels, 3), dtype=np.uint8))
    dataset = dataset_from_arrays(images, ["odd" if number % 2 else "even" for number in range(60)])
    work = WorkDir(tmp_path / "model", {}, Accelerator())
    run = TrainingRun(TrainConfig(minutes=15, size=size), gather(dataset, seed=0), work, started=time.monotonic())
    torch.manual_seed(0)
    usual = open_features(run, Backbone("small_resnet", "none", Preprocess((96, 96))))
    features = fitting_features(usual, run.splits.train)
    assert features.source.preprocess.size == (features.side, features.side) == (96, 96)
    assert not list(work.folder.glob("*.onnx"))  # nothing was computed to find out
