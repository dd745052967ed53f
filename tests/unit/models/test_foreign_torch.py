"""Networks of timm, torchvision and transformers are adopted with the preparation that they state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import photovision as pv
from photovision.core.errors import ModelError, UsageError

FOUR = ("a", "b", "c", "d")


def test_weights_that_are_not_here_are_named_not_fetched(tmp_path: Path) -> None:
    for name in ("timm:resnet18", "torchvision:resnet18"):
        with pytest.raises(UsageError, match="not on this machine"):
            pv.adopt(name, tmp_path / "model", classes=FOUR)
    with pytest.raises(UsageError, match="did you mean"):
        pv.adopt("timm:resnet_18", tmp_path / "model", classes=FOUR)


def test_folders_with_pickles_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["ViTForImageClassification"]}))
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ModelError, match="safetensors"):
        pv.adopt(f"hf:{folder}", tmp_path / "model", classes=FOUR)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["timm:test_efficientnet", "torchvision:squeezenet1_1"])
def test_a_random_network_is_adopted_as_stated(name: str, tmp_path: Path) -> None:
    model = pv.adopt(name, tmp_path / "model", classes=FOUR, weights="none")
    assert model.info["adoption"]["stated"]
    assert model.predict(np.zeros((40, 50, 3), np.uint8)).probs.shape == (4,)


@pytest.mark.slow
def test_a_folder_of_transformers_is_adopted(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        id2label=dict(enumerate(FOUR)),
        label2id={name: number for number, name in enumerate(FOUR)},
    )
    transformers.ViTForImageClassification(config).save_pretrained(tmp_path / "theirs")
    seen = {"size": {"height": 32, "width": 32}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 3}
    (tmp_path / "theirs" / "preprocessor_config.json").write_text(json.dumps(seen))
    model = pv.adopt(f"hf:{tmp_path / 'theirs'}", tmp_path / "model")
    assert model.classes == FOUR
    assert model.preprocess.interpolation == "bicubic"
    assert model.preprocess.mean == (0.5,) * 3
