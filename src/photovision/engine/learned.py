"""What a task has learned, and how it becomes a bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from photovision.core.preprocess import Preprocess
from photovision.core.report import Report
from photovision.engine.stage import StageResult
from photovision.models.weights import LedgerEntry
from photovision.runtime.bundle import Bundle

Info = Mapping[str, Any]
"""The contents of bundle.json."""


def nothing_more(bundle: Bundle) -> dict[str, Any]:
    """Of a task that learns nothing from the exported graph."""
    return {}


def as_evaluated(info: Info, proof: Report) -> Report:
    """Of a task whose report of a training is its evaluation."""
    return proof


@dataclass(frozen=True, eq=False)
class Learned:
    """What a task's part "learn" returns; the bundle writer calls its functions in the order they stand here.

    Attributes:
        classes: names, in the order of the graph's outputs.
        preprocess: how an image becomes the graph's input.
        backbone: of bundle.json: "name" and "weights"; see `photovision.models.backbones.Backbone.describe`.
        licences: of the parts.
        stages: all that were learned, with their figures on test where they were measured, which of the chosen one
            is done by the writer.
        chosen: name of the stage to keep.
        facts: what only bundles of this task hold.
        export: writes `model.onnx`, and weights where there are some, into a folder; returns how the graph compares
            with what was learned, JSON-ready. Raises ExportError where it decides otherwise.
        complete: learns the rest from the answers of the exported graph (a gate, thresholds) and writes its files into
            the bundle's folder; returns more facts, among them "accuracy_by_similarity" where it is fitted to other
            predictions than those of the exported graph. Changes to the entries of info["rungs"] stay.
        report: of the training, from the contents of bundle.json and the evaluation on test.
        prove: the report of a training whose model does not predict, and so cannot be evaluated: from the opened model.
    """

    classes: Sequence[str]
    preprocess: Preprocess
    backbone: Mapping[str, Any]
    licences: Sequence[LedgerEntry]
    stages: Sequence[StageResult]
    chosen: str
    export: Callable[[Path], Mapping[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    complete: Callable[[Bundle], Mapping[str, Any]] = nothing_more
    report: Callable[[Info, Report], Report] = as_evaluated
    prove: Callable[[Any], Report] | None = None
