"""Small scenes for tests: a disc and a square on a grainy ground, with the class of every pixel or with objects."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from photovision.core.regions import Detections, Segmentation
from photovision.core.shapes import Rle
from photovision.core.types import Sample
from photovision.data.dataset import Dataset

CLASSES = ("background", "disc", "square")


def make_scene(size: tuple[int, int] = (64, 64), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """uint8 RGB (H, W, 3), and int32 (H, W): 1 in a disc, 2 in a square, at places drawn from `seed`."""
    rng = np.random.default_rng(seed)
    height, width = size
    rows, columns = np.mgrid[:height, :width]
    labels = np.zeros(size, np.int32)
    radius = min(size) / rng.uniform(5, 7)
    y, x = rng.uniform(radius, height - radius), rng.uniform(radius, width / 2 - radius)
    labels[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = 1
    top, left = rng.uniform(0, height - 2 * radius), rng.uniform(width / 2, width - 2 * radius)
    labels[(rows >= top) & (rows < top + 2 * radius) & (columns >= left) & (columns < left + 2 * radius)] = 2
    colours = np.array([[60, 70, 90], [200, 90, 60], [90, 200, 110]], dtype=np.float64) + rng.uniform(-20, 20, (3, 3))
    shaded = colours[labels] + 30 * (rows / height)[..., None] + rng.normal(0, 10, (*size, 1))
    return np.clip(shaded, 0, 255).astype(np.uint8), labels


def semantic(pictures: int = 12, size: tuple[int, int] = (64, 64), seed: int = 0) -> Dataset:
    """Scenes with a class for every pixel."""
    samples = []
    for number in range(pictures):
        image, labels = make_scene(size, seed * 1000 + number)
        samples.append(Sample(f"{number:03d}", image, CLASSES[1:], annotations=Segmentation(labels, CLASSES)))
    return Dataset(tuple(samples), CLASSES, multilabel=True, annotation_type="masks")


def objects(pictures: int = 12, size: tuple[int, int] = (64, 64), seed: int = 0) -> Dataset:
    """Scenes with a mask for every object, all of one class, as mask files give them."""
    samples = []
    for number in range(pictures):
        image, labels = make_scene(size, seed * 1000 + number)
        masks = [Rle.of(labels == label) for label in (1, 2)]
        boxes = np.array([mask.box for mask in masks], dtype=np.float32)
        found = Detections(boxes, np.zeros(2, np.int64), ("thing",), masks=tuple(masks))
        samples.append(Sample(f"{number:03d}", image, ("thing",), annotations=found))
    return Dataset(tuple(samples), ("thing",), multilabel=True, source="masks", annotation_type="boxes")


def write_scenes(folder: Path, pictures: int = 12) -> Path:
    """The scenes of `semantic` as files: images/, masks/ and classes.txt."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(pictures):
        image, labels = make_scene(seed=number)
        Image.fromarray(image).save(folder / "images" / f"{number:03d}.png")
        Image.fromarray(labels.astype(np.uint8)).save(folder / "masks" / f"{number:03d}.png")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES), encoding="utf-8")
    return folder
