"""Made pictures show what a planted unit looks for, and are the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from photovision.core.preprocess import Preprocess
from photovision.models.activations import NetworkStage, find_stages
from photovision.models.visualise import noise_pictures, visualise_classes, visualise_units

PREPROCESS = Preprocess((48, 48))
RED, BLUE, VERTICAL, LEVEL = range(4)


class Planted(nn.Module):
    """A first layer of known filters, and a class for each of them."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.act = nn.ReLU(inplace=True)
        self.end = nn.Linear(4, 4, bias=False)
        with torch.no_grad():
            self.conv.weight[RED] = torch.tensor([1.0, -0.8, -0.8])[:, None, None]
            self.conv.weight[BLUE] = torch.tensor([-0.8, -0.8, 1.0])[:, None, None]
            self.conv.weight[VERTICAL] = torch.tensor([-1.0, 0.0, 1.0])
            self.conv.weight[LEVEL] = torch.tensor([-1.0, 0.0, 1.0])[:, None]
            self.end.weight.copy_(torch.eye(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.end(self.act(self.conv(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return Planted().eval()


@pytest.fixture(scope="module")
def stage(network: nn.Module) -> NetworkStage:
    return find_stages(network, (48, 48))[0]


@pytest.fixture(scope="module")
def made(network: nn.Module, stage: NetworkStage) -> tuple[np.ndarray, np.ndarray]:
    """A picture for each planted unit."""
    return visualise_units(network, stage, [RED, BLUE, VERTICAL, LEVEL], PREPROCESS, side=48, steps=128)


def gradients(picture: np.ndarray) -> tuple[float, float]:
    """Mean absolute change along the rows and down the columns."""
    grey = picture.mean(2)
    return float(np.abs(np.diff(grey, axis=1)).mean()), float(np.abs(np.diff(grey, axis=0)).mean())


def test_a_colour_unit_gets_its_colour(made: tuple[np.ndarray, np.ndarray]) -> None:
    for unit, channel in ((RED, 0), (BLUE, 2)):
        colour = made[0][unit].mean((0, 1))
        assert colour.argmax() == channel
        assert colour[channel] - np.delete(colour, channel).max() > 40


def test_an_edge_unit_gets_edges_of_its_direction(made: tuple[np.ndarray, np.ndarray]) -> None:
    along, down = gradients(made[0][VERTICAL])
    assert along > 1.5 * down
    along, down = gradients(made[0][LEVEL])
    assert down > 1.5 * along


def test_a_made_picture_excites_far_more_than_noise(
    network: nn.Module, stage: NetworkStage, made: tuple[np.ndarray, np.ndarray]
) -> None:
    _, start = visualise_units(network, stage, [RED, BLUE, VERTICAL, LEVEL], PREPROCESS, side=48, steps=1)
    assert (made[1] > 3 * start).all()


def test_the_seed_decides(network: nn.Module, stage: NetworkStage) -> None:
    def run(seed: int) -> np.ndarray:
        return visualise_units(network, stage, [RED, VERTICAL], PREPROCESS, side=48, steps=8, seed=seed)[0]

    assert np.array_equal(run(1), run(1))
    assert not np.array_equal(run(1), run(2))


def test_a_smaller_canvas_is_shown_without_its_border(network: nn.Module, stage: NetworkStage) -> None:
    pictures, _ = visualise_units(network, stage, [RED], PREPROCESS, side=32, steps=2)
    assert pictures.shape == (1, 24, 24, 3)
    assert pictures.dtype == np.uint8


def test_grey_pictures_have_no_colour(network: nn.Module, stage: NetworkStage) -> None:
    pictures, _ = visualise_units(network, stage, [VERTICAL], PREPROCESS, side=48, steps=20, grey=True)
    assert np.ptp(pictures.astype(int), axis=3).max() == 0
    assert np.ptp(noise_pictures(2, (16, 16), grey=True).astype(int), axis=3).max() == 0
    assert np.ptp(noise_pictures(2, (16, 16)).astype(int), axis=3).max() > 10


def test_a_class_picture_is_called_so(network: nn.Module) -> None:
    steps: list[None] = []
    pictures, logits = visualise_classes(
        network, [BLUE, VERTICAL], PREPROCESS, steps=40, tick=lambda: steps.append(None)
    )
    assert pictures.shape == (2, 48, 48, 3)
    assert logits.argmax(1).tolist() == [BLUE, VERTICAL]
    assert len(steps) == 40


def test_the_network_is_left_as_it_was(network: nn.Module, stage: NetworkStage) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    visualise_units(network, stage, [RED], PREPROCESS, side=48, steps=3)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in network.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in network.modules())
