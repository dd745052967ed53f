"""The row of segmentation in the table of tasks."""

from __future__ import annotations

from photovision.core.task import Task, TaskText

TASK = Task(
    name="segment",
    text=TaskText("segmenter", "segmenters", "the class of every pixel", "photovision segment"),
    outputs=("classes", "depth"),
    lead={"miou": "mean IoU", "dice": "Dice"},
    options={"explain": frozenset({"method", "target", "boxes"})},
    parts={
        "model": "photovision.tasks.segment.segmenter:Segmenter",
        "evaluate": "photovision.tasks.segment.evaluation:evaluate",
        "findings": "photovision.tasks.segment.evaluation_text:findings",
        "compare": "photovision.tasks.segment.comparison:compare",
        "comparable": "photovision.tasks.region_comparison:same_classes",
        "checks": "photovision.tasks.segment.checks:CHECKS",
        "explain": "photovision.tasks.segment.explain:explainer",
        "optimize": "photovision.deploy.optimize_regions:optimize_regions",
        "parity": "photovision.tasks.segment.parity:segment_parity",
        "metadata": "photovision.tasks.segment.metadata:segment_metadata",
        "network": "photovision.tasks.segment.network:segment_network",
    },
)
