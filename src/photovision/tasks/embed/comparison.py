"""Two embedding models on the same queries: McNemar's test of recall@1, and what only one of them finds first."""

from __future__ import annotations

import numpy as np

from photovision.core.phrases import count
from photovision.core.report import Finding, Metric
from photovision.engine.evaluation import Comparison
from photovision.tasks.embed.evaluation import RetrievalEvaluation
from photovision.trust.metrics.statistics import detectable_difference, mcnemar


def compare(a: RetrievalEvaluation, b: RetrievalEvaluation) -> Comparison:
    """See `engine.evaluation.Comparison`."""
    n, flips = len(a.samples), mcnemar(a.right, b.right)
    differ = [
        {"id": a.samples[row].id, "class": a.labels[row], "a": bool(a.right[row]), "b": bool(b.right[row])}
        for row in np.flatnonzero(a.right != b.right).tolist()
    ]
    sentence = (
        f"Of {count(flips.only_b, 'picture')} only B finds one of the class first, of {flips.only_a:,} only A"
        f" (McNemar's exact test: p = {flips.p:.2g})."
    )
    finding = Finding((sentence,), {"mcnemar_p": Metric(flips.p, n=n, unit="")}, data={"queries_that_differ": differ})
    return Comparison(a.gains(b), flips.p, detectable_difference(flips, n), finding)
