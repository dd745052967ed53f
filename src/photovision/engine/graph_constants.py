"""Constants of an ONNX graph, written again or added: temperatures, slopes, thresholds, shifts that lie inside it."""

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


def shift_output(graph: Path, output: str, shift: np.ndarray, name: str) -> bool:
    """Add a constant to one output of an ONNX file, before all that the graph computes from it.

    Args:
        graph: the file.
        output: float (N, C), by its name.
        shift: float (C,), added to every row; on top of an earlier one of the same name.
        name: of the constant.

    Returns:
        False, and nothing written, where the graph has no such output.
    """
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.load(str(graph), load_external_data=False)
    nodes, constants = model.graph.node, {value.name: value for value in model.graph.initializer}
    place = next((k for k, node in enumerate(nodes) if output in node.output), None)
    if place is None:
        return False
    if name in constants:
        shift = shift + numpy_helper.to_array(constants[name])
        constants[name].CopyFrom(numpy_helper.from_array(shift.astype(np.float32), name))
    else:
        before = f"{output}_before_{name}"
        nodes[place].output[:] = [before if one == output else one for one in nodes[place].output]
        nodes.insert(place + 1, helper.make_node("Add", [before, name], [output]))
        model.graph.initializer.append(numpy_helper.from_array(shift.astype(np.float32), name))
    onnx.save(model, str(graph))
    return True
