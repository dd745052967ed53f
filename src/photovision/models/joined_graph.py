"""A graph that follows another one, written as one: what was learned on the outputs of a graph that stayed as it is.

The frozen part of a network was written when its features were needed; after the learning only the rest is traced.
"""

from __future__ import annotations

from pathlib import Path

from photovision.core.files import explained

_MARK = "upper/"


def join_graphs(lower: Path, upper: Path, target: Path) -> None:
    """Write one graph that runs `lower` and then `upper`.

    Args:
        lower: an ONNX file of `models.export.write_graph`.
        upper: another one, whose inputs are named as outputs of the lower one.
        target: of the graph from the inputs of the lower to the outputs of the upper one.
    """
    import onnx

    whole, rest = onnx.load(lower), onnx.load(upper).graph
    given = {value.name for value in whole.graph.output}
    wanted = {value.name for value in rest.input}
    assert wanted <= given, f"inputs {sorted(wanted)} of the upper graph, outputs {sorted(given)} of the lower one"
    public = wanted | {value.name for value in rest.output} | {""}  # "" is an input that was left out
    for constant in rest.initializer:
        constant.name = _MARK + constant.name
    for node in rest.node:
        node.name = _MARK + node.name
        node.input[:] = [name if name in public else _MARK + name for name in node.input]
        node.output[:] = [name if name in public else _MARK + name for name in node.output]
    whole.graph.node.extend(rest.node)
    whole.graph.initializer.extend(rest.initializer)
    del whole.graph.output[:]
    whole.graph.output.extend(rest.output)
    with explained(target):
        onnx.checker.check_model(whole)
        onnx.save(whole, target)
