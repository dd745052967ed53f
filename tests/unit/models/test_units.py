"""Units: the right stages, how far they see, and what excites them."""

from __future__ import annotations

import numpy as np
import pytest
import timm
import torch
from torch import nn

from photovision.core.errors import ModelError
from photovision.core.preprocess import Preprocess
from photovision.models.activations import (
    find_stages,
    first_filters,
    fitting_threads,
    measure,
    receptive_field,
    response_maps,
)
from photovision.models.export import Normalise
from photovision.models.small import small_resnet


class Chain(nn.Module):
    """Three convolutions of which the reach is known by heart, then a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.act = nn.ReLU6(inplace=True)
        self.b = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.c = nn.Conv2d(4, 5, 3, stride=2, padding=2, dilation=2)
        self.end = nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.c(self.b(self.act(self.a(x))))
        return self.end(maps.mean((2, 3)))


def hooks(network: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules())


def test_the_receptive_field_of_a_known_chain_is_exact() -> None:
    torch.manual_seed(0)
    network = Chain().eval()
    stages = find_stages(network, (64, 64))
    assert [(stage.name, stage.channels, stage.places) for stage in stages] == [
        ("act", 4, (64, 64)),
        ("b", 4, (32, 32)),
        ("c", 5, (16, 16)),
    ]
    # 3; 3 + 2 * 1; 5 + 4 * 2, as the third steps two pixels and is spread by two.
    fields = [receptive_field(network, stage, (64, 64)) for stage in stages]
    assert [field.reach for field in fields] == [3, 5, 13]
    assert all(0 < field.most <= field.reach for field in fields)


def test_no_field_is_larger_than_the_picture() -> None:
    network = small_resnet(2).eval()
    assert receptive_field(network, find_stages(network, (28, 28))[-1], (28, 28)).reach == 28


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("tf_efficientnet_lite0", {}, ["bn1", "blocks.0", "blocks.1", "blocks.2", "blocks.4", "bn2"]),
        ("convnext_atto", {}, ["stem", "stages.0", "stages.1", "stages.2", "stages.3"]),
        ("vit_tiny_patch16_224", {"img_size": 64}, ["patch_embed", "blocks.2", "blocks.5", "blocks.9", "norm"]),
    ],
)
def test_a_layer_a_resolution_is_shown(name: str, options: dict[str, int], expected: list[str]) -> None:
    network = timm.create_model(name, num_classes=3, **options).eval()
    stages = find_stages(network, (64, 64))
    assert [stage.name for stage in stages] == expected
    for stage in stages:
        maps = response_maps(network, stage, torch.rand(2, 3, 64, 64))
        assert tuple(maps.shape) == (2, stage.channels, *stage.places)
    assert hooks(network) == 0


def test_a_network_without_places_is_refused_in_one_line() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 4))
    with pytest.raises(ModelError, match="no feature maps") as caught:
        find_stages(network, (8, 8))
    assert "\n" not in str(caught.value)


def test_hooks_are_released_where_the_network_fails() -> None:
    network = Chain().eval()
    stage = find_stages(network, (32, 32))[1]
    with pytest.raises(RuntimeError):
        response_maps(network, stage, torch.rand(1, 5, 32, 32))
    assert hooks(network) == 0


def test_responses_are_taken_before_the_activation_clips_them() -> None:
    torch.manual_seed(1)
    network, preprocess = Chain().eval(), Preprocess((16, 16))
    with torch.no_grad():
        network.a.weight.mul_(30)
    stages = find_stages(network, (16, 16))
    images = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    found, logits = measure(network, stages, iter((images[:3], images[3:])), 8, preprocess)
    with torch.no_grad():
        batch = Normalise(preprocess)(torch.from_numpy(images))
        raw = network.a(batch).numpy().clip(0)
        assert np.allclose(logits, network(batch).numpy(), atol=1e-5)
    assert raw.max() > 6
    assert found["act"].peaks.shape == (5, 4)
    inner = raw[:, :, 1:-1, 1:-1].reshape(5, 4, -1)  # the outermost places see padding
    assert np.allclose(found["act"].peaks, inner.max(2), atol=1e-4)
    assert np.allclose(found["act"].means, raw.mean((2, 3)), atol=1e-4)
    row, column = found["act"].places[2, 1]
    assert raw[2, 1, row, column] == pytest.approx(found["act"].peaks[2, 1], abs=1e-4)


def test_filters_are_shown_only_where_they_see_rgb() -> None:
    weights = first_filters(small_resnet(2))
    assert weights is not None
    assert weights.shape == (24, 3, 3, 3)
    assert first_filters(nn.Sequential(nn.Conv2d(1, 4, 3))) is None


def test_the_number_of_threads_is_put_back() -> None:
    before = torch.get_num_threads()
    with fitting_threads(1e6):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
