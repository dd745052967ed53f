"""What the graph file of a bundle says of itself, so that it can be used without the files around it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from photovision.core.task import task

GRAPH = "model.onnx"
INPUT = "uint8 RGB (N, H, W, 3); mean and std are applied in the graph"
_SCALARS = (str, int, float, bool, list)


def graph_metadata(info: Mapping[str, Any]) -> dict[str, str]:
    """name -> text, JSON where it is more than a word: task, classes, preprocessing and calibration.

    Args:
        info: what bundle.json holds.
    """
    needs = task(info["task"]).needs
    names = [name for name in (*needs, "thresholds") if isinstance(info.get(name), _SCALARS)]
    facts = {
        "classes": list(info["classes"]),
        "preprocess": {**info["preprocess"], "input": INPUT},
        "calibration": {name: info[name] for name in names},
    }
    texts = {name: json.dumps(value, ensure_ascii=False) for name, value in facts.items()}
    return {"producer": "photovision", "task": str(info["task"]), **texts}


def describe_graph(folder: Path, info: Mapping[str, Any]) -> None:
    """Write that into the graph of a bundle in the making, as `metadata_props`; nothing where it has no graph."""
    import onnx

    path = folder / GRAPH
    if not path.is_file():
        return
    graph = onnx.load(str(path), load_external_data=False)
    wanted = graph_metadata(info)
    if {entry.key: entry.value for entry in graph.metadata_props} != wanted:
        onnx.helper.set_model_props(graph, wanted)
        onnx.save(graph, str(path))
