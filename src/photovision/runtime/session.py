"""Running an exported graph fast, without torch: OpenVINO, or ONNX Runtime where OpenVINO is not installed."""

from __future__ import annotations

import shutil
import sys
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np

from photovision.core.errors import ModelError, UsageError
from photovision.core.system import cores, cpu_flags
from photovision.core.types import Image
from photovision.runtime.check_onnx import first_line, read_graph

Engine = Literal["auto", "openvino", "onnxruntime"]
Precision = Literal["f32", "bf16"]
ANSWER = ("probs", "logits", "embedding")
"""The outputs of a model's graph that answer; `maps`, where a graph has it, explains."""

BF16_TOLERANCE = 1e-3
"""How far probabilities of one picture may differ between two batches in bf16; in f32 they are equal to the last bit.

Where the processor multiplies bf16 in tiles (AMX), the order of a sum depends on the size of the batch: 1e-7 was
measured on a small network, 0 without AMX. A sum that falls on the other side of a rounding is off by one unit of bf16,
which is 2**-8.
"""

_PART = 200_000  # pixels that one core works on at a time, four pictures of 224: their maps stay in its own cache
_STREAMS = 8  # at most; a batch of 32 such pictures has no more parts
_PATIENCE = 2  # large batches before a graph is compiled a second time for large batches


class Session(Protocol):
    """A graph ready to run.

    Attributes:
        engine: name of the library that runs it.
        precision: arithmetic of its matrix products.
    """

    engine: str
    precision: str

    def run(self, images: Image) -> dict[str, np.ndarray]:
        """All outputs by name for uint8 RGB pictures (N, H, W, 3); N may differ from call to call."""
        ...


@runtime_checkable
class Tempered(Session, Protocol):
    """A session in memory whose probabilities are softmax(logits / temperature), which may be set.

    Attributes:
        temperature: 1 until it is fitted.
    """

    temperature: float


