"""A detector adapted to a place by unlabelled images: normalisation, and what its scores mean there."""

from __future__ import annotations

from functools import partial

import numpy as np

from photovision.data.augment.image import load_pixels
from photovision.engine.adapt import Adaptation, AdaptRequest, AdaptStep
from photovision.engine.adapt_normalisation import TriedNetwork, verdict
from photovision.engine.adapt_pictures import Refit, adapt_pictures
from photovision.tasks.detect.calibrate import MIN_OBJECTS, change_scores, cross_fitted, learn_scores
from photovision.tasks.detect.evaluation import DetectEvaluation
from photovision.trust.metrics.matching import f1_of

SCORES = "scores and thresholds"


def adapt(request: AdaptRequest) -> Adaptation:
    """Adapt a detector; see `photovision.engine.adapt`."""
    preprocess = request.model.preprocess
    return adapt_pictures(request, lambda sample: load_pixels(sample, preprocess), partial(_scores, request))


def _scores(request: AdaptRequest, tried: TriedNetwork) -> Refit:
    """Scores and thresholds fitted to labelled images that are given the look of the place, if others gain by it."""
    model = tried.model if tried.step.taken else request.model
    looked = tried.after if tried.step.taken else tried.before
    assert isinstance(looked, DetectEvaluation)
    change = partial(change_scores, model, looked, learn_scores(looked, np.arange(len(looked.pairs))))
    if int(looked.hits.objects.sum()) < MIN_OBJECTS:
        return Refit(AdaptStep(SCORES, f"the labelled pictures have fewer than {MIN_OBJECTS} objects"), change)
    before, after = looked.score(), f1_of(cross_fitted(looked, request.seed)[1])
    return Refit(verdict(SCORES, looked.score_name, before, after), change)
