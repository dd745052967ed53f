"""Checks of a detector: which groups, objects and conditions it fails on, and whether scores and truth can be trusted.

Each is a function of the same `AuditContext`, whose evaluation is a `DetectEvaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from PIL import Image as Pillow

from photovision.core.boxes import draw_regions
from photovision.core.regions import Detections
from photovision.core.report import Finding
from photovision.core.thumbnail import jpeg
from photovision.core.types import Image
from photovision.core.window import crop_boxes
from photovision.engine import checks
from photovision.engine.audit_context import AuditContext, Check
from photovision.tasks.detect.conditions import CorruptedDetections
from photovision.tasks.detect.evaluation import DetectEvaluation, kept, opened
from photovision.trust.metrics.detection_errors import break_down
from photovision.trust.metrics.matching import ObjectBoxes

_SUSPECTS_SHOWN = 24
_CROP = 220


def _groups(context: AuditContext) -> Finding:
    return checks.groups(context, context.evaluation.hits.ap50)


def _objects(context: AuditContext) -> Finding:
    from photovision.trust.fairness.object_subgroups import audit_kinds

    evaluation: DetectEvaluation = context.evaluation
    hits, thresholds, found = evaluation.hits, evaluation.thresholds, evaluation.hits.found
    rows = np.flatnonzero(hits.shown(thresholds))
    shown = ObjectBoxes(found.boxes[rows], found.labels[rows], found.picture[rows], found.row[rows])
    sizes = np.array(evaluation.sizes)
    return audit_kinds(hits.there, hits.seen(thresholds), sizes, shown=shown, right=hits.right[rows])


def _conditions(context: AuditContext) -> Finding:
    return checks.conditions(context, CorruptedDetections(context))


def _calibration(context: AuditContext) -> Finding:
    from photovision.trust.metrics.box_confidence import finding

    return finding(context.evaluation.hits, context.evaluation.thresholds)


def _labels(context: AuditContext) -> Finding:
    from photovision.trust.labels.box_errors import WORDS, find_suspects, finding

    looked: DetectEvaluation = context.evaluation
    suspects = find_suspects(looked.pairs, break_down(looked.pairs, len(looked.classes)), len(looked.classes))
    pictures = []
    for one in suspects.found[:_SUSPECTS_SHOWN]:
        pair, sample = looked.pairs[one.picture], looked.samples[one.picture]
        image = opened(sample)
        if image is None:
            continue
        rows = np.array([one.row])
        if one.kind == "missed":
            own = pair.truth
            said = Detections(own.boxes[rows], own.labels[rows], looked.classes)
        else:
            said = kept(pair.found, rows)
        caption = f"{WORDS[one.kind][0]}: {said.names[0]}\n{sample.id}"
        pictures.append((jpeg(_surroundings(image, pair.truth, said)), caption))
    return finding(suspects, [sample.id for sample in looked.samples], pictures)


def _surroundings(image: Image, truth: Detections, said: Detections) -> Image:
    """A box in question amid its surroundings, with the annotations: uint8, _CROP pixels at its longer side."""
    x1, y1, x2, y2 = said.boxes[0].tolist()
    reach = 1.1 * max(x2 - x1, y2 - y1, 24)
    middle = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = (max(0, int(middle[axis] - reach)) for axis in (0, 1))
    right, bottom = (min(image.shape[1 - axis], int(middle[axis] + reach) + 1) for axis in (0, 1))
    part = Pillow.fromarray(image).crop((left, top, right, bottom))
    scale = _CROP / max(part.size)
    size = (max(1, round(part.height * scale)), max(1, round(part.width * scale)))
    page = np.asarray(part.resize(size[::-1], Pillow.Resampling.BICUBIC))
    window = (left, top, right, bottom)
    for regions in (truth, said):
        near = crop_boxes(regions, window, size, min_visible=0.0)
        page = draw_regions(page, replace(near, crowd=None))
    return page


CHECKS: Mapping[str, Check] = {
    "groups": _groups,
    "objects": _objects,
    "slices": checks.slices,
    "conditions": _conditions,
    "calibration": _calibration,
    "labels": _labels,
}
"""Name -> check, in the order of the report."""
