"""Batch normalisation of a classifier adapted to a place, where that helps labelled images given the look of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.special import softmax
from torch import nn

from photovision.core.errors import ModelError, UnreadableImage
from photovision.core.types import Floats, Image
from photovision.data.augment.image import load_pixels
from photovision.data.corruptions.appearance import Appearance
from photovision.data.dataset import Dataset
from photovision.engine.adapt import NORMALISATION, AdaptRequest, AdaptStep
from photovision.engine.adapt_normalisation import WORTH, verdict, write_network
from photovision.models.export import Decider, check_parity
from photovision.models.load_network import trained_network
from photovision.models.normalisation import BATCH, batch_norms, normalised_for
from photovision.runtime.bundle import Bundle
from photovision.tasks.classify.recognizer import ModelOutputs
from photovision.tasks.classify.refit import align
from photovision.trust.metrics.statistics import Vector

MIN_HELD_OUT = 50
_MOST, _ROUNDS = 300, 2
_SKEW = 0.25  # statistics of a place of few classes are also those of what is seen, which nothing should undo
_PARITY = 64


@dataclass(frozen=True, eq=False)
class Normalised:
    """A network whose batch normalisation is that of a place.

    Attributes:
        network: in torch.
        outputs: what it gives for the pictures of the place; novelty is NaN throughout.
        images: some of them, uint8 (N, H, W, 3).
    """

    network: nn.Module
    outputs: ModelOutputs
    images: Image

    def write(self, bundle: Bundle, temperature: float) -> None:
        """Write its weights and its graph into the folder of a bundle; ExportError where they do not agree."""
        decider = Decider(self.network, bundle.preprocess, temperature, False)
        write_network(decider, bundle)
        check_parity(decider, bundle.graph, self.images)


def adapt_normalisation(
    request: AdaptRequest, temperature: float, usual: Vector, fall: Callable[[ModelOutputs], float]
) -> tuple[AdaptStep, Normalised | None]:
    """Adapt the statistics, and try that on held-out images which are given the look of the place.

    Args:
        request: with held-out images, and images of the place that can all be read.
        temperature: of the probabilities.
        usual: float64 (C,), the mix of classes that the model learned from.
        fall: how much less accuracy is to be expected of the place with other outputs for it.
    """
    bundle: Bundle = request.model.bundle
    if bundle.info.get("quantized"):
        return AdaptStep(NORMALISATION, "the graph computes in 8 bits: adapt the model that it was made from"), None
    try:
        network = trained_network(bundle)
    except ModelError:
        return AdaptStep(NORMALISATION, "the model keeps no weights that could be adapted"), None
    if not batch_norms(network):
        return AdaptStep(NORMALISATION, "the network has no batch normalisation"), None
    assert request.held_out is not None
    images, _ = _pixels(request.dataset, bundle)
    held_out = align(request.model, request.held_out)
    decider = Decider(network, bundle.preprocess, 1.0, False)
    # What is seen changes the look of a place, too, so held-out pictures are drawn in its mix of classes. The adapted
    # network tells it better: the other one may name the same class in all pictures of another look.
    shares = usual
    for _ in range(_ROUNDS):
        rows = _drawn(held_out, shares, request.seed)
        if len(np.unique(rows)) < MIN_HELD_OUT:
            return AdaptStep(
                NORMALISATION, f"fewer than {MIN_HELD_OUT} labelled pictures are of the classes seen here"
            ), None
        tried, shown = _pixels(held_out.subset(rows), bundle)
        copy = normalised_for(network, decider.normalise, images, tried, WORTH)
        adapted = Decider(copy, bundle.preprocess, 1.0, False)
        outputs = _answers(adapted, images)
        shares = softmax(outputs.logits.astype(np.float64) / temperature, axis=1).mean(0)
    truth, alike = held_out.labels[rows[shown]], _dressed(tried, images, request.seed)
    before, after = (_answers(one, alike).logits.argmax(1) == truth for one in (decider, adapted))
    skew = float(np.abs(shares - usual).sum() / 2)
    step = verdict(NORMALISATION, "accuracy", before, after, max(fall(outputs), _SKEW * skew))
    return step, Normalised(adapted.network, outputs, np.stack(images[:_PARITY])) if step.taken else None


def _drawn(held_out: Dataset, shares: Vector, seed: int) -> np.ndarray:
    """Positions of labelled images in the mix of classes of a place, some several times."""
    labelled = np.flatnonzero([sample.target is not None for sample in held_out.samples])
    truth = held_out.subset(labelled).labels
    ratio = np.clip(shares / np.maximum(np.bincount(truth, minlength=len(shares)) / len(truth), 1e-9), 0.1, 10)
    weights = ratio[truth] / ratio[truth].sum()
    rng = np.random.default_rng(seed)
    return np.sort(labelled[rng.choice(len(truth), min(_MOST, len(truth)), p=weights)])


def _dressed(held_out: Sequence[Image], images: Sequence[Image], seed: int) -> list[Image]:
    own, place, rng = Appearance.of(held_out), Appearance.of(images), np.random.default_rng(seed)
    return [own.towards(place, image, rng) for image in held_out]


def _pixels(dataset: Dataset, bundle: Bundle) -> tuple[list[Image], np.ndarray]:
    """The readable pictures as the network sees them, and their positions."""
    found, rows = [], []
    for row, sample in enumerate(dataset.samples):
        try:
            found.append(load_pixels(sample, bundle.preprocess))
        except UnreadableImage:
            continue
        rows.append(row)
    return found, np.array(rows, np.int64)


@torch.no_grad()
def _answers(decider: Decider, images: Sequence[Image]) -> ModelOutputs:
    decider.eval()
    logits, embeddings = list[Floats](), list[Floats]()
    for start in range(0, len(images), BATCH):
        answer = decider(torch.from_numpy(np.stack(images[start : start + BATCH])))
        logits.append(answer[1].numpy())
        embeddings.append(answer[2].numpy())
    found = ModelOutputs.blank(len(images), logits[0].shape[1])
    return replace(found, logits=np.concatenate(logits), embeddings=np.concatenate(embeddings))
