"""The row of segmentation in the table of tasks."""

from __future__ import annotations

from photovision.core.task import Task, TaskText

TASK = Task(
    name="segment",
    text=TaskText("segmenter", "segmenters", "the class of every pixel", "photovision segment"),
    outputs=("classes", "depth"),
    lead={"miou": "mean IoU", "dice": "Dice"},
    parts={
        "model": "photovision.tasks.segment.segmenter:Segmenter",
        "evaluate": "photovision.tasks.segment.evaluation:evaluate_masks",
        "compare": "photovision.tasks.compare_regions:compare_masks",
        "evaluation": "photovision.tasks.segment.evaluation:judge",
        "report": "photovision.tasks.segment.evaluation:judged_report",
        "checks": "photovision.tasks.segment.checks:CHECKS",
        "explain": "photovision.tasks.explain_boxes:explain_boxes",
        "explain_boxes": "photovision.tasks.explain_boxes:explain_boxes",
        "optimize": "photovision.deploy.optimize_regions:optimize_regions",
        "parity": "photovision.tasks.segment.parity:segment_parity",
        "metadata": "photovision.tasks.segment.metadata:segment_metadata",
        "network": "photovision.tasks.segment.network:segment_network",
    },
)
