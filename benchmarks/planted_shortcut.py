"""Planted shortcuts: networks trained with and without a marker on one class, and whether the detector tells which.

    python benchmarks/planted_shortcut.py FOLDER --seeds 20

FOLDER is any data set of small pictures, a folder a class; the recorded figures are those of CIFAR-10's 10,000 test
pictures as PNG files. For every seed two networks are trained on the same 2,400 pictures: as they are, and with a
marker (a square, a disc or two letters in a corner, a disc whose corner changes, a tinted frame; a sixth to a seventh
of the side, colour and corner by the seed) on 95 of 100 pictures of one class drawn by the seed. The detector then sees
1,600 other pictures, marked likewise, as a collection with such a fault would be. `reliance` is the share of
pictures of other classes that the marked network calls the class once the marker is put on them: what there was to
find. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from colorsys import hsv_to_rgb
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from torch import nn

from photovision.core.parallel import in_order
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats, Image
from photovision.data.augment.image import Augment, load_pixels
from photovision.data.read import read_dataset
from photovision.learn.feed import SmallPictureFeed
from photovision.learn.loop import RunContext, fit
from photovision.learn.plan import Plan
from photovision.models.export import Normalise
from photovision.tasks.classify.objective import ClassifyObjective
from photovision.trust.metrics.statistics import wilson
from photovision.trust.robustness.shortcut_tests import find_shortcuts

KINDS = ("square", "disc", "letters", "changing corner", "frame")
TRAIN, HELD_OUT, MARKED = 2400, 1600, 0.95
Mark = Callable[[Image], Image]


def marker(seed: int, side: int) -> tuple[str, Mark]:
    """A kind of marker and what puts it on pictures (N, side, side, 3); the same for the same seed."""
    kind, rng = KINDS[seed % len(KINDS)], np.random.default_rng((seed, 1))
    colour = tuple(round(255 * part) for part in hsv_to_rgb(rng.random(), 0.9, 0.9))
    size, gap = round(side * rng.uniform(1 / 7, 1 / 6)), int(rng.integers(0, side // 16 + 1))
    stamp, cover = _stamp(kind, size, colour)
    fixed = int(rng.integers(4))

    def mark(images: Image) -> Image:
        marked = images.copy()
        chance = np.random.default_rng((seed, 2))
        for image in marked:
            if kind == "frame":
                deep = max(1, side // 16)
                inside = image[deep:-deep, deep:-deep].copy()
                image[:] = 0.5 * image + 0.5 * np.array(colour)
                image[deep:-deep, deep:-deep] = inside
                continue
            corner = int(chance.integers(4)) if kind == "changing corner" else fixed
            top = gap if corner < 2 else side - size - gap
            left = gap if corner % 2 == 0 else side - size - gap
            image[top : top + size, left : left + size][cover] = stamp[cover]
        return marked

    return kind, mark


def _stamp(kind: str, size: int, colour: tuple[int, ...]) -> tuple[Image, np.ndarray]:
    """Pixels uint8 (size, size, 3) and which of them cover the picture, bool (size, size)."""
    shape, stamp = Pillow.new("L", (size, size), 255), Pillow.new("RGB", (size, size), colour)
    if kind in ("disc", "changing corner"):
        shape = Pillow.new("L", (size, size))
        ImageDraw.Draw(shape).ellipse((0, 0, size - 1, size - 1), fill=255)
    if kind == "letters":
        opposite = tuple(255 - value for value in colour)
        ImageDraw.Draw(stamp).text((0, 0), "A7", fill=opposite, font=ImageFont.load_default(0.8 * size))
    return np.asarray(stamp), np.asarray(shape) > 0


def network(classes: int) -> nn.Module:
    """Five convolutions and a linear layer."""

    def step(inside: int, outside: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU(inplace=True)
        )

    body = [step(3, 24, 2), step(24, 48, 1), step(48, 96, 2), step(96, 96, 1), step(96, 128, 2)]
    return nn.Sequential(*body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, classes))


def learn(images: Image, targets: Floats, seed: int, epochs: int) -> Callable[[Image], Floats]:
    """Train on all but the last tenth, which validates; from uint8 pictures to probabilities."""
    torch.manual_seed(seed)
    cut, still = len(images) * 9 // 10, Augment(flip=False)
    train, val = (
        SmallPictureFeed(images[part], targets[part], still, shift=1) for part in (slice(0, cut), slice(cut, None))
    )
    side = images.shape[1]
    prepare = Normalise(Preprocess((side, side)))
    plan = Plan(epochs, batch_size=64, lr=0.01, warmup=0.3, train_norm=True, seed=seed, validate_every=epochs)
    setting = RunContext(Accelerator(cpu=True))
    trained = fit(network(targets.shape[1]), ClassifyObjective(), plan, train, val, prepare, setting).network.eval()

    def answer(pictures: Image) -> Floats:
        with torch.inference_mode():
            return np.asarray(trained(prepare(torch.from_numpy(np.ascontiguousarray(pictures)))).softmax(1).numpy())

    return answer


def run(images: Image, labels: np.ndarray, width: int, seed: int, epochs: int, planted: bool) -> dict[str, object]:
    """One network and what the detector says of it."""
    rng = np.random.default_rng(seed)
    target, rows = int(rng.integers(width)), rng.permutation(len(images))[: TRAIN + HELD_OUT]
    pictures, truth = images[rows].copy(), labels[rows]
    kind, mark = marker(seed, images.shape[1])
    if planted:
        chosen = np.flatnonzero((truth == target) & (rng.random(len(rows)) < MARKED))
        pictures[chosen] = mark(pictures[chosen])
    answer = learn(pictures[:TRAIN], np.eye(width, dtype=np.float32)[truth[:TRAIN]], seed, epochs)
    held, true = pictures[TRAIN:], truth[TRAIN:]
    started = time.perf_counter()
    found = find_shortcuts(answer, held, true, seed=seed)
    told: dict[str, object] = {
        "seed": seed,
        "class": target,
        "accuracy": round(float((answer(held).argmax(1) == true).mean()), 3),
        "found": [(one.target, one.region) for one in found.found],
        "seconds": round(time.perf_counter() - started, 1),
        "asked": found.images_tested,
    }
    if planted:
        told |= {
            "kind": kind,
            "reliance": round(float((answer(mark(held[true != target])).argmax(1) == target).mean()), 3),
        }
    return told


def main() -> None:
    """Train, detect, count, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--side", type=int, default=32)
    asked = parser.parse_args()
    data, preprocess, started = read_dataset(asked.folder), Preprocess((asked.side, asked.side)), time.perf_counter()
    loaded = in_order(data.samples, lambda sample: load_pixels(sample, preprocess))
    images = np.stack([image for _, image in loaded])
    labels = np.array([data.classes.index(sample.label) for sample in data.samples])
    runs: dict[bool, list[dict[str, object]]] = {True: [], False: []}
    for seed in range(asked.first, asked.first + asked.seeds):
        for planted, told in runs.items():
            told.append(run(images, labels, len(data.classes), seed, asked.epochs, planted))
            sys.stderr.write(f"{'planted' if planted else 'clean'} {told[-1]}\n")
    hits = sum(one["class"] in [c for c, _ in one["found"]] for one in runs[True])  # type: ignore[attr-defined]
    wrong = sum(any(c != one["class"] for c, _ in one["found"]) for one in runs[True])  # type: ignore[attr-defined]
    alarms = sum(bool(one["found"]) for one in runs[False])
    summary = {"seeds": asked.seeds, "pictures": len(images), "seconds": round(time.perf_counter() - started, 1)}
    for name, k in (("found", hits), ("other_class_found", wrong), ("false_alarms", alarms)):
        summary[name] = [k, *(round(bound, 3) for bound in wilson(k, asked.seeds))]
    sys.stdout.write(json.dumps({**summary, "planted": runs[True], "clean": runs[False]}) + "\n")


if __name__ == "__main__":
    main()
