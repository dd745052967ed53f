"""The contents of bundle.json: what the bundles of all tasks hold, and the one place where the file is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.core.files import write_json
from photovision.core.preprocess import Preprocess
from photovision.core.system import provenance
from photovision.runtime.bundle import VERSION
from photovision.runtime.graph_metadata import describe_graph

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def describe_model(
    task: str,
    classes: Sequence[str],
    preprocess: Preprocess,
    *,
    backbone: Mapping[str, Any],
    chosen: str,
    training: Mapping[str, Any],
    data: Mapping[str, Any],
    parity: Mapping[str, Any],
    licences: Sequence[DataclassInstance],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """What bundle.json says of a new model.

    Args:
        task: name of its row.
        classes: names, in the order of the graph's outputs.
        preprocess: how an image becomes the graph's input.
        backbone: "name", "weights", "params", "macs".
        chosen: name of the stage that was kept, or how else the model came about.
        training: the choices, or who trained it.
        data: of `TrainingSplits.describe`, or where the images come from.
        parity: how the graph compares with what was learned.
        licences: of its parts, see `photovision.models.weights.LedgerEntry`.
        facts: what only bundles of this task hold.
    """
    return {
        "format": "photovision",
        "version": VERSION,
        "task": task,
        "classes": list(classes),
        "preprocess": preprocess.to_json(),
        "backbone": dict(backbone),
        "chosen": chosen,
        "training": dict(training),
        "data": dict(data),
        "parity": dict(parity),
        "licences": [asdict(entry) for entry in licences],
        "provenance": provenance(),
        "metrics": {},
        **facts,
    }


def write_info(folder: Path, info: Mapping[str, Any]) -> None:
    """Write bundle.json into a folder, and what it says of the graph into the graph."""
    describe_graph(folder, info)
    write_json(folder / "bundle.json", dict(info))
