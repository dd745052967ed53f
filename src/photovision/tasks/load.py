"""Opening a model of any task: what the bundle was made for decides what one gets."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from photovision.core.errors import UsageError
from photovision.runtime.bundle import read_bundle
from photovision.runtime.session import Engine, Precision

KINDS = {
    "classify": "photovision.tasks.recognizer:Recognizer",
    "detect": "photovision.runtime.detector:Detector",
    "segment": "photovision.runtime.segmenter:Segmenter",
    "cut": "photovision.runtime.cutter:Cutter",
}
"""Task of a bundle -> what answers with it."""


def load(
    path: str | Path,
    *,
    engine: Engine = "auto",
    precision: Precision | None = None,
    coverage: float | None = None,
    false_alarms: float | None = None,
    threshold: float | None = None,
) -> Any:
    """Open a bundle: a `Recognizer`, a `Detector`, a `Segmenter` or a `Cutter`, by what the model was made for.

    Args:
        path: a folder that 'photovision train' wrote.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.
        coverage, false_alarms: of a `Recognizer`.
        threshold: of a `Detector`: the least score of a box.

    Raises:
        ModelError: it is missing, foreign, damaged or too new.
        UsageError: an argument is not one of such models, or out of its range.
    """
    bundle = read_bundle(path)
    module, name = KINDS[bundle.task].split(":")
    made = getattr(import_module(module), name)
    known = made.__init__.__kwdefaults__ or {}
    asked = {"coverage": coverage, "false_alarms": false_alarms, "threshold": threshold}
    choices = {choice: value for choice, value in asked.items() if value is not None}
    for choice in choices:
        if choice not in known:
            raise UsageError(f"a {name.lower()} has no '{choice}': choose among {', '.join(known)}")
    return made(bundle, engine=engine, precision=precision, **choices)
