"""The rung from scratch: a network that has never seen a picture learns from the user's alone.

For data far from photographs (small pictures, spectrograms, slides), or where no pretrained weights may be used. Any
architecture of timm will do; for small pictures a small residual network is the default.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from photovision.core.parallel import in_order
from photovision.core.system import cores
from photovision.core.types import Floats, Image
from photovision.data.augment.image import Augment, load_pixels
from photovision.data.dataset import Dataset
from photovision.engine.training_run import TrainingRun
from photovision.learn.feed import Feed, PictureFeed, SmallPictureFeed
from photovision.learn.plan import Plan
from photovision.models.backbones import Backbone, create
from photovision.models.export import Normalise
from photovision.models.small import SMALL
from photovision.tasks.classify.finetune import learn_study, study_probs
from photovision.tasks.classify.study import EpochLimits, Study, budgeted
from photovision.tasks.classify.trained_stage import TrainedStage
from photovision.tasks.classify.variants import PLAIN, Variant

_MOST_IN_MEMORY = 2 * 2**30


def scratch_source(run: TrainingRun, wanted: Backbone) -> Backbone:
    """Settle the input of a network that starts from nothing: its size and normalisation come from the pictures."""
    side = run.config.size or min(max(wanted.preprocess.size), _input_side(run, wanted.backbone))
    preprocess = run.splits.shown(replace(wanted.preprocess, size=(side, side)))
    sample = run.splits.train.samples[:: max(1, len(run.splits.train) // 256)][:256]
    pixels = np.stack([load_pixels(one, preprocess) for one in sample]).astype(np.float64) / 255
    mean, std = pixels.mean((0, 1, 2)), np.maximum(pixels.std((0, 1, 2)), 0.02)
    return replace(wanted, preprocess=replace(preprocess, mean=_triple(mean), std=_triple(std)))


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 3) for value in values)
    return red, green, blue


def _input_side(run: TrainingRun, backbone: str) -> int:
    typical = run.splits.typical_side
    if backbone in SMALL:
        return int(np.clip(typical, 16, 64))
    return int(np.clip(32 * round(typical / 32), 64, 224))  # fewer pixels would vanish in five halvings


def learn_scratch(run: TrainingRun, wanted: Backbone, augment: Augment) -> TrainedStage:
    """Climb the rung.

    Args:
        run: the training this belongs to.
        wanted: the architecture.
        augment: how training pictures are varied.
    """
    started = time.monotonic()
    source = scratch_source(run, wanted)
    # Pictures in memory are shifted and mirrored only: an expert's augmentation needs those that are decoded each time.
    own = run.config.tuning.augment is not None
    pictures = run.splits.train, run.splits.val
    train, val = (Pixels(part, None) if own else load_pictures(part, source) for part in pictures)
    return _climb(run, source, train, val, augment, started, PLAIN)


def _climb(
    run: TrainingRun, source: Backbone, train: Pixels, val: Pixels, augment: Augment, started: float, variant: Variant
) -> TrainedStage:
    torch.manual_seed(run.config.seed)
    network = create(source, len(run.splits.dataset.classes))
    study = Study(
        "from scratch",
        train.dataset,
        network,
        Normalise(source.preprocess).to(run.work.accelerator.device),
        train.feed(source, variant.of(augment)),
        val.feed(source, augment),
        (3, *source.preprocess.size),
        pretrained=False,
        variant=variant,
    )
    base = scratch_plan(run, source)
    plan = budgeted(run, study, base, EpochLimits(300, missing="more than one epoch")) or replace(base, epochs=1)

    def answer(dataset: Dataset, name: str) -> Floats:
        return study_probs(run, study, load_pictures(dataset, source).feed(source, augment))

    def again(change: Variant) -> TrainedStage:
        return _climb(run, source, train, val, augment, time.monotonic(), change)

    count, side = len(train.dataset), source.preprocess.size[0]
    note = f"{source.backbone} at {side} px from random weights, {count:,} pictures"
    return learn_study(run, study, plan, network, source, started, note, answer, again)


def scratch_plan(run: TrainingRun, source: Backbone) -> Plan:
    """The plan of a network that starts from nothing, but for the number of epochs."""
    small = source.backbone in SMALL
    size = 128 if small and len(run.splits.train) >= 5000 else 32
    # Many small pictures: momentum and a high rate (as in the fast CIFAR-10 recipes); few of any size: AdamW.
    many = small and size == 128
    plan = Plan(
        1,
        batch_size=size,
        optimiser="sgd" if many else "adamw",
        lr=0.15 if many else 3e-3 if small else 1e-3,
        schedule="linear" if many else "cosine",
        warmup=0.15,
        weight_decay=5e-4 if many else 0.05,
        train_norm=True,
        clip=5.0,
        seed=run.config.seed,
        validate_every=1,
    )
    return run.config.tuning.applied(plan)


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pictures at the network's size.

    Attributes:
        dataset: the pictures.
        images: uint8 (N, H, W, 3), where they are small enough to be held in memory; else None.
    """

    dataset: Dataset
    images: Image | None

    def feed(self, source: Backbone, augment: Augment) -> Feed:
        """Their feed."""
        targets, height = self.dataset.label_matrix, source.preprocess.size[0]
        if self.images is None:
            return PictureFeed(self.dataset.samples, targets, source.preprocess, augment, cores())
        return SmallPictureFeed(self.images, targets, augment, shift=max(1, round(height / 28)))


def load_pictures(dataset: Dataset, source: Backbone) -> Pixels:
    """Pictures for learning; small ones are held in memory, as long as they take at most 2 GB."""
    height, width = source.preprocess.size
    if max(height, width) > 64 or len(dataset) * height * width * 3 > _MOST_IN_MEMORY:
        return Pixels(dataset, None)

    def load(position: int) -> Image:
        return load_pixels(dataset.samples[position], source.preprocess)

    images = np.empty((len(dataset), height, width, 3), np.uint8)
    for position, image in in_order(range(len(dataset)), load, ahead=256):
        images[position] = image
    return Pixels(dataset, images)
