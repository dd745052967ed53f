"""A promise of false alarms fitted to new good images: another camera, other light, a new season."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.drawing import percent
from photovision.core.errors import DataError
from photovision.core.phrases import count
from photovision.core.progress import ProgressCallback
from photovision.core.report import Metric, Report
from photovision.core.system import provenance
from photovision.data.dataset import Dataset
from photovision.engine.calibrate import Calibration
from photovision.tasks.anomaly.detector import AnomalyDetector, facts_of
from photovision.tasks.anomaly.evaluation import AnomalyEvaluation, evaluate
from photovision.tasks.anomaly.learning import MIN_PICTURES
from photovision.tasks.anomaly.threshold import GoodScores
from photovision.trust.metrics.statistics import proportion


def calibrate(
    model: AnomalyDetector, dataset: Dataset, *, seed: int = 0, progress: ProgressCallback | None = None
) -> Calibration:
    """Fit the threshold to good images that the bank does not hold (split-conformal).

    Args:
        model: the detector.
        dataset: images with labels; only the good ones are used.
        seed: not needed: nothing is drawn.
        progress: called with (images done, N).

    Raises:
        DataError: too few good images.
        UsageError: too few of them carry the promised rate.
    """
    evaluation = evaluate(model, dataset, progress=progress)
    good = np.flatnonzero(~evaluation.bad)
    if len(good) < MIN_PICTURES:
        raise DataError(
            f"calibrating an anomaly detector needs at least {MIN_PICTURES} good images, got {len(good)}: add more"
        )
    part = evaluation.at(good)
    facts = {**model.info["anomaly"], **_fitted(model, part)}
    return Calibration(_report(model, part, dataset), len(good), _Change(facts), "The promised false alarms")


class _Change:
    """Fits a copy of the bundle: its description alone changes."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self._facts = facts

    def __call__(self, folder: Path) -> dict[str, Any]:
        return {"anomaly": dict(self._facts)}


def _fitted(model: AnomalyDetector, part: AnomalyEvaluation) -> dict[str, Any]:
    group_by = model.info["anomaly"].get("group_by")
    names = None if group_by is None else [sample.groups.get(group_by, "") for sample in part.samples]
    heat = np.array([float(heat.max()) for heat in part.heatmaps]) * model.heat_limit
    return facts_of(GoodScores.of(part.scores, names), heat, model.false_alarms)


def _report(model: AnomalyDetector, part: AnomalyEvaluation, dataset: Dataset) -> Report:
    """False alarms before, and after by leaving each image out: of n images it is allowed `rate` x n."""
    n, rate = len(part.samples), model.false_alarms
    before = Metric(*proportion(int(part.alarms.sum()), n), n)
    order = np.argsort(np.argsort(-part.scores, kind="stable"), kind="stable")
    after = Metric(*proportion(int(((order + 1) / n <= rate).sum()), n), n)
    return Report(
        kind="calibrate",
        title="promised false alarms, fitted to new good images",
        summary=(
            f"Of {count(n, 'good image')} {percent(before.value)} were called anomalous before, and"
            f" {percent(after.value)} are now; at most {percent(rate)} is promised.",
        ),
        metrics={"false_alarms_before": before, "false_alarms": after},
        provenance={
            "data": {"fingerprint": dataset.fingerprint, "pictures": len(dataset), "source": dataset.source},
            **provenance(),
        },
        data={"task": "anomaly"},
    )
