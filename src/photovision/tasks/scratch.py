"""The rung from scratch: a network that has never seen a picture learns from the user's alone.

For data far from photographs (small pictures, spectrograms, slides), or where no pretrained weights may be used. Any
architecture of timm will do; for small pictures a small residual network is the default.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch

from photovision.core.parallel import in_order
from photovision.core.system import cores
from photovision.core.types import Floats, Image
from photovision.data.augment import Augment, load_pixels
from photovision.data.dataset import Dataset
from photovision.learn.feed import Feed, PictureFeed, SmallPictureFeed
from photovision.learn.plan import Plan
from photovision.models.backbones import Source, create
from photovision.models.export import Normalise
from photovision.models.small import SMALL
from photovision.tasks.climb import Climb, Reached
from photovision.tasks.finetune import Study, budgeted, learn, study_probs

_MOST_IN_MEMORY = 2 * 2**30


def scratch_source(climb: Climb, wanted: Source) -> Source:
    """Settle the input of a network that starts from nothing: its size and normalisation come from the pictures."""
    side = climb.options.size or min(max(wanted.preprocess.size), _input_side(climb, wanted.backbone))
    preprocess = replace(wanted.preprocess, size=(side, side))
    sample = climb.material.train.samples[:: max(1, len(climb.material.train) // 256)][:256]
    pixels = np.stack([load_pixels(one, preprocess) for one in sample]).astype(np.float64) / 255
    mean, std = pixels.mean((0, 1, 2)), np.maximum(pixels.std((0, 1, 2)), 0.02)
    return replace(wanted, preprocess=replace(preprocess, mean=_triple(mean), std=_triple(std)))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 3) for value in values)
    return red, green, blue


def _input_side(climb: Climb, backbone: str) -> int:
    typical = climb.material.typical_side
    if backbone in SMALL:
        return int(np.clip(typical, 16, 64))
    return int(np.clip(32 * round(typical / 32), 64, 224))  # fewer pixels would vanish in five halvings


def climb_scratch(climb: Climb, wanted: Source, augment: Augment) -> Reached:
    """Climb the rung.

    Args:
        climb: the training this belongs to.
        wanted: the architecture.
        augment: how training pictures are varied.
    """
    material, started = climb.material, time.monotonic()
    source = scratch_source(climb, wanted)
    torch.manual_seed(climb.options.seed)
    network = create(source, len(material.dataset.classes))
    small = source.backbone in SMALL
    size = 128 if small and len(material.train) >= 5000 else 32
    # Many small pictures: momentum and a high rate (as in the fast CIFAR-10 recipes); few of any size: AdamW.
    many = small and size == 128
    base = Plan(
        1,
        batch_size=size,
        optimiser="sgd" if many else "adamw",
        lr=0.15 if many else 3e-3 if small else 1e-3,
        schedule="linear" if many else "cosine",
        warmup=0.15,
        weight_decay=5e-4 if many else 0.05,
        train_norm=True,
        clip=5.0,
        seed=climb.options.seed,
        validate_every=1,
    )
    train, val = _feeds(material.train, source, augment), _feeds(material.val, source, augment)
    study = Study(
        "from scratch",
        network,
        Normalise(source.preprocess).to(climb.work.accelerator.device),
        train,
        val,
        (3, *source.preprocess.size),
        pretrained=False,
    )
    plan = budgeted(climb, study, base, most_epochs=300) or replace(base, epochs=1)

    def judge() -> Floats:
        return study_probs(climb, study, _feeds(material.test, source, augment))

    note = f"{source.backbone} at {source.preprocess.size[0]} px from random weights, {len(material.train):,} pictures"
    return learn(climb, study, plan, network, source, started, note, judge)


def _feeds(dataset: Dataset, source: Source, augment: Augment) -> Feed:
    height, width = source.preprocess.size
    targets = dataset.label_matrix
    if max(height, width) > 64 or len(dataset) * height * width * 3 > _MOST_IN_MEMORY:
        return PictureFeed(dataset.samples, targets, source.preprocess, augment, cores())

    def load(position: int) -> Image:
        return load_pixels(dataset.samples[position], source.preprocess)

    images = np.empty((len(dataset), height, width, 3), np.uint8)
    for position, image in in_order(range(len(dataset)), load, ahead=256):
        images[position] = image
    return SmallPictureFeed(images, targets, augment, shift=max(1, round(height / 28)))
