"""What an exported model says of itself: metadata in its file, and a README.md beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from photovision.core.markdown import harmless
from photovision.runtime.graph_metadata import INPUT

_INPUT = "`images`: uint8 RGB (N, {h}, {w}, 3), N free; mean and std are applied inside."


@dataclass(frozen=True)
class OutputMetadata:
    """What only the task knows of an exported graph; the part "metadata" of a task returns it for a model.

    Attributes:
        calibration: what the outputs are compared with to decide, JSON-ready: thresholds, temperature ...
        outputs: Markdown lines on the outputs, and on what is left to do with them.
        figures: names of metrics that are given, too, beside the leading ones of the task.
        entries: further metadata, name -> text.
    """

    calibration: Mapping[str, Any]
    outputs: Sequence[str]
    figures: Sequence[str] = ()
    entries: Mapping[str, str] = field(default_factory=dict)


def metadata(model: Any) -> OutputMetadata:
    """What the task of a model says of its graph."""
    found: OutputMetadata = model.bundle.row.part("metadata", "export")(model)
    return found


def description(model: Any) -> dict[str, str]:
    """name -> text, JSON where it is more than a word."""
    info, measured, own = model.info, model.info.get("metrics") or {}, metadata(model)
    names = dict.fromkeys((*model.bundle.row.lead, *own.figures))
    facts = {
        "classes": list(model.classes),
        "preprocess": {**info["preprocess"], "input": INPUT},
        "calibration": dict(own.calibration),
        "licences": info["licences"],
        "figures": {name: measured[name] for name in names if name in measured},
    }
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()}
    return {"producer": "photovision", "task": model.bundle.task, **own.entries, **texts}


def readme(model: Any, target: str) -> str:
    """How the exported files are used: inputs, outputs, and what is left to do."""
    height, width = model.preprocess.size
    named = [f"- {number}. {harmless(name)}" for number, name in enumerate(model.classes)]
    classes = ["## Classes", "", *named, ""] if named else []
    text = model.bundle.row.text.a_noun
    lines = [
        f"# {text[0].upper()}{text[1:]} made with Photovision, for {target}",
        "",
        "## Input",
        "",
        f"{_INPUT.format(h=height, w=width)} {_fit(model)} Interpolation: {model.preprocess.interpolation}, with"
        " antialiasing.",
        "",
        "## Outputs",
        "",
        *metadata(model).outputs,
        "",
        *classes,
    ]
    return "\n".join(lines)


def _fit(model: Any) -> str:
    """How an image becomes the input."""
    tile = getattr(model, "tile", None)
    if tile is not None:
        return f"It is made for tiles of {tile[0]} x {tile[1]} pixels of an image, squashed to this size."
    if model.preprocess.fit == "crop":
        return "The largest centred window of this shape is scaled to it."
    return "The whole image is squashed to this size."
