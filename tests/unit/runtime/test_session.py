"""The engines: the same numbers in every batch, and nobody is told about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper
from scipy.special import softmax

from photovision.runtime.session import BF16_TOLERANCE, Precision, open_session

SIDE = 256


def small_graph(path: Path) -> Path:
    """A convolution, a pooling and a product, with a free batch of pictures large enough to be shared out."""
    rng = np.random.default_rng(0)
    weights = {"kernel": rng.normal(0, 0.2, (16, 3, 5, 5)), "matrix": rng.normal(0, 1, (16, 5)), "scale": 1 / 255}
    nodes = [
        helper.make_node("Cast", ["images"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["shares"]),
        helper.make_node("Transpose", ["shares"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "kernel"], ["maps"], strides=[4, 4]),
        helper.make_node("Relu", ["maps"], ["kept"]),
        helper.make_node("ReduceMean", ["kept"], ["embedding"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["embedding", "matrix"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 5]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 16]),
        ],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


@pytest.mark.parametrize("precision", ["f32", "bf16"])
def test_an_answer_depends_neither_on_the_batch_nor_on_what_came_before(tmp_path: Path, precision: Precision) -> None:
    graph = small_graph(tmp_path / "model.onnx")
    images = np.random.default_rng(1).integers(0, 256, (19, SIDE, SIDE, 3), dtype=np.uint8)
    session = open_session(graph, engine="openvino", precision=precision, threads=2)
    single = [session.run(image[None]) for image in images]
    alone = {name: np.concatenate([one[name] for one in single]) for name in ("logits", "embedding")}
    for _ in range(5):  # from the third on, cores work apart
        assert_same_answers(session.run(images), alone, precision)
    assert_same_answers(session.run(images[:1]), single[0], precision)


def assert_same_answers(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray], precision: Precision) -> None:
    """In f32 equal to the last bit; in bf16 the same classes, with probabilities within `BF16_TOLERANCE`."""
    if precision == "f32":
        assert all(np.array_equal(found[name], wanted[name]) for name in ("logits", "embedding"))
        return
    assert np.array_equal(found["logits"].argmax(1), wanted["logits"].argmax(1))
    assert np.abs(softmax(found["logits"], 1) - softmax(wanted["logits"], 1)).max() <= BF16_TOLERANCE


def test_one_thread_and_wanted_outputs(tmp_path: Path) -> None:
    session = open_session(small_graph(tmp_path / "model.onnx"), engine="openvino", threads=1, outputs=("logits", "x"))
    images = np.zeros((40, SIDE, SIDE, 3), np.uint8)
    for _ in range(4):
        assert {name: values.shape for name, values in session.run(images).items()} == {"logits": (40, 5)}


@pytest.mark.parametrize("library", ["session", "nncf"])
def test_no_usage_data_is_sent(tmp_path: Path, library: str) -> None:
    small_graph(tmp_path / "model.onnx")
    lines = {
        "session": "from pathlib import Path; from photovision.runtime.session import open_session;"
        "open_session(Path('model.onnx'), engine='openvino')",
        "nncf": "from photovision.engine.optimize.quantize import compressor; nncf = compressor();"
        "from nncf.telemetry.wrapper import NNCFTelemetryStub, telemetry;"
        "assert isinstance(telemetry, NNCFTelemetryStub)",
    }
    told = "print([n for n, m in sys.modules.items() if n.split('.')[0] == 'openvino_telemetry' and m is not None])"
    script = f"import sys; {lines[library]}; {told}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_driver_without_a_runtime_for_it_is_no_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / ("nvidia-smi.exe" if sys.platform == "win32" else "nvidia-smi")
    driver.write_text("")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    graph = small_graph(tmp_path / "model.onnx")
    provided = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    assert open_session(graph).engine == ("onnxruntime" if provided else "openvino")
    driver.unlink()
    assert open_session(graph).engine == "openvino"
