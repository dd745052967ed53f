"""The row of object detection in the table of tasks."""

from __future__ import annotations

from photovision.core.option import share, sides
from photovision.core.task import NETWORK_OPTIONS, Task, TaskText

TASK = Task(
    name="detect",
    text=TaskText("detector", "detectors", "boxes around objects", "photovision detect"),
    outputs=("boxes", "scores", "embedding"),
    lead={"map": "mean average precision", "map50": "mean average precision at an IoU of 0.5"},
    fit={"recall_shown": (0.85, 0.5), "precision_shown": (0.85, 0.5)},
    chance={"map50": 0.02},
    fits=lambda dataset: bool(dataset.annotation_type == "boxes"),
    options={
        "optimize": frozenset({"int8", "bf16"}),
        "predict": frozenset({"overlap"}),
        "load": frozenset({"threshold"}),
        "export": frozenset({"compress"}),
        "train": NETWORK_OPTIONS,
        "explain": frozenset({"method", "target", "boxes", "truth", "data"}),
    },
    predict_options=(
        share("threshold", "Lowest score of a box; default: the model's, one a class."),
        sides("tile", "Also run on overlapping tiles of H or HxW pixels, to find small objects.", 32, 8192),
    ),
    parts={
        "lines": "photovision.tasks.detect.lines:BoxLines",
        "draw": "photovision.core.boxes:draw_regions",
        "wire": "photovision.tasks.detect.wire:BoxWire",
        "prepare": "photovision.tasks.detect.learn:prepare",
        "learn": "photovision.tasks.detect.learn:learn",
        "info": "photovision.tasks.detect.text:info_lines",
        "card": "photovision.tasks.detect.text:card_text",
        "page": "photovision.tasks.detect.page:answer",
        "model": "photovision.tasks.detect.detector:Detector",
        "evaluate": "photovision.tasks.detect.evaluation:evaluate",
        "findings": "photovision.tasks.detect.evaluation_text:findings",
        "compare": "photovision.tasks.detect.comparison:compare",
        "comparable": "photovision.tasks.region_comparison:same_classes",
        "checks": "photovision.tasks.detect.checks:CHECKS",
        "explain": "photovision.tasks.detect.explain:explainer",
        "calibrate": "photovision.tasks.detect.calibrate:calibrate",
        "refit": "photovision.tasks.detect.refit:refit",
        "adapt": "photovision.tasks.detect.adapt:adapt",
        "adopt": "photovision.tasks.detect.layout:layouts",
        "returned": "photovision.tasks.detect.returned:outputs",
        "drift": "photovision.tasks.detect.drift:BoxDrift",
        "parity": "photovision.tasks.detect.parity:parity",
        "metadata": "photovision.tasks.detect.metadata:metadata",
        "network": "photovision.tasks.detect.network:network",
    },
    needs=("thresholds",),
    min_classes=1,
    pyramid=True,
    annotation_type="boxes",
    page="tasks/detect.js",
    page_options={"threshold": 0.05},  # the page hides what a person does not want to see
    min_images=10,
)
