"""Elsewhere: held-out images as they might look with another camera, light or focus, and what a model answers there.

Held-out images of one place are much like the training images, and say little about others. The same images, darkened,
blurred or full of noise, are less alike, and their truth is known: so they tell how a score falls with similarity
(accuracy on such sets predicts that on real ones: Deng & Zheng 2021, "Are labels always necessary for classifier
accuracy evaluation?").
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from photovision.core.errors import DataError, UnreadableImage
from photovision.core.image import open_sample, to_array
from photovision.core.types import Ints, Sample
from photovision.data.corruptions import SEVERITIES, corrupt
from photovision.data.dataset import Dataset
from photovision.engine.evaluation import Evaluation

CHANGES = ("noise", "defocus-blur", "night", "jpeg", "contrast")
"""What happens with any camera, and moves no pixels, so that boxes and masks stay true."""
MAX_IMAGES = 100
SECONDS = 20.0
_BYTES = 48 * 2**20  # of images that are in memory at once, at their own size


class Elsewhere(NamedTuple):
    """What a model answers for M changed images.

    Attributes:
        evaluation: of them, with embeddings.
        positions: int64 (M,), of the held-out images that were changed.
        change: int64 (M,), which of `CHANGES` each has met, from 0 on.
    """

    evaluation: Evaluation
    positions: Ints
    change: Ints


def evaluated_elsewhere(model: Any, held_out: Dataset, seed: int = 0, seconds: float = SECONDS) -> Iterator[Elsewhere]:
    """Evaluations of changed images, a few at a time, until there are enough or the time is spent.

    Args:
        model: an opened model whose task has the part "evaluate".
        held_out: N labelled images that it did not learn from.
        seed: of the order and of the changes.
        seconds: that may be spent; as many images as are begun within it are evaluated.

    Yields:
        what is answered for some of them.
    """
    if model.preprocess.value_ranges:  # more than 8 bits: a change of 8 bits would not be what a camera does
        return
    started = time.monotonic()
    order = np.random.default_rng((seed, 29)).permutation(len(held_out)).tolist()
    wanted = itertools.islice(itertools.product(range(len(CHANGES)), order), MAX_IMAGES)
    while (part := _batch(held_out, wanted, seed)) and time.monotonic() - started < seconds:
        dataset = replace(held_out, samples=tuple(sample for _, _, sample in part), splits={})
        try:
            evaluation: Evaluation = model.bundle.row.part("evaluate")(model, dataset, embeddings=True)
        except DataError:  # none of these few can be evaluated: none has objects
            continue
        places = np.array([(row, number % len(CHANGES)) for row, number, _ in part], np.int64)[evaluation.positions]
        yield Elsewhere(evaluation, places[:, 0], places[:, 1])


def _batch(held_out: Dataset, wanted: Iterator[tuple[int, int]], seed: int) -> list[tuple[int, int, Sample]]:
    """The next changed images, with positions and numbers of changes, until their pixels fill what may be taken."""
    found, taken = [], 0
    for turn, row in wanted:
        sample = changed(held_out.samples[row], turn + row, seed)
        if sample is not None:
            found.append((row, turn + row, sample))
            taken += np.asarray(sample.image).nbytes
        if taken > _BYTES:
            break
    return found


def changed(sample: Sample, number: int, seed: int = 0) -> Sample | None:
    """A sample after the change of this number; None where it cannot be read."""
    name = CHANGES[number % len(CHANGES)]
    severity = SEVERITIES[number // len(CHANGES) % len(SEVERITIES)]
    try:
        image = to_array(open_sample(sample))
    except UnreadableImage:
        return None
    return replace(sample, image=corrupt(image, name, severity, (seed, number)), ranges=())
