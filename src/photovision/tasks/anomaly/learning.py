"""Learning from good pictures alone: bank, statistics, score and threshold, by running one frozen network.

Every figure that a threshold rests on comes from a picture that was left out: its fold's patches are not in the bank
that scores it. Two passes over the pictures keep memory bounded, whatever their number: the first fills reservoirs, the
second scores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from photovision.core.errors import DataError
from photovision.core.progress import Listener, Progress, silent
from photovision.core.types import Floats, Image, Ints
from photovision.models.feature_levels import FeatureLevel
from photovision.runtime.session import Session, open_session
from photovision.tasks.anomaly.bank import FoldedBank, Reservoir, assign_folds, build_bank
from photovision.tasks.anomaly.contamination import PictureSamples, suspects
from photovision.tasks.anomaly.defects import DEFECTS, plant
from photovision.tasks.anomaly.graph import Scale, mean_map, statistics_of, write_patch_graph, write_scorer
from photovision.tasks.anomaly.image_level import fit_pooled, held_out_distances
from photovision.tasks.anomaly.selection import Selected, select
from photovision.trust.metrics.statistics import Vector

MIN_PICTURES = 8
"""Good pictures below which nothing is learned."""

MIN_SHOWN = 4
"""Different things that good pictures have to show: every fold needs others, and these others still."""

_BATCH = 8


@dataclass(frozen=True)
class BankConfig:
    """How much is kept, and what it costs.

    Attributes:
        bank_size: patches in the bank of each scale.
        reservoir: patches of each scale from which the bank is chosen.
        folds: that good pictures are dealt into.
        probes: good pictures that get synthetic defects, one of each kind.
        leave_out_suspects: whether pictures that look bad are left out of bank and threshold. They are named in any
            case: of few pictures the only one of its kind is rare more often than bad.
        seed: random seed.
    """

    bank_size: int = 2000
    reservoir: int = 40_000
    folds: int = 10
    probes: int = 16
    leave_out_suspects: bool = False
    seed: int = 0


@dataclass(frozen=True, eq=False)
class GoodPictures:
    """The good pictures to learn from, decoded when they are needed.

    Attributes:
        count: N.
        load: position -> pixels uint8 RGB (H, W, 3), as the network sees them.
        groups: int64 (N,), equal for pictures that show the same thing (near-duplicates, one leaf, one part).
    """

    count: int
    load: Callable[[int], Image]
    groups: Ints


@dataclass(frozen=True, eq=False)
class LearnedScorer:
    """What was learned; the scorer's graph holds the rest.

    Attributes:
        rows: int64 (n,), positions of the pictures that it learned from: all, or all but the suspects.
        scores: float64 (n,), of these pictures, each left out.
        heat: float64 (n,), largest value of their heatmaps, each left out.
        suspects: int64, positions of pictures that look bad among the good ones, the most suspicious first.
        selected: the statistics of the score, and how well they find synthetic defects.
    """

    rows: Ints
    scores: Vector
    heat: Vector
    suspects: Ints
    selected: Selected


@dataclass(frozen=True, eq=False)
class _Bank:
    """Banks of each scale, and pooled features of the pictures they come from."""

    scales: tuple[tuple[FeatureLevel, ...], ...]
    banks: tuple[FoldedBank, ...]
    pooled: Floats
    folds: Ints


def default_scales(levels: Sequence[FeatureLevel]) -> tuple[tuple[FeatureLevel, ...], ...]:
    """The levels that are joined: strides 8 and 16, and 16 and 32, or what a network has next to them."""
    resolutions: dict[tuple[int, int], list[FeatureLevel]] = {}
    for level in levels:
        resolutions.setdefault(level.size, []).append(level)
    found = list(resolutions.values())
    useful = [group for group in found if group[0].stride >= 8] or found[-1:]
    fine = tuple(group[-1] for group in useful[:2])
    coarse = (useful[-2][-1], useful[-1][0]) if len(useful) > 1 else fine
    return (fine,) if fine == coarse else (fine, coarse)


def learn(
    good: GoodPictures,
    levels_path: Path,
    levels: Sequence[FeatureLevel],
    path: Path,
    config: BankConfig | None = None,
    known_bad: Mapping[str, Sequence[Image]] | None = None,
    listener: Listener = silent,
) -> LearnedScorer:
    """Learn from good pictures and write the scorer's graph.

    Args:
        good: the pictures.
        levels_path, levels: of `models.feature_levels.export_levels`.
        path: of the scorer's graph; a graph of patches is written beside it and removed.
        config: how much is kept.
        known_bad: kind -> bad pictures, uint8 (H, W, 3) as the network sees them: they help to choose the statistics,
            and touch neither the bank nor the threshold.
        listener: of its progress.

    Raises:
        DataError: too few good pictures.
        UnreadableImage: a picture cannot be read.
    """
    config = config or BankConfig()
    _check_enough(good)
    joined = default_scales(levels)
    patch_graph = path.with_suffix(".patches.onnx")
    try:
        write_patch_graph(levels_path, levels, joined, patch_graph)
        session = open_session(patch_graph, precision="f32")
    finally:
        patch_graph.unlink(missing_ok=True)
    samples = _collect(good, session, joined, config, listener)
    bad = suspects(samples[0], config.seed)
    rows = np.arange(good.count, dtype=np.int64)
    if config.leave_out_suspects:
        rows = np.setdiff1d(rows, bad)
    bank = _thinned(samples, joined, rows, config, listener)
    statistics, heat = _hold_out(good, rows, session, bank, listener)
    selected = select(
        statistics,
        _defects(good, rows, session, bank, config, known_bad or {}, listener),
        tuple(f"stride {scale[0].stride}" for scale in joined),
    )
    scales = [Scale(joined, folded.whole) for joined, folded in zip(bank.scales, bank.banks, strict=True)]
    write_scorer(levels_path, levels, scales, fit_pooled(bank.pooled), selected.combination, path)
    scores = selected.combination(statistics).astype(np.float64)
    return LearnedScorer(rows, scores, heat, bad, selected)


def check_count(good: int) -> None:
    """Raises DataError where there are too few good pictures."""
    if good < MIN_PICTURES:
        raise DataError(f"anomaly detection needs at least {MIN_PICTURES} good pictures, got {good}; add more")


def _check_enough(good: GoodPictures) -> None:
    check_count(good.count)
    shown = len(np.unique(good.groups))
    if shown < MIN_SHOWN:
        raise DataError(
            f"the {good.count} good pictures show only {shown} different things; anomaly detection needs at least"
            f" {MIN_SHOWN}, so that each can be held out: add pictures of others"
        )


def _batches(count: int, load: Callable[[int], Image]) -> Iterator[tuple[range, Image]]:
    from photovision.core.parallel import batched, in_order

    for pairs in batched(in_order(range(count), load), _BATCH):
        yield range(pairs[0][0], pairs[-1][0] + 1), np.stack([image for _, image in pairs])


def _collect(
    good: GoodPictures,
    session: Session,
    joined: Sequence[tuple[FeatureLevel, ...]],
    config: BankConfig,
    listener: Listener,
) -> list[PictureSamples]:
    """The first pass: samples of every fold's patches at each scale."""
    folds = assign_folds(good.groups, config.folds, config.seed)
    parts = int(folds.max()) + 1
    kept = [[Reservoir(max(1, config.reservoir // parts), config.seed + fold) for fold in range(parts)] for _ in joined]
    pooled = []
    for positions, images in _batches(good.count, good.load):
        found = session.run(images)
        pooled.append(found["pooled"])
        for scale, reservoirs in enumerate(kept):
            for position, patches in zip(positions, found[f"patches_{scale}"], strict=True):
                reservoirs[folds[position]].add(patches, position)
        listener(Progress("features of good pictures", positions[-1] + 1, good.count))
    every = np.concatenate(pooled)
    return [
        PictureSamples([part.sample() for part in parts], [part.owners() for part in parts], every, folds)
        for parts in kept
    ]


def _thinned(
    samples: Sequence[PictureSamples],
    joined: Sequence[tuple[FeatureLevel, ...]],
    rows: Ints,
    config: BankConfig,
    listener: Listener,
) -> _Bank:
    """Banks of the pictures at `rows`."""
    banks = []
    for number, sample in enumerate(samples):
        kept = [part[np.isin(owners, rows)] for part, owners in zip(sample.patches, sample.owners, strict=True)]
        banks.append(build_bank(kept, config.bank_size, config.seed))
        listener(Progress("memory bank", number + 1, len(joined)))
    return _Bank(tuple(joined), tuple(banks), samples[0].pooled[rows], samples[0].folds[rows])


def _measured(found: Mapping[str, np.ndarray], row: int, bank: _Bank, fold: int) -> tuple[Floats, float]:
    """Statistics of patches at all scales, and the largest value of the heatmap, without one fold's patches."""
    distances = [
        folded.without[fold].distances(found[f"patches_{number}"][row]) for number, folded in enumerate(bank.banks)
    ]
    heat = mean_map(distances, bank.scales)
    return np.concatenate([statistics_of(d[None])[0] for d in distances]), float(heat.max())


def _hold_out(
    good: GoodPictures, rows: Ints, session: Session, bank: _Bank, listener: Listener
) -> tuple[Floats, Vector]:
    """The second pass: statistics (N, K) and largest heat (N,) of every good picture, each without its own fold."""
    statistics, heat = [], []
    for positions, images in _batches(len(rows), lambda position: good.load(int(rows[position]))):
        found = session.run(images)
        for row, position in enumerate(positions):
            values, hottest = _measured(found, row, bank, int(bank.folds[position]))
            statistics.append(values)
            heat.append(hottest)
        listener(Progress("held-out scores", positions[-1] + 1, len(rows)))
    image = held_out_distances(bank.pooled, bank.folds)
    return np.column_stack([np.stack(statistics), image]).astype(np.float32), np.array(heat)


def _defects(
    good: GoodPictures,
    rows: Ints,
    session: Session,
    bank: _Bank,
    config: BankConfig,
    known_bad: Mapping[str, Sequence[Image]],
    listener: Listener,
) -> dict[str, Floats]:
    """Statistics of synthetic defects on held-out good pictures, and of known bad pictures: kind -> (M, K)."""
    rng = np.random.default_rng(config.seed)
    probes = np.sort(rng.permutation(len(rows))[: config.probes])
    gaussians = {fold: fit_pooled(bank.pooled[bank.folds != fold]) for fold in set(bank.folds[probes].tolist())}
    found: dict[str, list[Floats]] = {kind: [] for kind in DEFECTS}

    def measure(images: Sequence[Image], fold: int) -> list[Floats]:
        outputs = session.run(np.stack(images))
        image = gaussians[fold].distances(outputs["pooled"])
        return [
            np.append(_measured(outputs, row, bank, fold)[0], image[row]).astype(np.float32)
            for row in range(len(images))
        ]

    for done, position in enumerate(probes, 1):
        image = good.load(int(rows[position]))
        planted = [plant(image, kind, rng)[0] for kind in DEFECTS]
        for kind, values in zip(DEFECTS, measure(planted, int(bank.folds[position])), strict=True):
            found[kind].append(values)
        listener(Progress("synthetic defects", done, len(probes)))
    folds = sorted(gaussians)
    for kind, images in known_bad.items():
        # Each by the bank without one fold, as all that it is compared with.
        found[f"known: {kind}"] = [
            values for number, image in enumerate(images) for values in measure([image], folds[number % len(folds)])
        ]
    return {kind: np.stack(values) for kind, values in found.items() if values}
