"""Two graphs become one that decides like the network they come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from photovision.core.preprocess import Preprocess
from photovision.models.backbones import Backbone, create
from photovision.models.export import Decider, DeciderOnFeatures, check_parity, write_graph
from photovision.models.frozen_features import default_cut, export_trunk, frozen_shapes
from photovision.models.joined_graph import join_graphs

PREPROCESS = Preprocess((64, 64))


def joined(folder: Path) -> tuple[Decider, Path]:
    network = create(Backbone("test_resnet", "none", PREPROCESS), 3).eval()
    lower, upper, target = (folder / f"{name}.onnx" for name in ("lower", "upper", "whole"))
    export_trunk(network, PREPROCESS, default_cut(network, PREPROCESS.size), lower)
    shapes = frozen_shapes(lower)
    assert shapes is not None
    with torch.no_grad():  # the last layer learns after the frozen part was written
        network.get_classifier().weight.mul_(3)  # type: ignore[operator]
    decider = Decider(network, PREPROCESS, 1.7, multilabel=False)
    inputs = {name: torch.zeros(2, *shape) for name, shape in shapes.items()}
    write_graph(DeciderOnFeatures(decider), inputs, dict.fromkeys(inputs, ("batch",)), decider.outputs, upper)
    join_graphs(lower, upper, target)
    return decider, target


def test_a_frozen_graph_with_its_last_layer_decides_like_the_network(tmp_path: Path) -> None:
    decider, target = joined(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    assert check_parity(decider, target, images).max_abs_prob_difference < 1e-5
    model = onnx.load(target)
    assert [value.name for value in model.graph.output] == list(decider.outputs)
    assert "maps" in decider.outputs  # the name of the lower graph's own maps, too
    assert "temperature" in {constant.name for constant in model.graph.initializer}


def test_graphs_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    joined(tmp_path)
    with pytest.raises(AssertionError, match="inputs"):
        join_graphs(tmp_path / "upper.onnx", tmp_path / "lower.onnx", tmp_path / "none.onnx")
