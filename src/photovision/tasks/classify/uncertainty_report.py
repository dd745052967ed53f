"""Limits: the part of an evaluation that tells when a model does not know."""

from __future__ import annotations

import numpy as np

from photovision.core.report import Finding
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.trust.metrics.conformal import sets_finding
from photovision.trust.metrics.novelty import novelty_finding
from photovision.trust.metrics.selective import selective_finding


def limits(evaluation: ClassifyEvaluation) -> list[Finding]:
    """What selective answers gain, what prediction sets keep, what novelty detection lets through.

    Without prediction sets and novelty detection there is the first alone.
    """
    probs, truth, doubt = evaluation.probs, evaluation.truth, evaluation.doubt
    # Of several labels the answer is as sure as all of them together.
    sure = probs.max(1) if truth.ndim == 1 else np.exp(np.log(np.maximum(np.maximum(probs, 1 - probs), 0.5)).sum(1))
    found = [selective_finding(sure, evaluation.right)]
    if doubt is None:
        return found
    found.append(sets_finding(probs, truth, evaluation.least, doubt.coverage, evaluation.classes))
    found.append(novelty_finding(evaluation.novelty, doubt.limit, doubt.false_alarms, evaluation.strangers))
    return found
