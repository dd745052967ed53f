"""A model that can estimate its own accuracy, and pictures that it knows the less the more they fade.

It is the one that tells colours apart; held-out pictures of every degree of fading were kept from its training.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from colours import COLOURS, colour_bundle

from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.scan import scan
from photovision.engine.load import load
from photovision.engine.remember import remember_embeddings
from photovision.engine.similarity import accuracy_by_similarity
from photovision.runtime.similarity import NAME
from photovision.runtime.training_images import TRAIN, TrainingImages, write_training_images

CLASSES = ("red", "green", "blue")


def faded_picture(name: str, amount: float, seed: int, size: int = 40) -> np.ndarray:
    """uint8 (size, size, 3): a square of about a colour with a grain and a pattern of its own.

    Args:
        name: the colour.
        amount: 0 is that colour, 1 is grey.
        seed: of the grain, the pattern and the shade.
    """
    rng = np.random.default_rng((seed, len(name), 7))
    colour = (1 - amount) * np.array(COLOURS[name]) + amount * np.array(COLOURS["grey"])
    pattern = np.kron(rng.normal(0, 25, (8, 8, 1)), np.ones((size // 8, size // 8, 1)))
    shade = rng.normal(0, 12, (size, size, 3)) + rng.normal(0, 12, 3)
    return np.clip(colour + pattern - pattern.mean() + shade, 0, 255).astype(np.uint8)


def faded(count: int, amounts: tuple[float, float], seed: int) -> Dataset:
    """`count` labelled pictures, faded by amounts between two bounds."""
    amount = np.random.default_rng(seed).uniform(*amounts, count)
    names = [CLASSES[number % 3] for number in range(count)]
    pictures = [faded_picture(name, float(amount[i]), seed * 10_000 + i) for i, name in enumerate(names)]
    samples = (Sample(f"{seed}-{i:04d}", pictures[i], (name,)) for i, name in enumerate(names))
    return Dataset(tuple(samples), CLASSES)


def faded_bundle(folder: Path) -> Path:
    """The model, which remembers 90 training pictures and was fitted to 300 held-out ones."""
    colour_bundle(folder)
    learned, held_out, test = faded(90, (0.0, 0.3), 1), faded(300, (0.0, 1.0), 2), faded(90, (0.0, 0.3), 3)
    remember_embeddings(load(folder), learned, test, folder, 0)
    write_training_images(TrainingImages.of(scan(learned), TRAIN), folder)
    bundle = load(folder).bundle
    info = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    info[NAME] = accuracy_by_similarity(bundle.row, bundle, held_out)
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder
