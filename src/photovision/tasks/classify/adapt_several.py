"""A classifier of several labels an image, adapted to a place by unlabelled images: its normalisation."""

from __future__ import annotations

from dataclasses import replace

from photovision.data.augment.image import load_pixels
from photovision.engine.adapt import Adaptation, AdaptRequest, AdaptStep
from photovision.engine.adapt_pictures import adapt_pictures
from photovision.tasks.classify.refit import align

_OTHERS = (
    AdaptStep("class mix", "an image may have several labels, so that their shares are no mix"),
    AdaptStep("temperature", "the thresholds of the labels depend on it, and 'photovision calibrate' fits both"),
)


def adapt_several(request: AdaptRequest) -> Adaptation:
    """Adapt such a classifier; see `photovision.engine.adapt`."""
    preprocess, held_out = request.model.preprocess, request.held_out
    aligned = None if held_out is None else align(request.model, held_out)
    asked = replace(request, held_out=aligned)
    return adapt_pictures(asked, lambda sample: load_pixels(sample, preprocess), others=_OTHERS)
