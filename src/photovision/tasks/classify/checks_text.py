"""What the checks of a classifier's labels and explanations found, in words, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence

from photovision.core.drawing import percent
from photovision.core.phrases import count
from photovision.core.report import Finding, Metric, Table
from photovision.core.thumbnail import picture_grid
from photovision.tasks.classify.evaluation import ClassifyEvaluation
from photovision.trust.explain.faithfulness import FaithfulnessTest
from photovision.trust.labels.label_errors import LabelErrors
from photovision.trust.metrics.statistics import proportion

_SUSPECTS_SHOWN = 24
_FAITHFUL = 0.75  # the share of maps that pass, below which nobody should rely on them untested


def labels(found: LabelErrors, answers: ClassifyEvaluation) -> Finding:
    """Labels that are probably wrong: metric `label_error_rate`, the worst of them shown."""
    names, samples = answers.classes, answers.samples
    metrics = {"label_error_rate": Metric(*found.share, len(samples))}
    if not found.shown:
        return Finding((f"The labels of {count(len(samples), 'image')} show no errors beyond chance.",), metrics)
    total = count(len(found.suspects), "label")
    are = "is" if len(found.suspects) == 1 else "are"
    rows = found.suspects[:_SUSPECTS_SHOWN].tolist()
    captions = [
        f"label: {names[int(answers.truth[row])]}\nlooks like: {names[int(found.suggested[row])]}\n{samples[row].id}"
        for row in rows
    ]
    note = f"{len(rows)} of {total} that {are} more probably wrong than right, as this model sees them."
    grid = picture_grid("Suspicious labels", [samples[row] for row in rows], captions, note)
    summary = (
        f"{total} of {len(samples):,} {are} more probably wrong than right; look at them before you rely on the"
        " figures."
    )
    suspects = [
        {"id": samples[row].id, "suggested": names[int(found.suggested[row])]} for row in found.suspects.tolist()
    ]
    return Finding((summary,), metrics, figures=[grid] if grid else [], data={"suspicious_labels": suspects})


def explanations(found: Sequence[FaithfulnessTest], method: str, orders: int) -> Finding:
    """How often heatmaps beat random orders: metric `faithful_maps`, the share that passes both tests.

    Args:
        found: the tests of maps of correct predictions, at least one.
        method: the explainer.
        orders: random orders that each map was compared with.
    """
    n = len(found)
    both = Metric(*proportion(sum(one.beats_insertion and one.beats_deletion for one in found), n), n)
    insertion, deletion = [one.beats_insertion for one in found], [one.beats_deletion for one in found]
    table = Table(
        "Explanations",
        ("test", "better than random order"),
        tuple(
            (name, Metric(*proportion(sum(better), n), n))
            for name, better in (("insertion", insertion), ("deletion", deletion))
        ),
        f"Heatmaps of the default explainer ({method}) for correct predictions, against {orders} random orders each.",
    )
    summary = f"Heatmaps ({method}) beat random order in both tests on {percent(both.value)} of {count(n, 'image')}."
    warning = f"Heatmaps by {method} are often no better than chance for this model: check the test of each."
    poor = both.high is not None and both.high < _FAITHFUL
    return Finding((summary,), {"faithful_maps": both}, [table], warnings=[warning] if poor else [])
