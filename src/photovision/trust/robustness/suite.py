"""Robustness: how often a model is still right in the night, in the rain, out of focus, and how sure it says it is.

Every picture is shown under every corruption at every severity (`data.corruptions`), so all figures are paired: the
same pictures lie behind every cell, and intervals come from resampling pictures, not cells. The mean corruption error
is the plain mean of the errors over corruptions and severities. It is not divided by another network's errors, as
ImageNet-C's is (Hendrycks & Dietterich 2019), and must not be compared with such figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from photovision.core.errors import UsageError
from photovision.core.parallel import batched, in_order
from photovision.core.progress import ProgressCallback
from photovision.core.types import Floats, Image, Ints
from photovision.data.corruptions import CORRUPTIONS, FAMILIES, SEVERITIES, corrupt
from photovision.data.corruptions import names as corruption_names
from photovision.trust.metrics.statistics import Estimate, Vector, bootstrap_sums, mcnemar, proportion

T = TypeVar("T")
Bools = npt.NDArray[np.bool_]
Images = Image | Sequence[Image]
"""uint8 RGB (N, H, W, 3), or anything with a length whose items are pictures (H, W, 3), read when needed."""

MIN_PICTURES = 50
"""Fewer pictures than this say nothing about thirteen conditions."""

_BATCH = 32
_MARGIN = 0.85  # of the time given is planned for: the machine may be busier than when it was measured


def highest(probs: Floats) -> Floats:
    """The confidence of single-label answers (N, C): the highest probability, float32 (N,)."""
    return np.asarray(probs.max(1))


@dataclass(frozen=True, eq=False)
class Robustness:
    """What a model answered under every corruption.

    Attributes:
        names: K corruptions.
        severities: S severities, ascending.
        right: bool (K, S, N), whether the answer was right.
        clean: bool (N,), the same without corruption.
        confidence: float32 (K, S, N), the model's stated confidence, 0 to 1; None where that was not asked for.
        clean_confidence: float32 (N,), the same without corruption.
        seed: of the corruptions; picture i had the seed (seed, i).
    """

    names: tuple[str, ...]
    severities: tuple[int, ...]
    right: Bools
    clean: Bools
    confidence: Floats | None = None
    clean_confidence: Floats | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        expected = (len(self.names), len(self.severities), len(self.clean))
        if self.right.shape != expected or 0 in expected:
            raise UsageError(f"right should have shape {expected} without a 0, got {self.right.shape}")

    @property
    def n(self) -> int:
        """How many pictures were shown under every corruption."""
        return len(self.clean)

    @property
    def accuracy(self) -> Vector:
        """Share of right answers by corruption and severity: float64 (K, S)."""
        share: Vector = self.right.mean(2)
        return share

    @property
    def families(self) -> dict[str, tuple[int, ...]]:
        """Family -> rows of its corruptions, without families of which nothing was tested; "other" at the end."""
        rows = {name: row for row, name in enumerate(self.names)}
        found = {family: tuple(rows[m] for m in members if m in rows) for family, members in FAMILIES.items()}
        found["other"] = tuple(row for name, row in rows.items() if not any(name in m for m in FAMILIES.values()))
        return {family: members for family, members in found.items() if members}

    def mean_accuracy(self, rows: Sequence[int] | None = None) -> Estimate:
        """Mean accuracy over some corruptions and all severities, with a bootstrap over pictures."""
        right = self.right if rows is None else self.right[list(rows)]
        return mean_share(right.mean((0, 1)))

    def p_values(self) -> Vector:
        """By corruption, the p-value that the strongest severity costs nothing: float64 (K,).

        McNemar's exact test, corrected for the number of corruptions (Holm 1979).
        """
        raw = np.array([mcnemar(self.clean, strongest).p for strongest in self.right[:, -1]])
        order = np.argsort(raw, kind="stable")
        steps = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
        corrected: Vector = np.empty(len(raw))
        corrected[order] = np.minimum(steps, 1)
        return corrected


def suite(
    answer: Callable[[Image], Floats],
    right: Callable[[Floats], Bools],
    images: Images,
    *,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
    seed: int = 0,
    probs_clean: Floats | None = None,
    confidence: Callable[[Floats], Floats] | None = highest,
    progress: ProgressCallback | None = None,
) -> Robustness:
    """Ask a model about the same pictures under every corruption.

    Threads corrupt pictures while the model answers; only a few batches of them exist at any time.

    Args:
        answer: from uint8 RGB (B, H, W, 3) to probabilities float32 (B, C).
        right: from the probabilities of all N pictures, in order, to whether each answer is right, bool (N,). It
            decides what right means, so multi-label models need nothing else.
        images: N pictures at the size that the model sees.
        corruptions: names of corruptions or families; all if None.
        severities: which of 1 to 5.
        probs_clean: float32 (N, C), the answers to the pictures as they are; asked for if None.
        confidence: from probabilities (N, C) to how sure the model is to be right, (N,); None where it is unknown
            in one number (multi-label).
        progress: called with (answers, answers in all).

    Raises:
        UsageError: no pictures, an unknown corruption, a severity other than 1 to 5.

    Example:
        >>> images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
        >>> deaf = lambda batch: np.tile(np.float32([0.9, 0.1]), (len(batch), 1))
        >>> suite(deaf, lambda probs: probs[:, 0] > 0.5, images, corruptions=["fog"]).accuracy.tolist()
        [[1.0, 1.0, 1.0, 1.0, 1.0]]
    """
    names = CORRUPTIONS.names() if corruptions is None else corruption_names(corruptions)
    levels = tuple(sorted(set(severities)))
    if not len(images) or not names or not levels or not set(levels) <= set(SEVERITIES):
        raise UsageError(
            f"a robustness suite needs pictures, corruptions and severities from 1 to 5, got {len(images)} pictures,"
            f" {len(names)} corruptions and severities {levels}"
        )
    n = len(images)
    if probs_clean is None:
        probs_clean = np.concatenate([answer(_stack(images, rows)) for rows in batched(range(n), _BATCH)])
    cells = list(product(names, levels))
    hits, sure = np.empty((len(cells), n), np.bool_), np.empty((len(cells), n), np.float32)

    rows = answered(lambda batch: list(answer(np.stack(batch))), images, cells, seed, progress)
    for cell, probs in enumerate(map(np.stack, rows)):
        hits[cell] = right(probs)
        if confidence is not None:
            sure[cell] = confidence(probs)
    shape = (len(names), len(levels), n)
    return Robustness(
        names,
        levels,
        hits.reshape(shape),
        np.asarray(right(probs_clean), np.bool_),
        None if confidence is None else sure.reshape(shape),
        None if confidence is None else np.asarray(confidence(probs_clean), np.float32),
        seed,
    )


def affordable(
    answer: Callable[[Image], Floats],
    examples: Images,
    seconds: float,
    *,
    corruptions: Sequence[str] | None = None,
    severities: Sequence[int] = SEVERITIES,
) -> int:
    """How many pictures a suite can show within so many seconds on this machine, at least 50.

    Args:
        answer, corruptions, severities: as for `suite`.
        examples: a few pictures of the same size; they go through a small suite to see how long that takes.
        seconds: for the whole suite.

    Example:
        >>> answer = lambda batch: np.ones((len(batch), 2), np.float32)
        >>> affordable(answer, np.zeros((4, 8, 8, 3), np.uint8), 0.0, corruptions=["contrast"])
        50
    """
    few = _stack(examples, range(min(16, len(examples))))
    clean, middle = answer(few), sorted(severities)[len(severities) // 2]

    small = partial(
        suite,
        answer,
        lambda probs: np.asarray(probs[:, 0] >= 0),  # whether it is right does not matter here
        corruptions=corruptions,
        severities=[middle],
        confidence=None,
    )
    names = len(small(few[:1], probs_clean=clean[:1]).names)  # the first time loads libraries
    started = time.perf_counter()
    answers = small(few, probs_clean=clean).right.size
    each = (time.perf_counter() - started) / answers
    return max(MIN_PICTURES, int(_MARGIN * seconds / (each * names * len(severities))))


def spread(total: int, n: int) -> Ints:
    """At most n positions, evenly spread over 0 to total - 1: int64, ascending, each once.

    Example:
        >>> spread(100, 5).tolist()
        [0, 25, 50, 74, 99]
    """
    return np.unique(np.rint(np.linspace(0, total - 1, min(n, total))).astype(np.int64))


def mean_share(shares: np.ndarray) -> Estimate:
    """The mean of one share a picture, (N,) from 0 to 1, with a bootstrap over pictures.

    Where all pictures agree on 0 or on 1 a bootstrap sees no doubt; Wilson's interval for so many pictures stands in.
    """
    n = len(shares)
    if shares.min() == shares.max() and shares[0] in (0, 1):
        return proportion(round(float(shares.sum())), n)
    columns = np.asarray(shares, np.float64)[:, None]
    found = bootstrap_sums(columns, {"mean": lambda sums: sums[:, 0] / n})["mean"]
    return Estimate(found.value, max(0.0, found.low), min(1.0, found.high))


def excess_confidence(found: Robustness, row: int, least: int = 3) -> Estimate | None:
    """Mean confidence minus accuracy under one corruption at severities of at least `least`.

    The interval is a bootstrap over pictures, widened for the number of corruptions (Bonferroni); None where
    confidence was not recorded or no such severity was tested.
    """
    strong = [column for column, severity in enumerate(found.severities) if severity >= least]
    if found.confidence is None or not strong:
        return None
    gap = (found.confidence[row, strong] - found.right[row, strong]).mean(0)
    level = 1 - 0.05 / len(found.names)
    sums = bootstrap_sums(gap[:, None], {"gap": lambda sums: sums[:, 0] / found.n}, n_boot=2000, level=level)
    return sums["gap"]


def answered(
    answer: Callable[[Sequence[Image]], Sequence[T]],
    images: Images,
    cells: Sequence[tuple[str, int]],
    seed: int,
    progress: ProgressCallback | None = None,
) -> Iterator[list[T]]:
    """The answers to all N pictures under one corruption and severity after the other.

    Args:
        answer: from a few pictures, uint8 RGB (H, W, 3), to the prediction for each.
        images: N pictures.
        cells: (corruption, severity) pairs.
        seed: picture i has the seed (seed, i).
        progress: called with (answers, answers in all).
    """
    n, total, done = len(images), len(images) * len(cells), 0
    waiting: list[T] = []
    work = partial(_corrupted, images, cells, seed)
    for batch in batched(in_order(range(total), work, ahead=2 * _BATCH), _BATCH):
        waiting += answer([image for _, image in batch])
        done += len(batch)
        while len(waiting) >= n:  # a batch may end one cell and begin the next
            yield waiting[:n]
            del waiting[:n]
        if progress:
            progress(done, total)


def _corrupted(images: Images, cells: Sequence[tuple[str, int]], seed: int, job: int) -> Image:
    cell, row = divmod(job, len(images))
    name, severity = cells[cell]
    return corrupt(images[row], name, severity, (seed, row))


def _stack(images: Images, rows: Sequence[int]) -> Image:
    return np.stack([images[row] for row in rows])
