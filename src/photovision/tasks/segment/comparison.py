"""Two segmenters on the same images: IoU by class, and the images on which one of them is much better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from photovision.core.regions import Regions
from photovision.core.types import Sample
from photovision.engine.evaluation import Comparison
from photovision.tasks.region_comparison import SHOWN, finding, side_by_side
from photovision.tasks.segment.evaluation import SegmentEvaluation
from photovision.tasks.segment.segmenter import Segmenter


def compare(a: SegmentEvaluation, b: SegmentEvaluation) -> Comparison:
    """See `engine.evaluation.Comparison`; the interval of mean IoU decides."""
    gains = a.gains(b)
    return Comparison(gains, finding=finding("IoU", (a.by_class(), b.by_class()), gains.by_class, _apart(a, b)))


def _apart(a: SegmentEvaluation, b: SegmentEvaluation) -> list[tuple[bytes, str]]:
    """The images on which one of the models is much better than the other, drawn."""
    if a.counts is None or b.counts is None:  # else F1 of objects would be compared with IoU
        a, b = replace(a, counts=None), replace(b, counts=None)
    score_a, score_b = a.score(), b.score()
    apart = np.abs(score_a - score_b)
    pictures = []
    for row in np.argsort(-apart, kind="stable")[:SHOWN].tolist():
        if apart[row] <= 0:
            break
        sample = a.samples[row]
        predicted = [_regions(one.model, sample) for one in (a, b)]
        caption = f"{a.score_name}: A {score_a[row]:.0%}, B {score_b[row]:.0%}\n{sample.id}"
        assert sample.annotations is not None
        pictures += side_by_side(sample, (sample.annotations, *(one for one in predicted if one is not None)), caption)
    return pictures


def _regions(model: Segmenter, sample: Sample) -> Regions | None:
    found = next(iter(model.results([sample.image]))).value
    return found if found is None or found.objects is None else found.objects
