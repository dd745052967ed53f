"""Limits: the part of an evaluation that tells when a model does not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from photovision.core.report import Finding
from photovision.core.types import Floats
from photovision.runtime.uncertainty import Uncertainty
from photovision.trust.metrics.conformal import sets_finding
from photovision.trust.metrics.novelty import novelty_finding
from photovision.trust.metrics.selective import selective_finding


def limits(
    probs: Floats,
    truth: np.ndarray,
    right: np.ndarray,
    novelty: Floats,
    doubt: Uncertainty | None,
    classes: Sequence[str],
    others: Mapping[str, Floats] | None = None,
) -> list[Finding]:
    """What selective answers gain, what prediction sets keep, what the gate lets through.

    Args:
        probs: float32 (N, C).
        truth: int64 (N,), or 0/1 (N, C) for multi-label.
        right: bool (N,): whether the answer is right.
        novelty: float32 (N,).
        doubt: None for a model without sets and gate.
        classes: C names.
        others: name -> novelty of pictures of something else.
    """
    # Of several labels the answer is as sure as all of them together.
    sure = probs.max(1) if truth.ndim == 1 else np.exp(np.log(np.maximum(np.maximum(probs, 1 - probs), 0.5)).sum(1))
    found = [selective_finding(sure, right)]
    if doubt is None:
        return found
    found.append(sets_finding(probs, truth, doubt.thresholds, doubt.coverage, tuple(classes)))
    found.append(novelty_finding(novelty, doubt.limit, doubt.false_alarms, others))
    return found
