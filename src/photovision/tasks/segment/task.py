"""The row of segmentation in the table of tasks."""

from __future__ import annotations

from typing import Any

from photovision.core.option import choice, sides
from photovision.core.task import NETWORK_OPTIONS, Task, TaskText


def fits(dataset: Any) -> bool:
    """Whether a data set is learned pixel by pixel: classes of pixels, or objects that mask files tell apart."""
    kind = dataset.annotation_type
    return bool(kind == "masks" or (kind == "boxes" and dataset.source == "masks"))


TASK = Task(
    name="segment",
    text=TaskText("segmenter", "segmenters", "the class of every pixel"),
    outputs=("classes", "depth", "embedding"),
    lead={"miou": "mean IoU", "dice": "Dice"},
    fit={"dice": (0.85, 0.6)},
    chance={"dice": 0.05},
    fits=fits,
    options={
        "export": frozenset({"compress"}),
        "train": NETWORK_OPTIONS,
        "optimize": frozenset({"int8", "bf16"}),
        "explain": frozenset({"method", "target", "boxes"}),
    },
    predict_options=(
        sides("tile", "Size of the tiles that the image is run through; default: as in training.", 32, 8192),
        choice(
            "masks",
            "The masks, as PNG files in base64 or as COCO's run lengths.",
            *("none", "png", "rle"),
            http_only=True,
        ),
    ),
    parts={
        "lines": "photovision.tasks.segment.lines:AreaLines",
        "files": "photovision.tasks.segment.lines:files",
        "wire": "photovision.tasks.segment.wire:MaskWire",
        "prepare": "photovision.tasks.segment.learn:prepare",
        "learn": "photovision.tasks.segment.learn:learn",
        "info": "photovision.tasks.segment.text:info_lines",
        "card": "photovision.tasks.segment.text:card_text",
        "page": "photovision.tasks.segment.page:answer",
        "mask": "photovision.tasks.segment.page:mask_file",
        "model": "photovision.tasks.segment.segmenter:Segmenter",
        "evaluate": "photovision.tasks.segment.evaluation:evaluate",
        "findings": "photovision.tasks.segment.evaluation_text:findings",
        "compare": "photovision.tasks.segment.comparison:compare",
        "comparable": "photovision.tasks.region_comparison:same_classes",
        "checks": "photovision.tasks.segment.checks:CHECKS",
        "explain": "photovision.tasks.segment.explain:explainer",
        "drift": "photovision.tasks.segment.drift:MaskDrift",
        "refit": "photovision.tasks.segment.refit:refit",
        "adapt": "photovision.tasks.segment.adapt:adapt",
        "adopt": "photovision.tasks.segment.layout:layouts",
        "returned": "photovision.tasks.segment.returned:outputs",
        "parity": "photovision.tasks.segment.parity:parity",
        "metadata": "photovision.tasks.segment.metadata:metadata",
        "network": "photovision.tasks.segment.network:network",
    },
    pyramid=True,
    annotation_type="masks",
    page="tasks/segment.js",
    min_images=10,
)
