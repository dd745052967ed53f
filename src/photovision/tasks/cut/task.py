"""The row of interactive segmentation in the table of tasks."""

from __future__ import annotations

from photovision.core.task import Task, TaskText

TASK = Task(
    name="cut",
    text=TaskText("prompted segmenter", "prompted segmenters", "the mask of what is clicked", "photovision cut"),
    outputs=(),
    parts={"model": "photovision.tasks.cut.prompted_segmenter:Cutter"},
    min_classes=1,
)
