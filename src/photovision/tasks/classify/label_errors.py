"""Clean: which labels are probably wrong, which pictures belong to nothing, and what leaving them out would change.

The labels are judged by linear heads on features that never saw them, each picture by a head that learnt neither from
it nor from its near-duplicates or its group.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from photovision.core.errors import UsageError
from photovision.core.progress import ProgressCallback
from photovision.core.report import Finding
from photovision.core.types import Floats, Ints
from photovision.data.dataset import SPLITS, Dataset
from photovision.data.scan import Scan
from photovision.data.split import Splits, units_of
from photovision.tasks.classify import label_errors_text as story
from photovision.tasks.classify.unsupervised_features import (
    NETWORK,
    Blind,
    LinearHead,
    describe,
    out_of_sample,
    unshared,
)
from photovision.trust.labels.label_errors import MIN_PICTURES, label_errors, surprise
from photovision.trust.labels.outliers import MIN_PICTURES as MIN_FOR_OUTLIERS
from photovision.trust.labels.outliers import outliers

FOLDS = 5
MIN_CLASS = 10
"""Classes with fewer pictures are not examined: their heads would accuse every one of them."""
STRENGTHS = (0.003, 0.001, 0.01, 0.0003, 0.03)
"""Inverse strengths of regularisation, the most often best first, which are tried while time allows."""

_DESCRIBING, _CHOOSING = 0.6, 0.8  # shares of the time after which each must be done


@dataclass(frozen=True, eq=False)
class LabelledFeatures:
    """N pictures with their labels, in an order that does not depend on the order of the dataset.

    Attributes:
        positions: int64 (N,), in the dataset.
        codes: int64 (N,), 0 to C - 1: labels as given.
        names: of the C classes.
        units: int64 (N,): equal for pictures that must stay together.
        folds: int64 (N,), 0 to 4: whole units.
        side: int64 (N,): the split, an index into SPLITS.
        leaked: bool (N,): test pictures that belong together with others.
        rows: int64 (N,), where their features stand.
    """

    positions: Ints
    codes: Ints
    names: tuple[str, ...]
    units: Ints
    folds: Ints
    side: Ints
    leaked: np.ndarray
    rows: Ints

    def at(self, rows: Ints) -> LabelledFeatures:
        """The pictures at these rows, whose classes are numbered again and whose folds are dealt again."""
        present, codes = np.unique(self.codes[rows], return_inverse=True)
        units = self.units[rows]
        return LabelledFeatures(
            self.positions[rows],
            codes.astype(np.int64),
            tuple(self.names[int(code)] for code in present),
            units,
            _dealt(codes.astype(np.int64), units),
            self.side[rows],
            self.leaked[rows],
            self.rows[rows],
        )


@dataclass(frozen=True, eq=False)
class FeatureChoice:
    """The features and the regularisation that tell the labels best.

    Attributes:
        kind: "network", "handcrafted" or "both".
        features: float32 (N, D).
        strength: inverse strength of the regularisation.
        probs: float64 (N, C), out of sample.
    """

    kind: str
    features: Floats
    strength: float
    probs: np.ndarray


@dataclass(frozen=True, eq=False)
class Cleaned:
    """What heads learnt with and without the suspects get right on pictures that taught none of them.

    Attributes:
        judged: rows of the judging pictures.
        suspected: rows of the suspects among the learning pictures.
        right: "as given", "left out", "relabelled" -> bool (n,), by the labels as given.
    """

    judged: Ints
    suspected: Ints
    right: dict[str, np.ndarray]


def audit_labels(
    dataset: Dataset,
    scan: Scan,
    splits: Splits,
    *,
    minutes: float = 2.0,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Finding:
    """Find labels that are probably wrong and pictures that belong to nothing, and measure what cleaning changes.

    Args:
        dataset: N pictures with one label each.
        scan: what `scan(dataset)` found.
        splits: what `make_splits(dataset, scan)` made; without the suspects in train and val, heads are judged on test.
        minutes: about how long this may take; where it is too short, a random part of the pictures is examined.
        seed: of that part.
        progress: called with (pictures described, pictures to describe).

    Returns:
        `data["label_errors"]["suspects"]` names every suspect with its label, the label suggested, the confidence in
        that suggestion, the chance that its own is wrong, both 0 to 1, and its split; `data["outliers"]` the outliers.

    Raises:
        UsageError: multi-label data, or a budget of no time.
    """
    if dataset.multilabel:
        raise UsageError(
            "label errors are looked for in data with one label a picture, but this has several: give one class at a"
            " time with --label-column"
        )
    if not minutes > 0:
        raise UsageError(f"minutes should be above 0, got {minutes}")
    began, seconds = time.monotonic(), 60 * minutes
    whole = gathered(dataset, scan, splits, seed)
    if _too_few(whole):
        return story.too_little(len(whole.codes), MIN_PICTURES, MIN_CLASS, FOLDS)
    side = int(np.median(np.minimum(scan.height, scan.width)[whole.positions]))
    blind = describe(dataset, whole.positions, side, _DESCRIBING * seconds, progress)
    described = whole.at(np.arange(len(blind)))
    examined = described.at(enough(described))
    if _too_few(examined):
        return story.too_little(len(examined.codes), MIN_PICTURES, MIN_CLASS, FOLDS)
    with unshared():
        choice = chosen(blind, examined, began + _CHOOSING * seconds)
        cleaned = _cleaned(examined, choice)
    found = label_errors(choice.probs, examined.codes)
    left_out = sorted(set(whole.names) - set(examined.names))
    text = story.LabelErrorText(dataset, examined.positions, examined.codes, examined.names, examined.side)
    return story.joined(
        story.labels(text, found, choice.kind, blind.backbone, choice.probs),
        story.coverage(len(examined.codes), len(whole.codes), left_out, minutes, MIN_CLASS, FOLDS),
        story.cleaning(text, found, cleaned),
        _strays(dataset, described, blind),
    )


def gathered(dataset: Dataset, scan: Scan, splits: Splits, seed: int) -> LabelledFeatures:
    """Every picture of the splits, in an order that is drawn from the seed and the ids."""
    parts = (splits.train, splits.val, splits.test)
    positions = np.concatenate(parts)
    side = np.repeat(np.arange(len(SPLITS)), [len(part) for part in parts])
    draws = [
        hashlib.sha256(f"{seed}:{dataset.samples[int(p)].id}".encode("utf-8", "replace")).digest() for p in positions
    ]
    order = np.array(sorted(range(len(draws)), key=draws.__getitem__), dtype=np.int64)
    positions = positions[order]
    index = {name: code for code, name in enumerate(dataset.classes)}
    codes = np.array([index[dataset.samples[int(p)].label] for p in positions], dtype=np.int64)
    units, leaked = units_of(dataset, scan, positions)[positions], np.isin(positions, splits.leaked)
    every = np.arange(len(codes))
    return LabelledFeatures(positions, codes, dataset.classes, units, every, side[order], leaked, every).at(every)


def _dealt(codes: Ints, units: Ints) -> Ints:
    """Folds int64 (N,): whole units, class by class in turn; a unit of several classes goes with its first picture."""
    _, firsts, number = np.unique(units, return_index=True, return_inverse=True)
    order = np.lexsort((firsts, codes[firsts]))
    folds = np.empty(len(firsts), np.int64)
    folds[order] = np.arange(len(firsts)) % FOLDS
    return folds[number.ravel()]


def enough(examined: LabelledFeatures) -> Ints:
    """Rows, int64, of the pictures of classes that every head can learn: 10 pictures, in 5 units at least."""
    counts = np.bincount(examined.codes, minlength=len(examined.names))
    pairs = np.unique(np.stack([examined.codes, examined.units]), axis=1)
    kinds = np.bincount(pairs[0], minlength=len(examined.names))
    able = (counts >= MIN_CLASS) & (kinds >= FOLDS)
    return np.flatnonzero(able[examined.codes]).astype(np.int64)


def _too_few(examined: LabelledFeatures) -> bool:
    rows = enough(examined)
    return len(rows) < MIN_PICTURES or len(np.unique(examined.codes[rows])) < 2


def chosen(blind: Blind, examined: LabelledFeatures, deadline: float) -> FeatureChoice:
    """Try kinds of features and regularisations out of sample, as many as time allows; the least surprised one wins.

    Args:
        blind: features of the pictures.
        examined: N pictures, all of classes that are `enough`.
        deadline: of `time.monotonic()`; one attempt is made in any case.
    """
    kinds = {kind: features[examined.rows] for kind, features in blind.spaces.items()}
    tried: list[tuple[float, FeatureChoice]] = []

    def attempt(kind: str, strength: float) -> None:
        if tried and time.monotonic() > deadline:
            return
        logits = out_of_sample(kinds[kind], examined.codes, examined.folds, len(examined.names), strength)
        probs = np.asarray(softmax(logits, axis=1))
        tried.append((surprise(probs, examined.codes), FeatureChoice(kind, kinds[kind], strength, probs)))

    for kind in kinds:
        attempt(kind, STRENGTHS[0])
    kind = min(tried, key=lambda one: one[0])[1].kind
    for strength in STRENGTHS[1:]:
        attempt(kind, strength)
    return min(tried, key=lambda one: one[0])[1]


def _cleaned(examined: LabelledFeatures, choice: FeatureChoice) -> Cleaned | None:
    """Learn with and without the suspects, which are found again among the learning pictures alone.

    None where there are too few pictures to learn from or to judge with.
    """
    learning = np.flatnonzero(examined.side < 2).astype(np.int64)
    part = examined.at(learning)
    able = enough(part)
    learning, part = learning[able], part.at(able)
    known = np.unique(examined.codes[learning])
    judged = np.flatnonzero((examined.side == 2) & ~examined.leaked & np.isin(examined.codes, known)).astype(np.int64)
    if len(learning) < MIN_PICTURES or len(known) < 2 or len(judged) < MIN_PICTURES:
        return None
    features = choice.features[learning]
    logits = out_of_sample(features, part.codes, part.folds, len(known), choice.strength)
    found = label_errors(np.asarray(softmax(logits, axis=1)), part.codes)
    kept = np.setdiff1d(np.arange(len(learning)), found.suspects)
    mended = part.codes.copy()
    mended[found.suspects] = found.suggested[found.suspects]
    lessons = {
        "as given": (features, part.codes),
        "left out": (features[kept], part.codes[kept]),
        "relabelled": (features, mended),
    }
    right = {}
    for name, (rows, labels) in lessons.items():
        said = LinearHead.fit(rows, labels, choice.strength)(choice.features[judged], len(known)).argmax(1)
        right[name] = known[said] == examined.codes[judged]
    return Cleaned(judged, learning[found.suspects], right)


def _strays(dataset: Dataset, described: LabelledFeatures, blind: Blind) -> Finding:
    """Outliers among the network's features; handcrafted ones were measured to miss most of them."""
    features = blind.features.get(NETWORK)
    if features is None or len(blind) < MIN_FOR_OUTLIERS:
        return story.no_strays(len(blind), MIN_FOR_OUTLIERS)
    text = story.LabelErrorText(dataset, described.positions, described.codes, described.names, described.side)
    return story.strays(text, outliers(features), blind.backbone)
