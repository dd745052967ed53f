"""The network of a bundle: as it was trained, or a clear refusal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from photovision.core.errors import ModelError
from photovision.core.preprocess import Preprocess
from photovision.models.load_network import trained_network
from photovision.models.small import small_resnet
from photovision.runtime.bundle import read_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    info = {
        "format": "photovision",
        "version": 1,
        "task": "classify",
        "classes": ["a", "b"],
        "preprocess": Preprocess((32, 32)).to_json(),
        "temperature": 1.0,
        "multilabel": False,
        "training": {},
        "licences": [],
        "backbone": {"name": "small_resnet"},
    }
    (tmp_path / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return tmp_path


def test_the_weights_are_those_of_the_bundle(folder: Path) -> None:
    original = small_resnet(2).eval()
    save_file(original.state_dict(), folder / "model.safetensors")
    network, picture = trained_network(read_bundle(folder)), torch.rand(1, 3, 32, 32)
    assert not network.training
    assert torch.equal(network(picture), original(picture))


def test_other_weights_are_refused(folder: Path) -> None:
    bundle = read_bundle(folder)
    with pytest.raises(ModelError, match="no network"):
        trained_network(bundle)
    (folder / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(ModelError, match="plain tensors"):
        trained_network(bundle)
    save_file(small_resnet(5).state_dict(), folder / "model.safetensors")
    with pytest.raises(ModelError, match="do not fit"):
        trained_network(bundle)


@pytest.mark.parametrize("name", ["no_such_network", "hf-hub:someone/something", "local-dir:/tmp"])
def test_an_unknown_architecture_is_refused_and_nothing_is_fetched(folder: Path, name: str) -> None:
    info = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps(info | {"backbone": {"name": name}}))
    save_file(small_resnet(2).state_dict(), folder / "model.safetensors")
    with pytest.raises(ModelError, match="not known here"):
        trained_network(read_bundle(folder))
