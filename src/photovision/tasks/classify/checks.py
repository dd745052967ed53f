"""Checks of a classifier: groups, failure slices, shortcuts, conditions, labels, annotators, explanations.

Each is a function of the same `AuditContext`, whose evaluation is a `ClassifyEvaluation` with embeddings.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from photovision.core.report import Finding
from photovision.core.types import Floats, Image
from photovision.engine.audit_context import AuditContext, Check
from photovision.engine.checks import NOT_COMPARED
from photovision.tasks.classify import checks_text as text
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.tasks.classify.recognizer import Recognizer
from photovision.trust.robustness.suite import spread

_BATCH = 32
_SHARE_OF_ROBUSTNESS, _SHARE_OF_SHORTCUTS = 0.4, 0.15
_LEAST_ANSWERS, _MAPS = 1000, 24
_LEAST_FOR_LABELS = 50
_LEAST_EXPLAINED, _EXPLAINED, _ORDERS = 10, 24, 5


def _probs(model: Recognizer, images: Image) -> Floats:
    """float32 (N, C): predictions on images (N, H, W, 3) at the network's own size."""
    parts = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
    return np.concatenate([model.session.run(part)["probs"] for part in parts])


def _seconds_each(probs: Callable[[Image], Floats], images: Image) -> float:
    """How long one prediction takes on this machine, without decoding."""
    few = images[: 2 * _BATCH]
    probs(few[:1])  # the first time loads libraries
    started = time.perf_counter()
    probs(few)
    return (time.perf_counter() - started) / len(few)


def _groups(context: AuditContext) -> Finding | None:
    from photovision.trust.fairness.audit import audit_groups

    if not context.groups.compared:
        return Finding((NOT_COMPARED,))
    answers: ClassifyEvaluation = context.evaluation
    doubt = context.model.doubt
    return audit_groups(
        context.groups.values,
        context.groups.compared,
        classes=answers.classes,
        probs=answers.probs,
        truth=answers.truth,
        right=answers.right,
        predicted=answers.predicted,
        sets=None if doubt is None else answers.probs >= answers.least,
        coverage=None if doubt is None else doubt.coverage,
        train_counts=context.train_counts,
    )


def _slices(context: AuditContext) -> Finding | None:
    from photovision.trust.robustness.slices import find_slices, finding

    answers: ClassifyEvaluation = context.evaluation
    assert answers.embeddings is not None
    found = find_slices(
        answers.embeddings,
        answers.right,
        groups={name: context.groups.values[name] for name in context.groups.compared},
        classes=answers.classes,
        truth=answers.truth,
        seed=context.seed,
    )
    return finding(found, answers.samples, answers.right)


def _shortcuts(context: AuditContext) -> Finding | None:
    from photovision.tasks.classify.explain import heatmaps
    from photovision.trust.robustness.shortcut_tests import MIN_PICTURES
    from photovision.trust.robustness.shortcuts import audit_shortcuts

    if len(context.images) < MIN_PICTURES:
        why = f"that takes {MIN_PICTURES} pictures, and there are {len(context.images)}"
        return Finding((f"Shortcuts were not looked for: {why}.",))
    part, images, probs = context.part, context.images, partial(_probs, context.model)
    few = spread(len(images), _MAPS)
    maps = heatmaps(context.model, images[few], part.probs[few].argmax(1))
    return audit_shortcuts(
        probs,
        images,
        part.truth,
        classes=part.classes,
        thresholds=part.thresholds,
        heatmaps=maps,
        answers=max(_LEAST_ANSWERS, int(_SHARE_OF_SHORTCUTS * context.seconds / _seconds_each(probs, images))),
        seed=context.seed,
    )


def _labels(context: AuditContext) -> Finding | None:
    from photovision.trust.labels.label_errors import label_errors

    answers: ClassifyEvaluation = context.evaluation
    if answers.multilabel or len(answers.samples) < _LEAST_FOR_LABELS:
        return None
    return text.labels(label_errors(answers.probs, answers.truth), answers)


def _explanations(context: AuditContext) -> Finding | None:
    from photovision.tasks.classify.explain import heatmaps, subject_of
    from photovision.trust.explain.default_method import choose
    from photovision.trust.explain.faithfulness import trials

    part: ClassifyEvaluation = context.part
    right = np.flatnonzero(part.right & (part.predicted.sum(1) > 0))
    if len(right) < _LEAST_EXPLAINED:
        return None
    rows = right[spread(len(right), _EXPLAINED)]
    images, classes = context.images[rows], part.probs[rows].argmax(1)
    subject = subject_of(context.model)
    maps = heatmaps(context.model, images, classes)
    found = [
        trials(subject, image, int(target), heat[None], orders=_ORDERS, seed=context.seed)[0]
        for image, target, heat in zip(images, classes, maps, strict=True)
    ]
    return text.explanations(found, choose(subject).name, _ORDERS)


def _conditions(context: AuditContext) -> Finding:
    from photovision.trust.robustness.report import finding
    from photovision.trust.robustness.suite import affordable, highest, suite

    probs = partial(_probs, context.model)
    seconds = context.seconds * _SHARE_OF_ROBUSTNESS
    count = affordable(probs, context.images[:16], seconds, corruptions=context.conditions)
    rows = spread(len(context.images), count)
    chosen: ClassifyEvaluation = context.part.at(rows)
    images = context.images[rows]
    found = suite(
        probs,
        chosen.right_of,
        images,
        corruptions=context.conditions,
        seed=context.seed,
        probs_clean=chosen.probs,
        confidence=None if chosen.multilabel else highest,
        progress=context.progress("conditions"),
    )
    return finding(found, images, total=len(context.samples))


def _raters(context: AuditContext) -> Finding | None:
    from photovision.trust.labels.annotators import is_rater, raters_finding

    names = sorted({name for sample in context.samples for name in sample.groups if is_rater(name)})
    if not names or context.evaluation.multilabel:
        return None
    ratings = {name: [sample.groups.get(name, "") for sample in context.samples] for name in names}
    answers: ClassifyEvaluation = context.evaluation
    return raters_finding(ratings, answers.classes, answers.probs.argmax(1), answers.truth, seed=context.seed)


CHECKS: Mapping[str, Check] = {
    "groups": _groups,
    "slices": _slices,
    "shortcuts": _shortcuts,
    "conditions": _conditions,
    "labels": _labels,
    "raters": _raters,
    "explanations": _explanations,
}
"""Name -> check, in the order of the report."""
