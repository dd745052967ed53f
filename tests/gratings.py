"""Noisy gratings of three directions, and a small classifier of them with batch normalisation, made in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from photovision.data.dataset import Dataset
from photovision.data.read import dataset_from_arrays

CLASSES = ("left", "right", "upright")
SIZE = 16
_ANGLES = (0.5, 2.2, 1.35)


def gratings(
    count: int, seed: int, shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3), noise: float = 90
) -> tuple[list[np.ndarray], list[str]]:
    """Pictures uint8 (16, 16, 3) and their classes."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    pictures, labels = [], rng.choice(3, count, p=shares)
    for label in labels:
        angle = _ANGLES[label] + rng.normal(0, 0.3)
        wave = np.sin(1.3 * (columns * np.cos(angle) + rows * np.sin(angle)) + rng.uniform(0, 6))
        picture = 120 + 35 * wave[:, :, None] + rng.normal(0, noise, (SIZE, SIZE, 3))
        pictures.append(np.clip(picture, 0, 255).astype(np.uint8))
    return pictures, [CLASSES[label] for label in labels]


def labelled(count: int, seed: int, shares: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)) -> Dataset:
    """The same as a data set with the classifier's classes."""
    return dataset_from_arrays(*gratings(count, seed, shares))


def bundle(folder: Path) -> Path:
    """A classifier that learned from 800 gratings, without a record of them."""
    import torch

    from photovision.core.preprocess import Preprocess
    from photovision.engine.bundle_writer import new_bundle
    from photovision.models.backbones import Backbone, create
    from photovision.models.export import Decider, export_graph
    from photovision.runtime.bundle_info import describe_model
    from photovision.tasks.classify.export_bundle import write_network
    from photovision.tasks.classify.refit import refit

    torch.manual_seed(0)
    middle = (0.5, 0.5, 0.5)
    source = Backbone("small_resnet_slim", "none", Preprocess((SIZE, SIZE), "squash", 1.0, "bilinear", middle, middle))
    network = create(source, len(CLASSES))
    decider = Decider(network, source.preprocess, 1.5, False)
    train = labelled(800, 1)
    pixels = torch.from_numpy(np.stack([np.asarray(sample.image) for sample in train.samples]))
    truth = torch.from_numpy(train.labels)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3)
    network.train()
    for step in range(150):
        rows = torch.from_numpy(np.random.default_rng(step).permutation(800)[:64])
        loss = torch.nn.functional.cross_entropy(network(decider.normalise(pixels[rows])), truth[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    network.eval()
    with new_bundle(folder) as draft:
        write_network(network, source, CLASSES, draft.folder)
        export_graph(decider, source.preprocess.size, decider.outputs, draft.folder / "model.onnx")
        facts = {"multilabel": False, "temperature": 1.5, "thresholds": None, "rungs": [], "doubt": None}
        backbone = {**source.describe(), "params": 1, "macs": 1}
        data = {"train_per_class": dict.fromkeys(CLASSES, 266)}
        draft.info = describe_model(
            "classify",
            CLASSES,
            source.preprocess,
            backbone=backbone,
            chosen="network",
            training={"seed": 0, "seconds": 1},
            data=data,
            parity={},
            licences=[],
            facts=facts,
        )
        draft.info |= refit(draft.bundle, train, labelled(400, 2), labelled(120, 3))
        draft.texts = False
    return folder
