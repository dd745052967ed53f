"""Running an exported graph fast, without torch: OpenVINO, or ONNX Runtime where OpenVINO is not installed."""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from photovision.core.errors import ModelError, UsageError
from photovision.core.system import cores, cpu_flags
from photovision.core.types import Image
from photovision.runtime.graph import check_graph

Engine = Literal["auto", "openvino", "onnxruntime"]
Precision = Literal["f32", "bf16"]
ANSWER = ("probs", "logits", "embedding")
"""The outputs of a model's graph that answer; `maps`, where a graph has it, explains."""


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


def fastest_precision() -> Precision:
    """bf16 where the processor multiplies it natively (AVX512-BF16 or AMX), else f32."""
    return "bf16" if cpu_flags() & {"avx512_bf16", "amx_bf16"} else "f32"


def open_session(
    graph: Path,
    *,
    engine: Engine = "auto",
    precision: Precision | None = None,
    threads: int | None = None,
    outputs: Collection[str] | None = None,
) -> Session:
    """Load an ONNX graph into the fastest engine that is installed.

    Args:
        graph: path of the .onnx file.
        engine: "auto" takes OpenVINO where it is installed.
        precision: None takes `fastest_precision()`; ONNX Runtime always computes in f32.
        threads: processor threads; all cores this process may use if None.
        outputs: names of the outputs that are wanted, so that no other is computed; None takes all. Names that the
            graph lacks are left out.

    Raises:
        ModelError: the file is missing, not a graph, or refers to files outside itself.
    """
    check_graph(graph)
    if engine not in ("auto", "openvino", "onnxruntime"):
        raise UsageError(f"engine should be auto, openvino or onnxruntime, got '{engine}'")
    if engine == "auto":
        engine = "openvino" if find_spec("openvino") else "onnxruntime"
    build = _OpenVino if engine == "openvino" else _OnnxRuntime
    try:
        return build(graph, precision or fastest_precision(), threads or cores(), outputs)
    except Exception as error:  # both libraries raise their own untyped errors for damaged files
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelError(f"the graph {graph} cannot be loaded ({reason}); copy or train the bundle again") from None


class _OpenVino:
    engine = "openvino"

    def __init__(self, graph: Path, precision: Precision, threads: int, outputs: Collection[str] | None) -> None:
        import openvino

        self.precision: str = precision
        core = openvino.Core()
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": threads,
        }
        model = core.read_model(graph)
        if outputs is not None:
            wanted = [output.get_node() for output in model.outputs if output.get_any_name() in outputs]
            model = openvino.Model(wanted, model.get_parameters())
        compiled = core.compile_model(model, "CPU", options)
        self._request = compiled.create_infer_request()
        self._names = [output.get_any_name() for output in compiled.outputs]

    def run(self, images: Image) -> dict[str, np.ndarray]:
        self._request.infer({0: np.ascontiguousarray(images)}, share_inputs=True)
        # The request's own buffers are overwritten by the next call, so the results are copied out.
        return {name: np.array(self._request.get_output_tensor(i).data) for i, name in enumerate(self._names)}


class _OnnxRuntime:
    engine = "onnxruntime"
    precision = "f32"

    def __init__(self, graph: Path, precision: Precision, threads: int, outputs: Collection[str] | None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        wanted = [
            p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in onnxruntime.get_available_providers()
        ]
        self._session = onnxruntime.InferenceSession(str(graph), options, providers=wanted)
        names = [output.name for output in self._session.get_outputs()]
        self._names = names if outputs is None else [name for name in names if name in outputs]
        self._input = self._session.get_inputs()[0].name

    def run(self, images: Image) -> dict[str, np.ndarray]:
        values = self._session.run(self._names, {self._input: np.ascontiguousarray(images)})
        return dict(zip(self._names, values, strict=True))
