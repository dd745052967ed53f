"""A graph that somebody else exported: read as data, checked, and asked what it takes and gives.

It may come from a stranger. The file is one whole ONNX message without weights in other files; nothing in it is code.
What its outputs mean is not read from their names, but from their shapes and from what they are for a few inputs.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.types import Floats
from photovision.runtime.check_onnx import first_line, read_graph

PREFIX = "adopted/"
"""What the names inside a foreign graph begin with once it is part of one of ours."""
NOT_ONNX = {
    ".pt": "torch",
    ".pth": "torch",
    ".ckpt": "torch",
    ".bin": "torch",
    ".pkl": "pickle",
    ".pickle": "pickle",
    ".joblib": "pickle",
    ".h5": "Keras",
    ".keras": "Keras",
    ".pb": "TensorFlow",
    ".tflite": "TensorFlow Lite",
    ".engine": "TensorRT",
}
"""Suffixes of files that are not opened, and whose they are."""
_OLDEST = 11  # version of the operators from which on all that is added means the same
_TYPES: dict[int, np.dtype[Any]] = {1: np.dtype(np.float32), 2: np.dtype(np.uint8), 10: np.dtype(np.float16)}
_MOST_NAMES, _LONGEST = 20_000, 200


@dataclass(frozen=True, eq=False)
class ForeignGraph:
    """A graph that takes pictures.

    Attributes:
        name: of the file, or what else it was made from.
        model: the ONNX model; its names begin with `PREFIX`.
        input: name of its input.
        dtype: of the input: float32, float16 or uint8.
        channels_last: whether pictures are (N, H, W, 3) rather than (N, 3, H, W).
        size: (H, W) of the input, None for a side that is free.
        alone: whether it takes one picture at a time.
        stated: the preprocessing that its origin states, or None.
        channels: order of the colours that its origin states, "rgb" or "bgr"; "" where it states none.
        classes: names that the file or its origin states; () where it states none.
        sha256: of the file.
        facts: more that bundle.json should hold of it.
    """

    name: str
    model: Any
    input: str
    dtype: np.dtype[Any]
    channels_last: bool
    size: tuple[int | None, int | None]
    alone: bool
    stated: Preprocess | None = None
    channels: str = ""
    classes: tuple[str, ...] = ()
    sha256: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> list[str]:
        """Names of its outputs, in order."""
        return [one.name for one in self.model.graph.output]

    @property
    def parameters(self) -> int:
        """Numbers that are stored in it."""
        return int(sum(np.prod(one.dims, dtype=np.int64) for one in self.model.graph.initializer))

    def producer(self, name: str) -> Any:
        """The node that gives a value; None for inputs and constants."""
        return next((node for node in self.model.graph.node if name in node.output), None)

    @property
    def constants(self) -> frozenset[str]:
        """Names of the values that are stored in it."""
        nodes = (node.output[0] for node in self.model.graph.node if node.op_type == "Constant")
        return frozenset((*(one.name for one in self.model.graph.initializer), *nodes))

    def run(self, pixels: Floats, names: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Its outputs, and other values inside it, for prepared pixels float32 (N, H, W, 3)."""
        return run(self.model, {self.input: self.arranged(pixels)}, [*self.outputs, *names])

    def arranged(self, pixels: Floats) -> np.ndarray:
        """Pixels float32 (N, H, W, 3) in the order and type of the input."""
        turned = pixels if self.channels_last else pixels.transpose(0, 3, 1, 2)
        if self.dtype == np.uint8:
            turned = np.clip(np.round(turned), 0, 255)
        return np.ascontiguousarray(turned, self.dtype)


def read_foreign(path: Path) -> ForeignGraph:
    """Read an ONNX file that takes pictures.

    Raises:
        ModelError: it is no whole ONNX file, has weights in other files, or takes something else than pictures alone.
        UsageError: it is a file of another program.
    """
    owner = NOT_ONNX.get(path.suffix.lower())
    if owner is not None:
        pickled = ", which can run code of its maker when it is opened" if owner in ("torch", "pickle") else ""
        raise UsageError(
            f"{path.name} is a file of {owner}{pickled}: export the model to ONNX (with torch:"
            " torch.onnx.export(model, pictures, 'model.onnx')), and give that"
        )
    import onnx

    content = read_graph(path)
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf's errors have no common root with onnx's
        raise ModelError(f"{path} is no valid ONNX file ({first_line(error)}): export the model again") from None
    return foreign(model, path.name, hashlib.sha256(content).hexdigest())


def foreign(model: Any, name: str, sha256: str) -> ForeignGraph:
    """The graph of a checked ONNX model; raises ModelError as `read_foreign`."""
    from onnx import compose

    version = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    if version < _OLDEST:
        raise ModelError(f"{name} is of ONNX's operators {version}, {_OLDEST} or later are needed: export it again")
    metadata = {one.key: one.value for one in model.metadata_props}
    model = compose.add_prefix(model, PREFIX)
    stored = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in stored]
    if len(inputs) != 1:
        names = ", ".join(one.name.removeprefix(PREFIX) for one in inputs)
        raise ModelError(f"{name} should take pictures alone, but it has {len(inputs)} inputs ({names}): export it so")
    shape = _shape(inputs[0])
    dtype = _TYPES.get(inputs[0].type.tensor_type.elem_type)
    if shape is None or len(shape) != 4 or dtype is None or not {shape[1], shape[3]} & {3, None}:
        raise ModelError(
            f"{name} should take pictures, float or uint8 (N, 3, H, W) or (N, H, W, 3), but its input is"
            f" {_described(inputs[0], shape)}: export it so"
        )
    last = shape[1] != 3 and shape[3] == 3
    size = (shape[1], shape[2]) if last else (shape[2], shape[3])
    found = ForeignGraph(name, model, inputs[0].name, dtype, last, size, shape[0] == 1, sha256=sha256)
    return replace(found, classes=_names(metadata), size=_size(metadata, size))


