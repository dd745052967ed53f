"""What an exported model says of itself: metadata in its file, and a README.md beside it."""

from __future__ import annotations

import json
from typing import Any

from photovision.core.markdown import harmless
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter

Model = Recognizer | Detector | Segmenter
_FIGURES = ("accuracy", "map", "map50", "miou", "dice", "ece", "coverage")
_INPUT = "`images`: uint8 RGB (N, {h}, {w}, 3), N free; mean and std are applied inside."


def description(model: Model) -> dict[str, str]:
    """name -> text, JSON where it is more than a word."""
    info, figures = model.info, model.info.get("metrics") or {}
    told = {
        "classes": list(model.classes),
        "preprocess": {**info["preprocess"], "input": "uint8 RGB (N, H, W, 3); mean and std are applied in the graph"},
        "calibration": _calibration(model),
        "licences": info["licences"],
        "figures": {name: figures[name] for name in _FIGURES if name in figures},
    }
    plain = {"producer": "photovision", "task": str(info["task"])}
    if isinstance(model, Recognizer):
        plain["multilabel"] = json.dumps(model.multilabel)
    return {**plain, **{name: json.dumps(value, ensure_ascii=False) for name, value in told.items()}}


def readme(model: Detector | Segmenter, target: str) -> str:
    """How the files of a detector or a segmenter are used: inputs, outputs, and what is left to do."""
    height, width = model.preprocess.size
    fit = "The whole picture is squashed to this size."
    if isinstance(model, Segmenter) and model.tile is not None:
        fit = f"It is made for windows of {model.tile[0]} x {model.tile[1]} pixels of a picture, squashed to this size."
    elif model.preprocess.fit == "crop":
        fit = "The largest centred window of this shape is scaled to it."
    body = _boxes(model) if isinstance(model, Detector) else _places(model)
    classes = [f"{number}. {harmless(name)}" for number, name in enumerate(model.classes)]
    lines = [
        f"# A {type(model).__name__.lower()} made with Photovision, for {target}",
        "",
        "## Input",
        "",
        f"{_INPUT.format(h=height, w=width)} {fit} Interpolation: {model.preprocess.interpolation}, with antialiasing.",
        "",
        "## Outputs",
        "",
        *body,
        "",
        "## Classes",
        "",
        *(f"- {line}" for line in classes),
        "",
    ]
    return "\n".join(lines)


def _calibration(model: Model) -> dict[str, Any]:
    if isinstance(model, Detector):
        return {"thresholds": model.info["thresholds"], "iou": model.iou}
    found = {name: model.info.get(name) for name in ("temperature", "thresholds")}
    if isinstance(model, Recognizer) and model.doubt is not None:
        sets = {"coverage": model.doubt.coverage, "least_probability": model.doubt.thresholds.tolist()}
        found["prediction_sets"] = sets
    return found


def _boxes(model: Detector) -> list[str]:
    limits = ", ".join(f"{value:.3g}" for value in model.info["thresholds"][:20])
    more = ", ..." if len(model.classes) > 20 else ""
    return [
        "- `boxes`: float32 (N, K, 4), x1, y1, x2, y2 in pixels of the input; scale them by the picture's sides.",
        f"- `scores`: float32 (N, K, {len(model.classes)}), the probability of every class at each of K places.",
        "",
        "Places are not yet objects. What is left to do, class by class: keep places whose score reaches the class's"
        f" threshold ({limits}{more}), then of boxes that overlap by more than {model.iou:g} (intersection over union)"
        " keep the most probable one.",
    ]


def _places(model: Segmenter) -> list[str]:
    depth = [
        "- `depth`: float32 (N, 1, h, w), 0 at an object's edge to 1 in its middle: objects are what is left of the"
        " foreground around places deeper than .5 (watershed)."
    ]
    return [
        f"- `classes`: float32 (N, {len(model.classes)}, h, w), probabilities that sum to 1 at every place; the most"
        " probable one is the class. Enlarge them bilinearly to the picture.",
        *(depth if model.instances else []),
    ]
