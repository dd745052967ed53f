"""Two anomaly detectors on the same images: AUROC by kind of defect, and the images on which they differ."""

from __future__ import annotations

from photovision.core.report import Finding, Table
from photovision.engine.evaluation import Comparison
from photovision.tasks.anomaly.evaluation import AnomalyEvaluation


def compare(a: AnomalyEvaluation, b: AnomalyEvaluation) -> Comparison:
    """See `engine.evaluation.Comparison`; the interval of the AUROC decides, or of the false alarms of good images."""
    kinds_a, kinds_b = a.by_kind(), b.by_kind()
    rows = tuple((kind, kinds_a[kind], kinds_b[kind]) for kind in kinds_a if kind in kinds_b)
    table = Table("AUROC by kind of defect", ("kind", "A", "B"), rows)
    differ = [
        {"id": sample.id, "kind": kind, "a": bool(first), "b": bool(second)}
        for sample, kind, first, second in zip(a.samples, a.kinds, a.alarms, b.alarms, strict=True)
        if first != second
    ]
    finding = Finding(tables=[table] if rows else [], data={"verdicts_that_differ": differ})
    return Comparison(a.gains(b), finding=finding)
