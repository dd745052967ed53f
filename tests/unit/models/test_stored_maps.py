"""Stored maps: what the fast runtime computes of a backbone is what the segmenter itself would, and learns alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from photovision.models.backbones import choose
from photovision.models.export import Normalise
from photovision.models.segmenter import Decoder, SegmenterNetwork
from photovision.models.stored_maps import map_steps
from photovision.runtime.session import open_session

SIZE = (64, 96)


def _network(name: str = "lcnet_035", decoder: Decoder = Decoder(16, 4)) -> SegmenterNetwork:  # noqa: B008
    torch.manual_seed(0)
    return SegmenterNetwork(choose(name, "none", 64), 3, False, decoder).eval()


@pytest.mark.parametrize("name", ["lcnet_035", "resnet18"])
def test_the_steps_to_the_maps_are_found(name: str) -> None:
    network = _network(name)
    found = map_steps(network, SIZE)
    assert found is not None
    images = torch.rand(2, 3, *SIZE)
    with torch.no_grad():
        maps = network.maps(images)
        assert found.shapes == tuple((value.shape[2], value.shape[3], value.shape[1]) for value in maps)
        rows = torch.cat([value.permute(0, 2, 3, 1).flatten(1) for value in maps], 1)
        assert rows.shape[1] == found.numbers
        for upper in (False, True):  # whether the coarse maps are taken from the rows or computed
            assert torch.allclose(found.part(upper)(rows), network(images), atol=1e-5)


def test_what_learns_is_the_segmenters_own() -> None:
    network = _network()
    found = map_steps(network, SIZE)
    assert found is not None
    alone, both = found.part(False), found.part(True)
    own = {id(parameter) for parameter in network.parameters()}
    assert all(id(parameter) in own for part in (alone, both) for parameter in part.parameters())
    upper, decoder = both.steps()
    assert len(upper) > 10
    assert len(alone.steps()[0]) == 0
    assert [name for name, _ in decoder] == [name for name, _ in alone.steps()[1]]


def test_networks_that_are_no_chain_are_not_split() -> None:
    network = _network()
    forward = network.maps
    network.maps = lambda images: [value + 1 for value in forward(images)]  # type: ignore[method-assign]
    assert map_steps(network, SIZE) is None


@pytest.mark.slow
def test_the_graph_gives_the_rows(tmp_path: Path) -> None:
    network = _network()
    found = map_steps(network, SIZE)
    assert found is not None
    preprocess = choose("lcnet_035", "none", 64).preprocess
    preprocess = type(preprocess)(SIZE, mean=preprocess.mean, std=preprocess.std)
    found.export(preprocess, tmp_path / "maps.onnx")
    pixels = np.random.default_rng(0).integers(0, 256, (2, *SIZE, 3), dtype=np.uint8)
    rows = open_session(tmp_path / "maps.onnx", precision="f32").run(pixels)["maps"]
    with torch.no_grad():
        logits = network(Normalise(preprocess)(torch.from_numpy(pixels)))
        assert torch.allclose(found.part(True)(torch.from_numpy(rows)), logits, atol=1e-3)