class Prompted(Session, Protocol):
    """A session whose graph may have other inputs than pictures."""

    def feed(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """All outputs by name, for all inputs by name, in the types and shapes that the graph wants."""
        ...


def fastest_precision() -> Precision:
    """bf16 where the processor multiplies it natively (AVX512-BF16 or AMX), else f32."""
    return "bf16" if cpu_flags() & {"avx512_bf16", "amx_bf16"} else "f32"


def has_cuda() -> bool:
    """Whether ONNX Runtime can drive a GPU here: a driver is installed, and its CUDA provider (onnxruntime-gpu) is."""
    if shutil.which("nvidia-smi") is None:  # comes with every driver; looked for first, since the import takes time
        return False
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def open_session(
    graph: Path,
    *,
    engine: Engine = "auto",
    precision: Precision | None = None,
    allowed: str | None = None,
    threads: int | None = None,
    outputs: Collection[str] | None = None,
    size: tuple[int, int] | None = None,
) -> Prompted:
    """Load an ONNX graph into the fastest engine that is installed.

    Args:
        graph: path of the .onnx file.
        engine: "auto" takes ONNX Runtime where it drives a GPU, else OpenVINO where it is installed.
        precision: what was asked for; None takes what is allowed.
        allowed: what the graph's parity check allows; None takes `fastest_precision()`, and f32 in ONNX Runtime, which
            has no other.
        threads: processor threads; all cores this process may use if None.
        outputs: names of the outputs that are wanted, so that no other is computed; None takes all. Names that the
            graph lacks are left out.
        size: (H, W) in pixels of the pictures that it will be given; None leaves it open.

    Raises:
        ModelError: the file is missing, not a graph, refers to files outside itself, or takes pictures of another size.
        UsageError: no such engine or precision, or one that the engine does not have.
    """
    content = read_graph(graph)
    if engine not in ("auto", "openvino", "onnxruntime"):
        raise UsageError(f"engine should be auto, openvino or onnxruntime, got '{engine}'")
    if engine == "auto":
        engine = "openvino" if find_spec("openvino") and not has_cuda() else "onnxruntime"
    if precision not in (None, "f32", "bf16"):
        raise UsageError(f"precision should be f32 or bf16, got '{precision}'")
    if engine == "onnxruntime" and precision == "bf16":
        raise UsageError("ONNX Runtime computes in f32 only: leave the precision bf16 out, or take the engine openvino")
    build = _OpenVino if engine == "openvino" else _OnnxRuntime
    arithmetic = precision or cast("Precision | None", allowed) or fastest_precision()
    with _explained(graph, "loaded"):
        session = build(graph, content, arithmetic, threads or cores(), outputs)
    if size is not None and any(own not in (None, side) for own, side in zip(session.sides, size, strict=True)):
        own, asked = (" x ".join(map(str, sides)) for sides in (session.sides, size))
        raise ModelError(
            f"the graph {graph} takes pictures of {own} pixels, but its bundle.json says {asked}: copy the bundle again"
        )
    return _OneByOne(session) if session.alone else session


@contextmanager
def _explained(graph: Path, what: str) -> Iterator[None]:
    """Turn the untyped errors of both libraries, for damaged and for strange graphs, into one line."""
    try:
        yield
    except (ModelError, MemoryError):
        raise
    except Exception as error:
        raise ModelError(
            f"the graph {graph} cannot be {what} ({first_line(error)}); copy or train the bundle again"
        ) from None


def _sides(shape: Sequence[Any]) -> tuple[int | None, int | None]:
    """(H, W) of an input (N, H, W, 3), None for a side that is free."""
    if len(shape) != 4:
        return None, None
    height, width = (side if isinstance(side, int) else None for side in shape[1:3])
    return height, width


class _OneByOne:
    """A graph that takes a single picture at a time, as one that takes any number."""

    def __init__(self, session: _OpenVino | _OnnxRuntime) -> None:
        self._session = session
        self.engine, self.precision = session.engine, session.precision

    def run(self, images: Image) -> dict[str, np.ndarray]:
        found = [self._session.run(images[row : row + 1]) for row in range(len(images))]
        return {name: np.concatenate([row[name] for row in found]) for name in found[0]}

    def feed(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return self._session.feed(inputs)


def without_telemetry() -> None:
    """Keep OpenVINO and NNCF from sending usage data: the library that does it cannot be imported any more.

    Both go on without it. To be called before one of them is imported.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # None makes its import fail


class _OpenVino:
    """Small batches run picture by picture on all cores; in large ones every core works on pictures of its own.

    The second way is up to a third faster, for cores need not wait for each other after every layer, and gives the same
    answers: bit-equal in f32, within `BF16_TOLERANCE` in bf16. It needs the graph compiled once more, for which short
    jobs are too short.
    """

    engine = "openvino"

    def __init__(
        self, graph: Path, content: bytes, precision: Precision, threads: int, outputs: Collection[str] | None
    ) -> None:
        without_telemetry()
        import openvino

        self.precision: str = precision
        self._core = openvino.Core()
        self._options: dict[str, Any] = {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
        }
        self._graph = graph
        # The bytes that were checked: behind a path could lie something else by now.
        model = self._core.read_model(model=content, weights=b"")
        if outputs is not None:
            wanted = [output.get_node() for output in model.outputs if output.get_any_name() in outputs]
            model = openvino.Model(wanted, model.get_parameters())
        # In a compiled graph an output may go by the name of what was folded into it, too.
        names = [output.get_any_name() for output in model.outputs]
        compiled = self._core.compile_model(model, "CPU", {**self._options, "PERFORMANCE_HINT": "LATENCY"})
        self._request = compiled.create_infer_request()
        self._names = names
        shape = compiled.inputs[0].partial_shape
        self.sides = _sides([side.get_length() if side.is_static else None for side in shape])
        self.alone = shape.rank.is_static and len(shape) == 4 and shape[0].is_static and shape[0].get_length() == 1
        self._streams = min(threads, _STREAMS)
        self._model: Any = model if self._streams > 1 else None
        self._large = 0
        self._parallel: list[Any] = []
        self._alone = threading.Lock()  # a request answers one caller at a time

    def run(self, images: Image) -> dict[str, np.ndarray]:
        images = np.ascontiguousarray(images)
        part = max(1, _PART // (images.shape[1] * images.shape[2]))
        with self._alone, _explained(self._graph, "run"):
            if self._parallel_for(len(images), part):
                return self._apart(images, part)
            self._request.infer({0: images}, share_inputs=True)
            return self._copied(self._request)

    def feed(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        with self._alone, _explained(self._graph, "run"):
            self._request.infer({name: np.ascontiguousarray(value) for name, value in inputs.items()})
            return self._copied(self._request)

    def _parallel_for(self, count: int, part: int) -> bool:
        """Whether cores should work apart on a batch; compiles the graph for it when enough large ones have come."""
        if count < part * self._streams or self._streams < 2:
            return False
        self._large += 1
        if self._model is not None and self._large > _PATIENCE:
            # The batch stays free: a graph compiled for a fixed one rounds differently in bf16.
            options = {**self._options, "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": self._streams}
            compiled = self._core.compile_model(self._model, "CPU", options)
            self._parallel = [compiled.create_infer_request() for _ in range(self._streams)]
            self._model = None
        return bool(self._parallel)

    def _apart(self, images: Image, part: int) -> dict[str, np.ndarray]:
        parts = [images[start : start + part] for start in range(0, len(images), part)]
        found: list[dict[str, np.ndarray]] = []
        for number, rows in enumerate(parts):
            request = self._parallel[number % self._streams]
            if number >= self._streams:
                request.wait()
                found.append(self._copied(request))
            request.start_async({0: rows}, share_inputs=True)
        for number in range(len(found), len(parts)):
            request = self._parallel[number % self._streams]
            request.wait()
            found.append(self._copied(request))
        return {name: np.concatenate([rows[name] for rows in found]) for name in self._names}

    def _copied(self, request: Any) -> dict[str, np.ndarray]:
        # A request's own buffers are overwritten by its next call.
        return {name: np.array(request.get_output_tensor(i).data) for i, name in enumerate(self._names)}


class _OnnxRuntime:
    engine = "onnxruntime"
    precision = "f32"

    def __init__(
        self, graph: Path, content: bytes, precision: Precision, threads: int, outputs: Collection[str] | None
    ) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        wanted = [
            p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in onnxruntime.get_available_providers()
        ]
        # By its path: it would keep the content beside its own copy of the weights for good. It reads ONNX only.
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=wanted)
        self._graph = graph
        names = [output.name for output in self._session.get_outputs()]
        self._names = names if outputs is None else [name for name in names if name in outputs]
        self._input = self._session.get_inputs()[0].name
        shape = self._session.get_inputs()[0].shape
        self.sides, self.alone = _sides(shape), len(shape) == 4 and shape[0] == 1

    def run(self, images: Image) -> dict[str, np.ndarray]:
        return self.feed({self._input: images})

    def feed(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {name: np.ascontiguousarray(value) for name, value in inputs.items()}
        with _explained(self._graph, "run"):
            values = self._session.run(self._names, given)
        return dict(zip(self._names, values, strict=True))
