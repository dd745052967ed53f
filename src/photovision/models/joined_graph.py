"""A graph that follows another one, written as one: what was learned on the outputs of a graph that stayed as it is.

The frozen part of a network was written when its features were needed; after the learning only the rest is traced.
"""

from __future__ import annotations

from pathlib import Path

from photovision.core.files import explained

_MARK = "lower/"


def join_graphs(lower: Path, upper: Path, target: Path) -> None:
    """Write one graph that runs `lower` and then `upper`; constants of the upper one keep their names.

    Args:
        lower: an ONNX file of `models.export.write_graph`.
        upper: another one, whose inputs are named as outputs of the lower one.
        target: of the graph from the inputs of the lower to the outputs of the upper one.
    """
    import onnx

    whole, rest = onnx.load(lower), onnx.load(upper).graph
    joints = {value.name for value in rest.input}
    given = {value.name for value in whole.graph.output}
    assert joints <= given, f"inputs {sorted(joints)} of the upper graph, outputs {sorted(given)} of the lower one"
    taken = {name for node in rest.node for name in (*node.input, *node.output)} - joints - {""}  # "": left out
    taken |= {constant.name for constant in rest.initializer}
    for constant in whole.graph.initializer:
        constant.name = _apart(constant.name, taken)
    for node in whole.graph.node:
        node.name = _MARK + node.name
        node.input[:] = [_apart(name, taken) for name in node.input]
        node.output[:] = [_apart(name, taken) for name in node.output]
    whole.graph.node.extend(rest.node)
    whole.graph.initializer.extend(rest.initializer)
    del whole.graph.output[:], whole.graph.value_info[:]
    whole.graph.output.extend(rest.output)
    with explained(target):
        onnx.checker.check_model(whole)
        onnx.save(whole, target)


def _apart(name: str, taken: set[str]) -> str:
    return _MARK + name if name in taken else name
