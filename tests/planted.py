"""A bundle of a small network whose first layer holds planted units, for tests of what is found in a network."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from photovision.core.preprocess import Preprocess
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.models.small import small_resnet

RED, EDGE, DEAD = 3, 7, 11
"""Units of the first layer: excited by red, by light beside dark (a vertical edge), and by nothing."""
SIZE = 32
PREPROCESS = Preprocess((SIZE, SIZE))


def planted_network(classes: int) -> nn.Module:
    """A network with random weights but for the planted units."""
    torch.manual_seed(0)
    network = small_resnet(classes).eval()
    weights = network.get_submodule("stem.conv").weight
    bias = network.get_submodule("stem.bn").bias
    with torch.no_grad():
        weights[RED] = torch.tensor([1.0, -0.7, -0.7])[:, None, None] / 9
        weights[EDGE] = torch.tensor([-1.0, 0.0, 1.0]) / 9
        weights[DEAD] = 0
        bias[DEAD] = -1
    return network


def planted_bundle(folder: Path, classes: Sequence[str] = ("red", "green", "blue")) -> Path:
    """The folder of a bundle with that network; it has no graph, as it is only looked into."""
    folder.mkdir(parents=True)
    save_file(planted_network(len(classes)).state_dict(), folder / "model.safetensors")
    info: dict[str, Any] = {
        "format": "photovision",
        "version": 1,
        "task": "classify",
        "multilabel": False,
        "classes": list(classes),
        "preprocess": PREPROCESS.to_json(),
        "backbone": {"name": "small_resnet", "weights": "none"},
        "temperature": 1.0,
        "training": {"seed": 0},
        "licences": [],
    }
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def colours(count: int = 20, classes: Sequence[str] = ("red", "green", "blue")) -> Dataset:
    """Grainy squares of three colours, `count` of each, on shaded grounds, in memory."""
    rng = np.random.default_rng(5)
    pictures, labels = [], []
    for channel, name in enumerate(classes):
        for _ in range(count):
            picture = rng.uniform(60, 120) + rng.normal(0, 6, (SIZE, SIZE, 3))
            top, left = rng.integers(4, 14, 2)
            picture[top : top + 14, left : left + 14] = rng.normal(40, 6, (14, 14, 3))
            picture[top : top + 14, left : left + 14, channel] += rng.uniform(150, 200)
            pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
            labels.append(name)
    return dataset_from_arrays(np.stack(pictures), labels)
