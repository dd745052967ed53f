"""A segmenter adapted to a place by unlabelled images: the normalisation of its network."""

from __future__ import annotations

from photovision.core.types import Image, Sample
from photovision.core.window import whole
from photovision.engine.adapt import Adaptation, AdaptRequest, AdaptStep
from photovision.engine.adapt_pictures import adapt_pictures
from photovision.tasks.segment.segmenter import Segmenter


def adapt(request: AdaptRequest) -> Adaptation:
    """Adapt a segmenter; see `photovision.engine.adapt`."""
    model: Segmenter = request.model
    other = AdaptStep("temperature", "masks do not depend on it, and the bundle keeps no pixels to try it on")
    return adapt_pictures(request, lambda sample: middle(model, sample), others=(other,))


def middle(model: Segmenter, sample: Sample) -> Image:
    """What the network sees of an image: all of it, or of one that is seen in tiles the one in the middle."""
    picture = model.preprocess.decode(sample.image)
    if model.tile is None:
        return model.preprocess.resize(picture, whole((picture.height, picture.width)))
    high, wide = min(model.tile[0], picture.height), min(model.tile[1], picture.width)
    left, top = (picture.width - wide) // 2, (picture.height - high) // 2
    return model.preprocess.resize(picture, (left, top, left + wide, top + high))
