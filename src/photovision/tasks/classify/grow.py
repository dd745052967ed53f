"""Growing a classifier on stored features: a new last layer for old and new classes, and what is judged before that.

The labels of new pictures are examined first, by the old version and by heads that did not see them; then a linear head
learns from exemplars and new pictures together (replay), so that old classes are not forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from photovision.core.drawing import percent
from photovision.core.report import Metric
from photovision.core.types import Floats, Ints
from photovision.tasks.classify.exemplars import Exemplars, HeadVersion
from photovision.trust.labels.label_errors import MIN_PICTURES, label_errors
from photovision.trust.metrics.calibrate import fit_temperature
from photovision.trust.metrics.statistics import wilson
from photovision.trust.promotion import Condition, PromotionLimits, Trial, softmax

STRENGTHS = (0.01, 0.1)
"""Inverse strengths of regularisation that are tried for the new layer."""
FOLDS = 3
_LOST = 0.005  # share of old pictures that may be lost to new classes
_CHOOSING = 0.25  # of the pictures choose the strength
_LABELS = "new labels"


@dataclass(frozen=True, eq=False)
class NewData:
    """New labelled pictures as the frozen network sees them.

    Attributes:
        classes: all names, those of the old version first.
        learn: to learn from; their labels are indices into `classes`.
        held: held out to judge.
        logits: float32 (N + M, C0), what the old version gives for `learn`, then for `held`.
        unit: int64 (N + M,): pictures of `learn`, then of `held`, that belong together.
    """

    classes: tuple[str, ...]
    learn: Exemplars
    held: Exemplars
    logits: Floats
    unit: Ints

    @property
    def whole(self) -> Exemplars:
        """All of them."""
        return self.learn.joined(self.held)


@dataclass(frozen=True, eq=False)
class Golden:
    """The frozen golden set, and what the old version gives for it: logits float32 (N, C0)."""

    exemplars: Exemplars
    logits: Floats


def check_labels(old: HeadVersion, new: NewData, golden: Golden, limits: PromotionLimits, seed: int = 0) -> Condition:
    """Whether no more of the new labels seem wrong than may be, by confident learning, before a version learns them.

    They are examined by the old version, and by heads that know its exemplars and other new pictures. What only the old
    version finds wrong may be another place, which is strange to it: that counts only where the heads, too, agree with
    fewer labels than the old version does on the golden set, as with labels that are wrong by a rule.
    """
    probs = _out_of_sample(old, new, seed)
    if probs is None:
        return Condition(_LABELS, True, f"not examined: {MIN_PICTURES} pictures of two classes are needed")
    heads, rows = label_errors(probs, new.whole.label), np.arange(len(probs))
    found, wrong = heads, heads.shown and heads.share.value > limits.noise
    known = np.flatnonzero(new.whole.label < len(old.classes))
    if not wrong and len(known) >= MIN_PICTURES and not _agree(probs, new, golden, limits):
        first = label_errors(softmax(new.logits[known]), new.whole.label[known])
        if first.shown and first.share.value > limits.noise:
            found, rows, wrong = first, known, True
    share, low, high = found.share
    text = f"about {percent(share)} wrong ({percent(low)} to {percent(high)}; {percent(limits.noise)} may be)"
    if len(found.suspects):
        text += f"; first look at {', '.join(new.whole.ids[int(rows[row])] for row in found.suspects[:3])}"
    return Condition(_LABELS, not wrong, text)


def _agree(probs: Floats, new: NewData, golden: Golden, limits: PromotionLimits) -> bool:
    """Whether heads agree with as many new labels as the old version does with those of the golden set."""
    right = int((probs.argmax(1) == new.whole.label).sum())
    usual = float((golden.logits.argmax(1) == golden.exemplars.label).mean())
    return wilson(right, len(probs))[1] >= (1 - limits.noise) * usual


def _out_of_sample(old: HeadVersion, new: NewData, seed: int) -> Floats | None:
    """Probabilities (N, C) by heads that learned nothing that belongs together with a picture; None for too few."""
    whole = new.whole
    if len(whole) < MIN_PICTURES or len(np.unique(whole.label)) < 2:
        return None
    units = np.unique(new.unit, return_inverse=True)[1]
    fold = np.random.default_rng(seed).permutation(units.max() + 1)[units] % FOLDS
    probs = np.empty((len(whole), len(new.classes)), np.float32)
    for number in range(FOLDS):
        head = fitted(old.learned.joined(whole.at(np.flatnonzero(fold != number))), len(new.classes), STRENGTHS[:1])
        probs[fold == number] = softmax(_logits(head, whole.at(np.flatnonzero(fold == number))))
    return probs


def grown(old: HeadVersion, new: NewData, golden: Golden, seed: int = 0) -> HeadVersion:
    """The next version: learned from old exemplars and new pictures, its temperature from held-out ones."""
    learned = old.learned.joined(new.learn)
    weight, bias = fitted(learned, len(new.classes), STRENGTHS, seed)
    first = len(old.classes)
    if len(new.classes) > first:
        bias[first:] -= caution(learned, first, len(new.classes), seed)
    version = HeadVersion(new.classes, learned, old.held.joined(new.held), weight, bias).bounded(seed)
    judges = golden.exemplars.joined(version.held)
    return replace(version, temperature=fit_temperature(version.logits(judges), judges.label))


def caution(learned: Exemplars, first: int, classes: int, seed: int = 0) -> float:
    """How much surer than of old classes a version must be to name new ones, so that few old pictures are lost to them.

    Found on exemplars that heads did not see; at most every 200th old picture is lost there.

    Args:
        learned: exemplars of all classes.
        first: the index of the first new class; the others follow.
        classes: how many there are in all.
        seed: of the folds.
    """
    fold = np.random.default_rng(seed).permutation(len(learned)) % FOLDS
    margins = []
    for number in range(FOLDS):
        head = fitted(learned.at(np.flatnonzero(fold != number)), classes, STRENGTHS[:1])
        part = learned.at(np.flatnonzero((fold == number) & (learned.label < first)))
        logits = _logits(head, part)
        own = logits[:, :first]
        right = own.argmax(1) == part.label
        margins.append((logits[:, first:].max(1) - own.max(1))[right])
    lost = np.concatenate(margins)
    return max(0.0, float(np.quantile(lost, 1 - _LOST))) if len(lost) else 0.0


def trial_of(old: HeadVersion, version: HeadVersion, new: NewData, golden: Golden) -> Trial:
    """Both versions on the golden set, on held-out pictures of earlier new data, and on those of the newest."""
    count = len(version.classes)
    before = [golden.logits] + ([old.logits(old.held)] if len(old.held) else []) + [new.logits[len(new.learn) :]]
    judges = golden.exemplars.joined(old.held).joined(new.held)
    place = np.arange(len(judges))
    groups = golden.exemplars.groups
    later = len(judges) - len(golden.exemplars)
    return Trial(
        judges.label,
        np.concatenate([_widened(logits, count) for logits in before]),
        version.logits(judges),
        place < len(golden.exemplars),
        place >= len(judges) - len(new.held),
        version.classes,
        {name: (*values, *("",) * later) for name, values in groups.items()},
    )


def counts_of(version: HeadVersion) -> Mapping[str, int]:
    """Class -> exemplars that a version learned from."""
    found = np.bincount(version.learned.label, minlength=len(version.classes))
    return dict(zip(version.classes, found.tolist(), strict=True))


def fitted(
    learned: Exemplars, classes: int, strengths: tuple[float, ...] = STRENGTHS, seed: int = 0
) -> tuple[Floats, Floats]:
    """A linear layer (C, D), (C,) for unit-norm features; a part of them chooses among several strengths."""
    from photovision.learn.head import fit_head

    features, truth = learned.features, np.eye(classes, dtype=np.float32)[learned.label]
    strength = strengths[0]
    if len(strengths) > 1:
        choosing = np.random.default_rng(seed).random(len(features)) < _CHOOSING
        both = (features[~choosing], truth[~choosing], features[choosing], truth[choosing])
        strength = fit_head(*both, _accuracy, strengths=strengths).strength
    head = fit_head(features, truth, features[:1], truth[:1], _accuracy, strengths=(strength,))
    return head.weight, head.bias


def _logits(head: tuple[Floats, Floats], exemplars: Exemplars) -> Floats:
    return np.asarray(exemplars.features @ head[0].T + head[1], np.float32)


def _accuracy(logits: Floats, truth: Floats) -> Metric:
    return Metric(float((logits.argmax(1) == truth.argmax(1)).mean()))


def _widened(logits: Floats, classes: int) -> Floats:
    """Logits of an older version for all classes: -inf for those that it does not know."""
    missing = np.full((len(logits), classes - logits.shape[1]), -np.inf, np.float32)
    return np.concatenate([logits, missing], axis=1)
