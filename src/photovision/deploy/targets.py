"""Targets: a model in the forms that other programs run, each held against the model itself before it is kept.

    onnx              one file for any ONNX runtime, with classes, preprocessing, calibration and licences in it
    openvino          OpenVINO's own form, weights in 16 bits unless asked otherwise
    torchscript       one file for libtorch and torch.jit.load
    exported-program  one file for torch.export.load
    timm              a folder for timm.create_model("local-dir:FOLDER", pretrained=True)

All but the last take uint8 RGB pictures (N, H, W, 3) of the model's size and give calibrated probabilities first; the
last takes normalised ones and gives logits, as timm does.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ExportError, UsageError
from photovision.core.files import explained, new_folder
from photovision.core.registry import Registry
from photovision.core.types import Floats, Image
from photovision.runtime.session import open_session, without_telemetry
from photovision.tasks.recognizer import Recognizer

Probs = Callable[[Image], Floats]
"""From uint8 pictures (N, H, W, 3) to probabilities float32 (N, C), through the files that were written."""
TARGETS = Registry(
    "target",
    {
        "onnx": "photovision.deploy.targets:to_onnx",
        "openvino": "photovision.deploy.targets:to_openvino",
        "torchscript": "photovision.deploy.targets:to_torchscript",
        "exported-program": "photovision.deploy.targets:to_exported_program",
        "timm": "photovision.deploy.targets:to_timm",
    },
    "photovision.targets",
)
"""Every target is a function (model: Recognizer, folder: Path, compress: bool) -> Probs that writes into a folder."""
TOLERANCE = 0.02
"""Largest allowed difference of a probability, which leaves room for weights in 16 bits."""
LEAST_AGREEMENT = 0.995
"""Least share of pictures with the same most probable class; one picture may differ."""
_BATCH = 32


@dataclass(frozen=True)
class Exported:
    """How an exported model compares with the one it was made from, whose graph ran in float32.

    Attributes:
        target: what it was exported to.
        pictures: how many were compared.
        generated: whether these were generated, as there were no real ones.
        agreement: share of pictures with the same most probable class.
        max_abs_prob_difference: over all pictures and classes.
        files: name -> bytes.
    """

    target: str
    pictures: int
    generated: bool
    agreement: float
    max_abs_prob_difference: float
    files: dict[str, int]


def export(
    model: Recognizer, target: str, output: str | Path, images: Image | None = None, *, compress: bool = True
) -> Exported:
    """Write a model for another program, and refuse it where it decides otherwise.

    Args:
        model: what to export.
        target: a name of TARGETS.
        output: folder to write; one that is there is replaced, whole.
        images: uint8 (N, H, W, 3), pictures as the network sees them, to compare on; None compares on generated ones.
        compress: whether OpenVINO's weights are kept in 16 bits.

    Raises:
        ExportError: the exported model does not decide like the original; nothing is written.
        ModelError: the model lacks what the target needs, such as its weights for torch.
        UsageError: no such target, or `output` is the model's own folder.
    """
    write, folder = TARGETS.load(target), Path(output)
    if folder.resolve() == model.bundle.path.resolve():
        raise UsageError(f"{folder} is the model itself; choose another folder with --output")
    shown = _generated(model.preprocess.size) if images is None else images
    exact = open_session(model.bundle.graph, precision="f32", outputs=("probs",))
    expected = _batched(lambda part: exact.run(part)["probs"], shown)
    with new_folder(folder) as work:
        got = _batched(write(model, work, compress), shown)
        same, gap = float((expected.argmax(1) == got.argmax(1)).mean()), float(np.abs(expected - got).max())
        allowed = max(1.0, (1 - LEAST_AGREEMENT) * len(shown)) + 1e-6
        if not gap <= TOLERANCE or (images is not None and (1 - same) * len(shown) > allowed):
            raise ExportError(
                f"the model decides otherwise as {target}: a probability differs by {gap:.2g} (allowed: {TOLERANCE}),"
                f" {100 * same:.1f} % of {len(shown):,} pictures get the same answer; nothing was written"
            )
        files = {str(f.relative_to(work)): f.stat().st_size for f in sorted(work.rglob("*")) if f.is_file()}
    return Exported(target, len(shown), images is None, same, gap, files)


def description(model: Recognizer) -> dict[str, str]:
    """What an exported file says of itself: name -> text, JSON where it is more than a word."""
    info = model.info
    calibration = {name: info.get(name) for name in ("temperature", "thresholds")}
    if model.doubt is not None:
        sets = {"coverage": model.doubt.coverage, "least_probability": model.doubt.thresholds.tolist()}
        calibration["prediction_sets"] = sets
    figures = info.get("metrics") or {}
    kept = {name: figures[name] for name in ("accuracy", "map", "ece", "coverage") if name in figures}
    told = {
        "classes": list(model.classes),
        "preprocess": {**info["preprocess"], "input": "uint8 RGB (N, H, W, 3); mean and std are applied in the graph"},
        "calibration": calibration,
        "licences": info["licences"],
        "figures": kept,
    }
    plain = {"producer": "photovision", "task": str(info["task"]), "multilabel": json.dumps(model.multilabel)}
    return {**plain, **{name: json.dumps(value, ensure_ascii=False) for name, value in told.items()}}


def to_onnx(model: Recognizer, folder: Path, compress: bool) -> Probs:
    """The graph with its description in `metadata_props`."""
    import onnx

    graph = onnx.load(str(model.bundle.graph), load_external_data=False)
    onnx.helper.set_model_props(graph, description(model))
    path = folder / "model.onnx"
    onnx.save(graph, str(path))
    session = open_session(path, engine="onnxruntime", outputs=("probs",))
    return lambda images: session.run(images)["probs"]


def to_openvino(model: Recognizer, folder: Path, compress: bool) -> Probs:
    """`model.xml` and `model.bin`; the description is in the model's `rt_info`, under "model_info"."""
    without_telemetry()
    import openvino

    core = openvino.Core()
    graph, path = core.read_model(model.bundle.graph), folder / "model.xml"
    for name, text in description(model).items():
        graph.set_rt_info(text, ["model_info", name])
    openvino.save_model(graph, path, compress_to_fp16=compress)
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda images: np.array(compiled(images)["probs"])


