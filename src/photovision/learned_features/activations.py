"""Viewing: pictures are shown to a network, and what each of its units does is written down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.parallel import batched, in_order
from photovision.core.preprocess import Preprocess
from photovision.core.types import Classes, Floats, Image, Sample
from photovision.data.augment.image import load_pixels
from photovision.data.dataset import Dataset
from photovision.models.activations import NetworkStage, UnitActivations, measure
from photovision.models.visualise import noise_pictures
from photovision.runtime.model import OnnxModel

if TYPE_CHECKING:
    from torch import nn

MIN_PICTURES = 20
"""Fewer pictures cannot tell what excites a unit."""
BATCH, NOISE = 32, 64


@dataclass(frozen=True, eq=False)
class UnitStatistics:
    """The pictures that were shown to a network, and what they did.

    Attributes:
        samples: the N readable ones; none where the network was shown noise.
        unreadable: ids of the others.
        grey: whether none of them has any colour.
        responses: stage name -> responses of its units.
        probs: float32 (N, C), the model's calibrated probabilities.
        membership: bool (N, K): which classes are true of each picture, or, without labels, what the model answers.
        names: the K classes.
        labelled: whether they are the labels of the data.
    """

    samples: Sequence[Sample]
    unreadable: Sequence[str]
    grey: bool
    responses: Mapping[str, UnitActivations]
    probs: Floats
    membership: np.ndarray
    names: tuple[str, ...]
    labelled: bool


def draw(data: Dataset, most: int, seed: int) -> list[Sample]:
    """Up to `most` samples, drawn evenly over the classes; those without a label only where no sample has one.

    Raises DataError where there is none.
    """
    if not len(data):
        raise DataError("the data has no pictures: give a folder or a table of pictures, or leave it out")
    labelled = [i for i in range(len(data)) if data.samples[i].target]
    order = np.random.default_rng(seed).permutation(labelled or len(data))
    taken: dict[Any, int] = {}
    ranks = []
    for position in order:
        name = (data.samples[int(position)].target or ("",))[0]
        ranks.append(taken.get(name, 0))
        taken[name] = ranks[-1] + 1
    chosen = order[np.argsort(ranks, kind="stable")[:most]]
    return [data.samples[int(i)] for i in np.sort(chosen)]


def show_pictures(
    network: nn.Module,
    stages: Sequence[NetworkStage],
    samples: Sequence[Sample],
    names: Sequence[str],
    model: OnnxModel[Classes],
    tick: Callable[[], None],
) -> UnitStatistics:
    """Show pictures to a network.

    Args:
        network: the model's, from `photovision.models.load_network`.
        stages: whose units are watched.
        samples: from `draw`.
        names: the classes of their labels.
        model: the classifier.
        tick: called after every batch.

    Raises:
        DataError: fewer than 20 of them can be read.
    """
    pixels = _Pixels(model.preprocess)
    responses, logits = measure(
        network, stages, _counted(pixels.batches(samples), tick), len(samples), model.preprocess
    )
    readable = pixels.readable
    if len(readable) < MIN_PICTURES:
        raise DataError(
            f"an atlas needs at least {MIN_PICTURES} readable pictures, got {len(readable)}: give more, or none"
        )
    probs = probabilities(model, logits)
    labelled = readable[0].target is not None
    membership = _membership(readable, names) if labelled else answers(model, probs)
    shown = tuple(names) if labelled else model.classes
    return UnitStatistics(readable, pixels.unreadable, not pixels.colour, responses, probs, membership, shown, labelled)


def show_noise(
    network: nn.Module, stages: Sequence[NetworkStage], model: OnnxModel[Classes], seed: int, tick: Callable[[], None]
) -> UnitStatistics:
    """Show 64 pictures of noise to a network, to see at least which units are alive; arguments as above."""
    preprocess = model.preprocess
    # A network trained from scratch on grey pictures was given their mean for all three colours.
    own = (model.info.get("backbone") or {}).get("weights") == "none"
    grey = own and len(set(preprocess.mean)) == len(set(preprocess.std)) == 1
    noise = noise_pictures(NOISE, preprocess.size, seed=seed, grey=grey)
    batches = (noise[i : i + BATCH] for i in range(0, NOISE, BATCH))
    responses, logits = measure(network, stages, _counted(batches, tick), NOISE, preprocess)
    nothing = np.zeros((NOISE, 0), bool)
    return UnitStatistics((), (), grey, responses, probabilities(model, logits), nothing, (), False)


def _counted(batches: Iterator[Image], tick: Callable[[], None]) -> Iterator[Image]:
    for batch in batches:
        yield batch
        tick()


class _Pixels:
    """Batches of pixels, and on the way: which samples they are of, and whether any of them has colour."""

    def __init__(self, preprocess: Preprocess) -> None:
        self._preprocess = preprocess
        self.readable: list[Sample] = []
        self.unreadable: list[str] = []
        self.colour = False

    def batches(self, samples: Sequence[Sample]) -> Iterator[Image]:
        for pairs in batched(in_order(samples, self._attempt), BATCH):
            self.unreadable += [sample.id for sample, pixels in pairs if pixels is None]
            found = [(sample, pixels) for sample, pixels in pairs if pixels is not None]
            if found:
                self.readable += [sample for sample, _ in found]
                batch = np.stack([pixels for _, pixels in found])
                self.colour = self.colour or bool((batch.max(3) > batch.min(3)).any())
                yield batch

    def _attempt(self, sample: Sample) -> Image | None:
        try:
            return load_pixels(sample, self._preprocess)
        except UnreadableImage:
            return None


def _membership(samples: Sequence[Sample], names: Sequence[str]) -> np.ndarray:
    index = {name: position for position, name in enumerate(names)}
    matrix = np.zeros((len(samples), len(names)), bool)
    for row, sample in enumerate(samples):
        matrix[row, [index[name] for name in sample.target or ()]] = True
    return matrix


def probabilities(model: OnnxModel[Classes], logits: Floats) -> Floats:
    """The model's calibrated probabilities float32 (N, C)."""
    scaled = logits.astype(np.float64) / float(model.info["temperature"])
    if model.bundle.multilabel:
        return (1 / (1 + np.exp(-scaled))).astype(np.float32)
    odds: np.ndarray = np.exp(scaled - scaled.max(1, keepdims=True))
    probs: Floats = (odds / odds.sum(1, keepdims=True)).astype(np.float32)
    return probs


def answers(model: OnnxModel[Classes], probs: Floats) -> np.ndarray:
    """bool (N, C): what the model says."""
    if not model.bundle.multilabel:
        first: np.ndarray = np.eye(probs.shape[1], dtype=bool)[probs.argmax(1)]
        return first
    limits = 0.5 if model.bundle.thresholds is None else model.bundle.thresholds
    predicted: np.ndarray = probs >= limits
    return predicted
