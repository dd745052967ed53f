"""Feature levels: which maps of a network are given, as one graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from photovision.core.errors import UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.feature_levels import LevelGraph, export_levels
from photovision.models.small import small_resnet_slim
from photovision.runtime.session import open_session


def test_the_graph_gives_each_resolution_as_the_network_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network, preprocess = small_resnet_slim(0).eval(), Preprocess((48, 48))
    levels = export_levels(network, preprocess, tmp_path / "levels.onnx")
    assert {(level.stride, level.size) for level in levels} == {(4, (12, 12)), (8, (6, 6))}
    images = np.random.default_rng(0).integers(0, 256, (3, 48, 48, 3), dtype=np.uint8)
    found = open_session(tmp_path / "levels.onnx", precision="f32").run(images)
    with torch.no_grad():
        expected = LevelGraph(network, preprocess)(torch.from_numpy(images))
    for level, value in zip(levels, expected, strict=True):
        assert found[level.name].shape == (3, level.channels, *level.size)
        assert np.allclose(found[level.name], value.numpy(), atol=1e-3)


def test_pictures_too_small_for_a_map_are_refused() -> None:
    with pytest.raises(UsageError, match="raise --size"):
        LevelGraph(small_resnet_slim(0), Preprocess((4, 4)))
