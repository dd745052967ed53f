"""Whole pictures are learned from stored maps of a pretrained backbone, at the pictures' own proportions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scenes import semantic

from photovision.core.progress import silent
from photovision.engine.load import load
from photovision.engine.train import run as learn_from
from photovision.engine.train_config import TrainConfig
from photovision.models.backbones import choose, create
from photovision.models.load_network import trained_segmenter
from photovision.runtime.bundle import read_bundle
from photovision.tasks.segment.lesson import fitted_size
from photovision.tasks.segment.objective import class_weights

SMALL = "lcnet_035"


@pytest.mark.parametrize(
    ("size", "pixels", "expected"),
    [
        ((360, 480), 1e6, (352, 480)),
        ((360, 480), 90_000, (256, 352)),
        ((40, 100), 1e6, (64, 96)),
        ((96, 96), 1, (64, 64)),
    ],
)
def test_the_input_has_the_proportions_of_the_pictures(
    size: tuple[int, int], pixels: float, expected: tuple[int, int]
) -> None:
    assert fitted_size(semantic(2, size).samples, pixels) == expected


def test_rare_classes_count_more_but_not_without_bounds() -> None:
    weights = class_weights(np.array([10**9, 10**6, 1, 0]))
    assert list(weights) == sorted(weights)
    assert weights[3] < 8 * weights[0]
    assert np.isfinite(class_weights(np.zeros(3, np.int64))).all()


@pytest.mark.slow
def test_a_pretrained_segmenter_learns_from_stored_maps(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = create(choose(SMALL, "none", 64), 0)
    save_file(network.state_dict(), tmp_path / "weights.safetensors")
    config = TrainConfig(minutes=2, backbone=SMALL, weights=str(tmp_path / "weights.safetensors"), epochs=25)
    model = learn_from(semantic(30, (64, 96)), tmp_path / "model", config, silent)
    assert model.preprocess.size == (64, 96)
    assert model.info["metrics"]["miou"]["value"] > 0.4
    assert "stored maps" in model.info["rungs"][0]["note"]
    assert {"input", "views"} <= set(model.info["training"]["decisions"])
    assert model.info["parity"]["max_abs_prob_difference"] < 1e-3
    assert not (tmp_path / ".model.work").exists()
    opened = trained_segmenter(read_bundle(tmp_path / "model"))
    assert opened.head.in_channels == model.info["decoder"]["width"] == 96
    found = load(tmp_path / "model").predict(np.asarray(semantic(1, (64, 96)).samples[0].image))
    assert found.embedding is not None
