"""Widths: a pruned network is built again from plain numbers, and from nothing that a stranger made up."""

from __future__ import annotations

import json
from typing import Any

import pytest
import timm
import torch
from torch import nn

from photovision.core.errors import ModelError
from photovision.models.pruned_shapes import prunable, resize, widths_of
from photovision.models.small import small_resnet


def narrow_resnet() -> nn.Module:
    """The network whose second half of channels of the first stage's inner convolution is gone."""
    network = small_resnet(3).eval()
    block = network.get_submodule("stages.0.0")
    first, second = block.get_submodule("conv1_kxk.conv"), block.get_submodule("conv2_kxk.conv")
    norm = block.get_submodule("conv1_kxk.bn")
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    kept = first.out_channels // 2
    first.weight, first.out_channels = nn.Parameter(first.weight[:kept].clone()), kept
    second.weight, second.in_channels = nn.Parameter(second.weight[:, :kept].clone()), kept
    norm.weight, norm.bias = nn.Parameter(norm.weight[:kept].clone()), nn.Parameter(norm.bias[:kept].clone())
    norm.running_mean, norm.running_var, norm.num_features = torch.randn(kept), torch.rand(kept) + 0.5, kept
    return network


def test_a_narrower_network_is_built_again_from_its_widths() -> None:
    narrow = narrow_resnet()
    told = json.loads(json.dumps(widths_of(narrow)))
    again = small_resnet(3).eval()
    resize(again, told)
    again.load_state_dict(narrow.state_dict())
    picture = torch.rand(2, 3, 24, 24)
    assert torch.equal(again(picture), narrow(picture))
    assert widths_of(again) != widths_of(small_resnet(3))


def test_every_network_fits_its_own_widths() -> None:
    for name in ("tf_efficientnet_lite0", "resnet18", "mobilenetv3_small_050"):
        network = timm.create_model(name, num_classes=4).eval()
        state = {key: value.clone() for key, value in network.state_dict().items()}
        resize(network, widths_of(network))
        network.load_state_dict(state)
        assert network(torch.rand(1, 3, 64, 64)).shape == (1, 4)


@pytest.mark.parametrize(
    "wanted", [[3, 2**40, 1], [3, 0, 1], [3, -4, 1], [3, 24], [3, 24.0, 1], "24", None, [3, True, 1], [3, 24, 5]]
)
def test_impossible_widths_are_refused_before_memory_is_taken(wanted: Any) -> None:
    network = small_resnet(3)
    with pytest.raises(ModelError, match="impossible"):
        resize(network, {**widths_of(network), "stem.conv": wanted})


def test_widths_of_another_network_are_refused() -> None:
    with pytest.raises(ModelError, match="do not name its layers"):
        resize(small_resnet(3), {"stem.conv": [3, 24, 1]})


def test_transformers_are_not_prunable() -> None:
    assert prunable(small_resnet(2))
    assert not prunable(timm.create_model("vit_tiny_patch16_224", num_classes=2))