def with_free_batch(found: ForeignGraph, size: tuple[int, int]) -> ForeignGraph:
    """The same graph for any number of pictures, where that can be had; else for one picture at a time.

    A graph that was exported for one picture has its number in constants of reshapes. They are changed, and what comes
    out is compared: two pictures at once must give what each gives alone.

    Args:
        found: the graph.
        size: (H, W) of its input.
    """
    pixels = np.random.default_rng(0).uniform(0, 1, (2, *size, 3)).astype(np.float32)
    for candidate in ([found] if not found.alone else []) + [_freed(found)]:
        try:
            both, one, other = (candidate.run(part) for part in (pixels, pixels[:1], pixels[1:]))
        except ModelError:
            continue
        joined = {name: _joined(one[name], other[name]) for name in both}
        if all(value is not None and _alike(value, both[name]) for name, value in joined.items()):
            return replace(candidate, alone=False)
    return replace(found, model=_single(found.model, found.input), alone=True)


def run(model: Any, inputs: Mapping[str, np.ndarray], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Values of an ONNX model by name, also such that are no outputs; raises ModelError where it cannot be run."""
    import onnx
    import onnxruntime

    known = [one.name for one in model.graph.output]
    added = [name for name in dict.fromkeys(names) if name not in known]
    if added:
        whole = onnx.ModelProto()
        whole.CopyFrom(model)
        whole.graph.output.extend(onnx.ValueInfoProto(name=name) for name in added)
        model = whole
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        values = session.run([*known, *added], dict(inputs))
    except Exception as error:  # the library's errors have no root of their own
        raise ModelError(f"the graph cannot be run ({first_line(error)}): export it again") from None
    return dict(zip([*known, *added], values, strict=True))


def _freed(found: ForeignGraph) -> ForeignGraph:
    """With a free number of pictures, and reshapes that follow it."""
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto()
    model.CopyFrom(found.model)
    graph = model.graph
    del graph.value_info[:]
    for one in (*graph.input, *graph.output):
        dims = one.type.tensor_type.shape.dim
        if (one.name == found.input or one.name in found.outputs) and len(dims):
            dims[0].dim_param = "batch"
    stored = {one.name: one for one in graph.initializer}
    constant = {node.output[0]: node for node in graph.node if node.op_type == "Constant"}
    for node in graph.node:
        if node.op_type != "Reshape":
            continue
        name = node.input[1]
        if name in constant:
            stored[name] = constant[name].attribute[0].t
        if name not in stored:
            continue
        shape = numpy_helper.to_array(stored[name]).copy()
        if len(shape) and shape[0] == 1:
            shape[0] = 0 if (shape == -1).any() else -1
            # Another node may use the same constant for something else.
            own = f"{PREFIX}free/{node.output[0]}"
            graph.initializer.append(numpy_helper.from_array(shape, own))
            node.input[1] = own
    return replace(found, model=model, alone=False)


def _single(model: Any, name: str) -> Any:
    import onnx

    one = onnx.ModelProto()
    one.CopyFrom(model)
    for value in one.graph.input:
        if value.name == name:
            value.type.tensor_type.shape.dim[0].dim_value = 1
    return one


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray | None:
    if one.ndim == 0 or one.shape[0] != 1 or other.shape != one.shape:
        return None
    return np.concatenate([one, other])


def _alike(one: np.ndarray, other: np.ndarray) -> bool:
    if one.shape != other.shape:
        return False
    spread = float(np.abs(one.astype(np.float64)).max(initial=0))
    return bool(np.allclose(one, other, rtol=1e-3, atol=1e-3 * max(spread, 1e-3)))


def _shape(value: Any) -> list[int | None] | None:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return None
    return [dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim]


def _described(value: Any, shape: list[int | None] | None) -> str:
    from onnx import TensorProto

    kind = TensorProto.DataType.Name(value.type.tensor_type.elem_type).lower()
    sides = "unknown" if shape is None else ", ".join("free" if side is None else str(side) for side in shape)
    return f"{kind} ({sides})"


def _names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Class names that Ultralytics' exports state, as the text of a Python mapping."""
    text = metadata.get("names", "")
    if not text or len(text) > _MOST_NAMES * _LONGEST:
        return ()
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if isinstance(value, dict):
        value = [value.get(number) for number in range(len(value))]
    fits = isinstance(value, list) and 0 < len(value) <= _MOST_NAMES and len(set(map(str, value))) == len(value)
    return tuple(value) if fits and all(isinstance(name, str) and 0 < len(name) <= _LONGEST for name in value) else ()


def _size(metadata: Mapping[str, str], size: tuple[int | None, int | None]) -> tuple[int | None, int | None]:
    """The size of the input, a free one from what Ultralytics' exports state."""
    try:
        stated = ast.literal_eval(metadata.get("imgsz", "")[:40])
    except (ValueError, SyntaxError):
        return size
    if size != (None, None) or not isinstance(stated, list | tuple) or len(stated) != 2:
        return size
    return (int(stated[0]), int(stated[1])) if all(side in range(8, 8193) for side in stated) else size
