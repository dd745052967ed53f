"""Constants of an ONNX graph, written again: temperatures, slopes, thresholds that lie inside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np


def set_constants(graph: Path, values: Mapping[str, np.ndarray]) -> bool:
    """Write other values into constants of an ONNX file; False, and nothing written, where it does not name them all.

    Args:
        graph: the file.
        values: name -> float array of the constant's shape.
    """
    import onnx
    from onnx import numpy_helper

    model = onnx.load(str(graph), load_external_data=False)
    known = {value.name: value for value in model.graph.initializer}
    if any(name not in known or tuple(known[name].dims) != array.shape for name, array in values.items()):
        return False
    for name, array in values.items():
        known[name].CopyFrom(numpy_helper.from_array(array.astype(np.float32), name))
    onnx.save(model, str(graph))
    return True
