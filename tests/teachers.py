"""Small trained models for tests of what is done to finished ones: a network that learned shapes, as a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from pictures import SHAPES, make_picture
from torch import nn

from photovision.core.files import write_json
from photovision.core.preprocess import Preprocess
from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays
from photovision.engine.load import load
from photovision.engine.optimize.step import OptimizeRun
from photovision.models.backbones import Backbone, create
from photovision.models.export import Decider, Normalise, export_graph
from photovision.runtime.bundle import Bundle
from photovision.tasks.classify.export_bundle import write_network
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.classify.refit import refit

CLASSES = SHAPES[:3]


def shapes(first: int, count: int, size: int) -> Dataset:
    """`count` pictures of each shape, the same for the same `first`."""
    pictures = [np.asarray(make_picture(kind, size, first + i)) for i in range(count) for kind in range(len(CLASSES))]
    return dataset_from_arrays(pictures, list(CLASSES) * count, CLASSES)


def teacher(folder: Path, backbone: str, size: int, *, steps: int) -> Recognizer:
    """Train a network on shapes for some steps of 48 pictures, and write it as a bundle."""
    torch.manual_seed(0)
    source = Backbone(backbone, "none", Preprocess((size, size)))
    network, training = create(source, len(CLASSES)), shapes(0, 64, size)
    _train(network, source, training, steps)
    folder.mkdir()
    write_network(network.eval(), source, CLASSES, folder)
    decider = Decider(network, source.preprocess, 0.5, False)
    export_graph(decider, source.preprocess.size, decider.outputs, folder / "model.onnx")
    info: dict[str, Any] = {
        "format": "photovision",
        "version": 1,
        "task": "classify",
        "multilabel": False,
        "classes": list(CLASSES),
        "preprocess": source.preprocess.to_json(),
        "backbone": {"name": backbone, "weights": "none", "params": 1, "macs": 1},
        "temperature": 1.0,
        "training": {"seed": 0},
        "licences": [{"part": "code", "name": "test", "licence": "apache-2.0", "commercial": True, "note": ""}],
        "parity": {"precision": "f32"},
        "metrics": {"accuracy": {"value": 0.9, "low": 0.8, "high": 0.95, "n": 60, "unit": "share"}},
    }
    fitted = refit(Bundle(folder, info), training, shapes(5000, 30, size), shapes(7000, 1, size))
    write_json(folder / "bundle.json", info | fitted)
    return load(folder)


def job(
    model: Recognizer, place: Path, *, backbone: str | None = None, minutes: float = 0.1
) -> tuple[OptimizeRun, list[str]]:
    """A step for that model, and the lines that it will say."""
    said: list[str] = []
    work, size = place / "work", model.preprocess.size[0]
    work.mkdir(parents=True, exist_ok=True)
    made = OptimizeRun(
        model,
        shapes(0, 64, size),
        shapes(5000, 30, size),
        shapes(7000, 1, size),
        place / "smaller",
        work,
        minutes,
        backbone,
        said.append,
        0.05,
    )
    return made, said


def _train(network: nn.Module, source: Backbone, training: Dataset, steps: int) -> None:
    pixels = np.stack([np.asarray(sample.image) for sample in training.samples])
    inputs = Normalise(source.preprocess)(torch.from_numpy(pixels)).contiguous(memory_format=torch.channels_last)
    labels = torch.from_numpy(training.labels)
    optimiser = torch.optim.AdamW(network.train().parameters(), 2e-3)
    for step in range(steps):
        rows = torch.randperm(len(labels))[:48]
        if step == int(0.7 * steps):
            optimiser.param_groups[0]["lr"] = 4e-4
        loss = nn.functional.cross_entropy(network(inputs[rows]), labels[rows])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
