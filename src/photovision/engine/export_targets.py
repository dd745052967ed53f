"""Targets: the forms that other programs run.

    onnx              one file for any ONNX runtime, with classes, preprocessing, calibration and licences in it
    openvino          OpenVINO's own form, weights in 16 bits unless asked otherwise
    torchscript       one file for libtorch and torch.jit.load
    exported-program  one file for torch.export.load
    timm              a folder for timm.create_model("local-dir:FOLDER", pretrained=True)

All but the last take uint8 RGB images (N, H, W, 3) of the model's size and give what the model's own graph gives; the
last takes normalised ones and gives logits, as timm does, whose softmax (multi-label: sigmoid) is calibrated.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ModelError, UsageError
from photovision.core.files import explained
from photovision.core.registry import Registry
from photovision.core.types import Image
from photovision.engine.export_metadata import description
from photovision.engine.parity import Outputs
from photovision.runtime.session import open_session, without_telemetry

Run = Callable[[Image], Outputs]
"""From uint8 images (N, H, W, 3) to outputs by name, through the files that were written."""
TARGETS = Registry(
    "target",
    {
        "onnx": "photovision.engine.export_targets:to_onnx",
        "openvino": "photovision.engine.export_targets:to_openvino",
        "torchscript": "photovision.engine.export_targets:to_torchscript",
        "exported-program": "photovision.engine.export_targets:to_exported_program",
        "timm": "photovision.engine.export_targets:to_timm",
    },
    "photovision.targets",
)
"""Every target is a function (model, folder: Path, compress: bool) -> Run that writes into a folder."""


def to_onnx(model: Any, folder: Path, compress: bool) -> Run:
    """The graph with its description in `metadata_props`."""
    import onnx

    graph = onnx.load(str(model.bundle.graph), load_external_data=False)
    onnx.helper.set_model_props(graph, description(model))
    path = folder / "model.onnx"
    onnx.save(graph, str(path))
    return open_session(path, engine="onnxruntime", outputs=model.bundle.row.outputs).run


def to_openvino(model: Any, folder: Path, compress: bool) -> Run:
    """`model.xml` and `model.bin`; the description is in the model's `rt_info`, under "model_info"."""
    without_telemetry()
    import openvino

    core = openvino.Core()
    graph, path = core.read_model(model.bundle.graph), folder / "model.xml"
    for name, text in description(model).items():
        graph.set_rt_info(text, ["model_info", name])
    openvino.save_model(graph, path, compress_to_fp16=compress)
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = {name for output in compiled.outputs for name in output.get_names()} & set(model.bundle.row.outputs)

    def run(images: Image) -> Outputs:
        answer = compiled(images)
        return {name: np.array(answer[name]) for name in names}

    return run


def to_torchscript(model: Any, folder: Path, compress: bool) -> Run:
    """`model.pt`: from pixels to the outputs in the graph's order; photovision.json inside describes it."""
    import torch

    module, example = _decider(model)
    path = folder / "model.pt"
    with torch.no_grad(), warnings.catch_warnings(), explained(path):
        warnings.simplefilter("ignore")  # of tracing: shapes are fixed but for the batch, which the comparison tries
        traced: Any = torch.jit.trace(module, (example,), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, str(path), _extra_files={"photovision.json": json.dumps(description(model))})
        loaded: Any = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return _through_torch(loaded, module.outputs)


def to_exported_program(model: Any, folder: Path, compress: bool) -> Run:
    """`model.pt2`: the same by torch.export, with a free batch."""
    import torch

    module, example = _decider(model)
    path = folder / "model.pt2"
    with torch.no_grad(), warnings.catch_warnings(), explained(path):
        warnings.simplefilter("ignore")
        free = {"images": {0: torch.export.Dim("batch", min=1, max=65536)}}
        program = torch.export.export(module, (example,), dynamic_shapes=free)
        torch.export.save(program, path, extra_files={"photovision.json": json.dumps(description(model))})
        loaded = torch.export.load(path).module()
    return _through_torch(loaded, module.outputs)


def to_timm(model: Any, folder: Path, compress: bool) -> Run:
    """`config.json` and `model.safetensors`, as timm and the Hugging Face Hub know them."""
    answers = model.bundle.row.part("timm", "export --to timm")
    _weights(model)
    source = model.bundle.path
    if not (source / "config.json").is_file():
        name = (model.info.get("backbone") or {}).get("name")
        raise UsageError(
            f"timm cannot build '{name}' by its name: choose another target ({', '.join(TARGETS.names())})"
        )
    for name in ("config.json", "model.safetensors", "README.md"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    run: Run = answers(model, folder)
    return run


def _weights(model: Any) -> None:
    """Raise UsageError or ModelError where a model has no weights for torch."""
    if model.info.get("quantized"):
        raise UsageError("an 8-bit model has no weights for torch: export the model that it was made from")
    if not (model.bundle.path / "model.safetensors").is_file():
        raise ModelError(f"{model.bundle.path} holds no network with its weights for torch: choose onnx or openvino")


def _decider(model: Any) -> tuple[Any, Any]:
    """The whole way from pixels to the graph's outputs in torch, and an example of its input."""
    import torch

    network = model.bundle.row.part("network", "export for torch")
    _weights(model)
    return network(model.bundle), torch.zeros(2, *model.preprocess.size, 3, dtype=torch.uint8)


def _through_torch(loaded: Any, names: Sequence[str]) -> Run:
    import torch

    @torch.no_grad()
    def run(images: Image) -> Outputs:
        return {name: value.numpy() for name, value in zip(names, loaded(torch.from_numpy(images)), strict=True)}

    return run
