"""Checks of an anomaly detector: which groups and conditions raise false alarms or hide defects.

Each is a function of the same `AuditContext`, whose evaluation is an `AnomalyEvaluation`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from photovision.core.drawing import percent
from photovision.core.report import Finding, Metric
from photovision.core.types import Image
from photovision.engine import checks
from photovision.engine.audit_context import AuditContext, Check
from photovision.engine.checks import Shown
from photovision.tasks.anomaly.detector import AnomalyDetector
from photovision.tasks.anomaly.heatmap import painted
from photovision.tasks.anomaly.prediction import Anomaly
from photovision.trust.metrics.detection import Vector, resamples

_N_BOOT = 100


@dataclass(frozen=True, eq=False)
class CorruptedGoodImages:
    """An `UnderCorruption` of an anomaly detector: the share of good images that are not called anomalous."""

    context: AuditContext
    max_images = 300
    left_out = ()

    @property
    def model(self) -> AnomalyDetector:
        """What is audited."""
        model: AnomalyDetector = self.context.model
        return model

    def views(self, rows: Sequence[int]) -> tuple[list[Image], list[bool]]:
        """Images as the network sees them, and whether each has a defect."""
        images = self.context.pixels(list(rows))
        return list(images), [bool(self.context.evaluation.bad[row]) for row in rows]

    def predict(self, images: Sequence[Image]) -> list[Anomaly]:
        """The predictions."""
        found = self.model.predict(list(images))
        assert isinstance(found, list)
        return found

    def measure(self, truth: Sequence[bool], name: str, severity: int, predicted: list[Anomaly]) -> dict[str, Vector]:
        """Good images called good, and images with defects found; see `UnderCorruption`."""
        weights, bad = resamples(len(truth), _N_BOOT, self.context.seed), np.array(truth)
        alarms = np.array([one.verdict == "anomalous" for one in predicted])
        found = {}
        for key, of, right in (("specificity", ~bad, ~alarms), ("recall", bad, alarms)):
            if of.any():
                found[key] = (weights @ (of & right)) / np.maximum(weights @ of, 1e-9)
        return found

    def example(self, rows: Sequence[int], truth: Sequence[bool]) -> int:
        """Position of the first good image."""
        return int(np.argmin(truth))

    def drawn(
        self, image: Image, truth: bool, predicted: Anomaly, name: str, severity: int, seed: tuple[int, int]
    ) -> Shown:
        """An image with its heat, and its verdict."""
        return painted(image, predicted.heatmap), f"{predicted.verdict} (p = {predicted.p:.3f})"


def _conditions(context: AuditContext) -> Finding:
    """What JPEG, light, blur and shift do to good images: a new line or camera may raise false alarms."""
    return checks.conditions(context, CorruptedGoodImages(context))


def _near_copies(context: AuditContext) -> Finding | None:
    """Images that score lower than nearly all good ones: near copies of training images flatter the figures."""
    evaluation = context.evaluation
    good = ~evaluation.bad
    if int(good.sum()) < 10:
        return None
    low = np.min([scores[0] for scores in evaluation.model.good.groups.values()])
    near = good & (evaluation.scores < low)
    share = Metric(float(near[good].mean()), n=int(good.sum()))
    if share.value < 0.2:
        return None
    warning = (
        f"{percent(share.value)} of the good images score below all good images of the training: they may be near"
        " copies of training images, and flatter the false alarms."
    )
    return Finding(metrics={"near_copies": share}, warnings=[warning])


CHECKS: Mapping[str, Check] = {
    "groups": checks.groups,
    "slices": checks.slices,
    "conditions": _conditions,
    "copies": _near_copies,
}
"""Name -> check, in the order of the report."""