def to_torchscript(model: Recognizer, folder: Path, compress: bool) -> Probs:
    """`model.pt`: from pixels to (probs, logits, embedding, ...); photovision.json inside describes it."""
    import torch

    module, example = _decider(model)
    path = folder / "model.pt"
    with torch.no_grad(), warnings.catch_warnings(), explained(path):
        warnings.simplefilter("ignore")  # of tracing: shapes are fixed but for the batch, which the comparison tries
        traced: Any = torch.jit.trace(module, (example,), check_trace=False)  # type: ignore[no-untyped-call]
        torch.jit.save(traced, str(path), _extra_files={"photovision.json": json.dumps(description(model))})
        loaded: Any = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return _through_torch(loaded)


def to_exported_program(model: Recognizer, folder: Path, compress: bool) -> Probs:
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
    return _through_torch(loaded)


def to_timm(model: Recognizer, folder: Path, compress: bool) -> Probs:
    """`config.json` and `model.safetensors`, as timm and the Hugging Face Hub know them."""
    import timm
    import torch

    _decider(model)  # tells what is missing
    source = model.bundle.path
    if not (source / "config.json").is_file():
        name = (model.info.get("backbone") or {}).get("name")
        raise UsageError(
            f"timm cannot build '{name}' by its name: choose another target ({', '.join(TARGETS.names())})"
        )
    for name in ("config.json", "model.safetensors", "README.md"):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    loaded = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    temperature = float(model.info["temperature"])

    @torch.no_grad()
    def probs(images: Image) -> Floats:
        batch = torch.from_numpy(np.stack([model.preprocess.normalise(image) for image in images]))
        scaled = loaded(batch) / temperature
        return np.asarray((scaled.sigmoid() if model.multilabel else scaled.softmax(1)).numpy(), np.float32)

    return probs


def _decider(model: Recognizer) -> tuple[Any, Any]:
    """The whole way from pixels to probabilities in torch, and an example of its input."""
    import torch

    from photovision.models.export import Decider
    from photovision.models.trained import trained_network

    if model.info.get("quantized"):
        raise UsageError("an 8-bit model has no weights for torch: export the model that it was made from")
    network = trained_network(model.bundle)
    decider = Decider(network, model.preprocess, float(model.info["temperature"]), model.multilabel).eval()
    return decider, torch.zeros(2, *model.preprocess.size, 3, dtype=torch.uint8)


def _through_torch(loaded: Any) -> Probs:
    import torch

    @torch.no_grad()
    def probs(images: Image) -> Floats:
        return np.asarray(loaded(torch.from_numpy(images))[0].numpy(), np.float32)

    return probs


def _batched(probs: Probs, images: Image) -> Floats:
    parts = [np.ascontiguousarray(images[start : start + _BATCH]) for start in range(0, len(images), _BATCH)]
    return np.concatenate([probs(part) for part in parts])


def _generated(size: tuple[int, int]) -> Image:
    """Coarse coloured patches, which networks answer more differently than noise: uint8 (40, H, W, 3)."""
    patches = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)
    rows, columns = (np.arange(side) * 6 // side for side in size)
    return np.ascontiguousarray(patches[:, rows][:, :, columns])
