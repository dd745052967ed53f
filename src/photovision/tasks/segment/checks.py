"""Checks of a segmenter: which groups, objects and conditions it fails on.

Each is a function of the same `AuditContext`, whose evaluation is a `SegmentEvaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from photovision.core.regions import Detections
from photovision.core.report import Finding
from photovision.data.formats.colours import BACKGROUND
from photovision.engine import checks
from photovision.engine.audit_context import MAX_IMAGES, AuditContext, Check
from photovision.tasks.segment.conditions import CorruptedSegmentations
from photovision.trust.metrics.detection import Pair
from photovision.trust.metrics.matching import find_hits


def _objects(context: AuditContext) -> Finding | None:
    """Kinds of objects, matched with the truth by the boxes around their masks; None for a model of classes alone."""
    from photovision.trust.fairness.object_subgroups import audit_kinds

    model = context.model
    names = tuple(name for name in model.classes if name != BACKGROUND)
    labelled = [sample for sample in context.samples if isinstance(sample.annotations, Detections)][:MAX_IMAGES]
    if not model.instances or not labelled:
        return None
    pairs, sizes = [], []
    for sample, scene in zip(labelled, model.results(sample.image for sample in labelled), strict=True):
        if scene.value is not None and scene.value.objects is not None and isinstance(sample.annotations, Detections):
            both = (sample.annotations, scene.value.objects)
            pairs.append(Pair(*(replace(one, labels=_numbered(one, names), classes=names) for one in both)))
            sizes.append(scene.size)
    hits = find_hits(pairs, names)
    thresholds = np.zeros(len(names), np.float32)  # every predicted object is shown
    return audit_kinds(hits.there, hits.seen(thresholds), np.array(sizes), shown=hits.found, right=hits.right)


def _numbered(found: Detections, names: tuple[str, ...]) -> np.ndarray:
    return np.array([names.index(name) for name in found.names], dtype=np.int64)


def _conditions(context: AuditContext) -> Finding:
    return checks.conditions(context, CorruptedSegmentations(context))


CHECKS: Mapping[str, Check] = {
    "groups": checks.groups,
    "objects": _objects,
    "slices": checks.slices,
    "conditions": _conditions,
}
"""Name -> check, in the order of the report."""
