"""Opening a model of any task: what the bundle was made for decides what one gets."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from photovision.core.errors import UsageError
from photovision.runtime.bundle import Bundle, read_bundle
from photovision.runtime.session import Engine, Precision

KINDS = {
    "classify": "photovision.tasks.classify.recognizer:Recognizer",
    "detect": "photovision.tasks.detect.detector:Detector",
    "segment": "photovision.tasks.segment.segmenter:Segmenter",
    "cut": "photovision.tasks.cut.prompted_segmenter:Cutter",
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
            flag = f"--{choice.replace('_', '-')}"
            raise UsageError(f"'{choice}' ({flag}) cannot be used with a {name.lower()}: leave it out")
    return made(bundle, engine=engine, precision=precision, **choices)


NOUNS = {"classify": "classifier", "detect": "detector", "segment": "segmenter", "cut": "cutter"}
"""Task -> what a model of it is called."""


def opened(model: Any, verb: str, tasks: Sequence[str] = ("classify", "detect", "segment")) -> Any:
    """A model for a verb: one that is opened already, or the one in a folder, or a ready one by its name.

    Args:
        model: an opened model, or where it is.
        verb: such as "evaluate", for the message.
        tasks: of the models that the verb is for.

    Raises:
        ModelError: there is no model at the path.
        UsageError: the verb is not for such a model.
    """
    if isinstance(model, str | Path):
        from photovision.models.pretrained import bundle_at

        model = load(bundle_at(model))
    bundle = getattr(model, "bundle", None)
    if isinstance(bundle, Bundle) and bundle.task in tasks:
        return model
    made = f"a {NOUNS[bundle.task]}" if isinstance(bundle, Bundle) else type(model).__name__
    raise UsageError(f"'{verb}' is for a model that is a {' or a '.join(NOUNS[task] for task in tasks)}, got {made}")
