"""Pictures with several shapes and the boxes around them, for tests of detectors."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from photovision.core.regions import Detections
from photovision.core.types import Sample
from photovision.data.dataset import Dataset

CLASSES = ("circle", "square")


def boxed(seed: int, size: tuple[int, int] = (96, 128)) -> Sample:
    """One to three shapes of CLASSES on a grainy, shaded ground, none over another."""
    rng = np.random.default_rng(seed)
    height, width = size
    ground = rng.uniform(50, 110, 3) + np.linspace(-25, 25, width)[None, :, None] + rng.normal(0, 9, (height, width, 1))
    picture = Image.fromarray(np.clip(ground, 0, 255).astype(np.uint8))
    draw, boxes, labels = ImageDraw.Draw(picture), [], []
    columns = rng.permutation(3)[: int(rng.integers(1, 4))]
    for column in columns:
        side = rng.uniform(0.2, 0.3) * width
        left, top = column * width / 3 + rng.uniform(0, width / 3 - side), rng.uniform(0, height - side)
        box, label = (left, top, left + side, top + side), int(rng.integers(2))
        colour = tuple(rng.integers(170, 250, 3).tolist())
        (draw.ellipse if label == 0 else draw.rectangle)(box, fill=colour)
        boxes.append(box)
        labels.append(label)
    found = Detections(np.float32(boxes).reshape(-1, 4), np.array(labels, np.int64), CLASSES)
    return Sample(f"boxed-{seed}", np.asarray(picture), tuple(sorted(set(found.names))), annotations=found)


def boxed_samples(count: int, size: tuple[int, int] = (96, 128)) -> list[Sample]:
    """`count` different pictures."""
    return [boxed(number, size) for number in range(count)]


def boxed_set(train: int, val: int, test: int) -> Dataset:
    """A data set of such pictures with its own split."""
    parts = np.split(np.arange(train + val + test), [train, train + val])
    splits = {name: tuple(rows.tolist()) for name, rows in zip(("train", "val", "test"), parts, strict=True)}
    samples = tuple(boxed_samples(train + val + test))
    return Dataset(samples, CLASSES, splits, multilabel=True, annotation_type="boxes")
