"""The size of the input: a larger one where held-out images gain by it and the time allows.

Small objects and the print on packages need detail that the usual size of a network's input does not show. Heads on
frozen features, each judged on components that it did not learn from, find out for a few per cent of the budget.
Prediction pays for a larger input as well, so the gain has to be more than chance explains.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.data.dataset import Dataset
from photovision.learn.head import fit_head
from photovision.tasks.classify.fair import right_of
from photovision.tasks.classify.linear_probe import Features, open_features
from photovision.tasks.classify.objective import objective_of

_LARGER = 10 / 7
_STEP = 32
_PASSES = 16
"""Passes over the training pictures at the larger size that must fit into the time, or it would learn too little."""
_FOLDS = 3
_STRENGTHS = (0.03,)


def fitting_features(usual: Features, train: Dataset) -> Features:
    """The pretrained network at the size that suits the images and the budget.

    Args:
        usual: the network at its usual size, or at the one that was asked for, which stays.
        train: the training pictures, or as many of them as the budget allows.
    """
    run, side = usual.run, _STEP * int(_LARGER * usual.side / _STEP)
    every = len(train) == len(run.splits.train)
    if (
        run.config.size is not None
        or usual.cut is None
        or not usual.source.any_size
        or not every
        or run.splits.typical_side < side
    ):
        return usual
    usual.open()
    started = time.monotonic()
    usual.compute(train, "train", None, 0)
    one_pass = (side / usual.side) ** 2 * (time.monotonic() - started)
    if not run.work.value("larger-input", lambda: _PASSES * one_pass < run.left):
        return usual
    source = usual.source
    larger = open_features(run, replace(source, preprocess=replace(source.preprocess, size=(side, side))))
    before, after = _right(usual, train), _right(larger, train)
    run.tell("input size", 1, 1, f"{before.mean():.1%} at {usual.side} px, {after.mean():.1%} at {side} px")
    return larger if beyond_chance(before, after) else usual


def beyond_chance(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether more of the same images are right after a change, by more than a standard error (McNemar 1947).

    Args:
        before, after: bool (N,).
    """
    gained, lost = int((after & ~before).sum()), int((before & ~after).sum())
    return bool(gained - lost > np.sqrt(gained + lost))


def _right(features: Features, train: Dataset) -> np.ndarray:
    """bool (N,): which training images a linear head has right that learned from other components of them."""
    run, objective = features.run, objective_of(features.run)
    rows, truth = features.compute(train, "train", None, 0)[0], train.label_matrix
    fold, right = _folds(run.splits.component[run.splits.splits.train], run.config.seed), np.zeros(len(train), bool)

    def score(logits: Floats, targets: Floats) -> Metric:
        return objective.score(objective.decode(logits), targets)

    for number in range(_FOLDS):
        known, held = fold != number, np.flatnonzero(fold == number)
        found = (rows[known], truth[known], rows[held], truth[held])
        head = fit_head(*found, score, multilabel=objective.multilabel, strengths=_STRENGTHS)
        right[held] = right_of(objective.decode(head(rows[held])), train.subset(held))
    return right


def _folds(component: Ints, seed: int) -> Ints:
    """int64 (N,): folds that keep components whole."""
    _, own = np.unique(component, return_inverse=True)
    folds: Ints = (np.random.default_rng(seed).permutation(own.max() + 1) % _FOLDS)[own]
    return folds
