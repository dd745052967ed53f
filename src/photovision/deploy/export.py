"""Targets: a model in the forms that other programs run, each held against the model itself before it is kept.

    onnx              one file for any ONNX runtime, with classes, preprocessing, calibration and licences in it
    openvino          OpenVINO's own form, weights in 16 bits unless asked otherwise
    torchscript       one file for libtorch and torch.jit.load
    exported-program  one file for torch.export.load
    timm              a folder for timm.create_model("local-dir:FOLDER", pretrained=True)

All but the last take uint8 RGB pictures (N, H, W, 3) of the model's size and give what the model's own graph gives, of
classifiers calibrated probabilities first; the last takes normalised ones and gives logits, as timm does.
"""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import ExportError, ModelError, UsageError
from photovision.core.files import explained
from photovision.core.folder import new_folder
from photovision.core.output import check_folder
from photovision.core.registry import Registry
from photovision.core.seal import write_sealed
from photovision.core.types import Image
from photovision.deploy.metadata import Model, description, readme
from photovision.deploy.parity import Alike, Outputs, answers_alike, boxes_alike, places_alike
from photovision.engine.load import opened
from photovision.runtime.session import open_session, without_telemetry
from photovision.tasks.classify.recognizer import Recognizer
from photovision.tasks.detect.detector import Detector
from photovision.tasks.segment.segmenter import Segmenter

Run = Callable[[Image], Outputs]
"""From uint8 pictures (N, H, W, 3) to outputs by name, through the files that were written."""
TARGETS = Registry(
    "target",
    {
        "onnx": "photovision.deploy.export:to_onnx",
        "openvino": "photovision.deploy.export:to_openvino",
        "torchscript": "photovision.deploy.export:to_torchscript",
        "exported-program": "photovision.deploy.export:to_exported_program",
        "timm": "photovision.deploy.export:to_timm",
    },
    "photovision.targets",
)
"""Every target is a function (model: Model, folder: Path, compress: bool) -> Run that writes into a folder."""
OUTPUTS = {"classify": ("probs",), "detect": ("boxes", "scores"), "segment": ("classes", "depth")}
"""Task -> outputs that are compared."""
_BATCH = 16


@dataclass(frozen=True)
class Exported:
    """How an exported model compares with the one it was made from, whose graph ran in float32.

    Attributes:
        target: what it was exported to.
        pictures: how many were compared.
        generated: whether these were generated, as there were no real ones.
        agreement: share of pictures with the same most probable class; of detectors the share of shown boxes that both
            have, of segmenters the share of places with the same class.
        max_abs_prob_difference: over all pictures and classes.
        files: name -> bytes.
        of: what the agreement is a share of, for people.
    """

    target: str
    pictures: int
    generated: bool
    agreement: float
    max_abs_prob_difference: float
    files: dict[str, int]
    of: str = "pictures"


def export(
    model: Model | str | Path,
    target: str,
    output: str | Path,
    images: Image | None = None,
    *,
    compress: bool | None = None,
) -> Exported:
    """Write a model for another program, and refuse it where it decides otherwise.

    Args:
        model: what to export, or its folder.
        target: a name of TARGETS.
        output: folder to write; one that is there is replaced, whole.
        images: uint8 (N, H, W, 3), pictures as the network sees them, to compare on; None compares on generated ones.
        compress: whether OpenVINO's weights are kept in 16 bits; None keeps them so. Of other targets nothing is.

    Raises:
        ExportError: the exported model does not decide like the original; nothing is written.
        ModelError: the model lacks what the target needs, such as its weights for torch.
        UsageError: no such target, one that cannot be compressed, or `output` is the model's own folder.
    """
    write, folder = TARGETS.load(target), Path(output)
    own: Model = opened(model, "export")
    if compress is not None and target != "openvino":
        raise UsageError(f"compress is for 'openvino': leave it out for '{target}'")
    return _export(own, write, target, folder, images, compress is not False)


def _export(
    model: Model,
    write: Callable[[Model, Path, bool], Run],
    target: str,
    folder: Path,
    images: Image | None,
    compress: bool,
) -> Exported:
    check_folder(folder, "export", [model.bundle.path])
    shown = _generated(model.preprocess.size) if images is None else images
    exact = open_session(model.bundle.graph, precision="f32", outputs=OUTPUTS[model.bundle.task])
    expected = _batched(exact.run, shown)
    with new_folder(folder, "export", [model.bundle.path]) as work:
        found = _compared(model, expected, _batched(write(model, work, compress), shown), images is not None)
        if not found.enough:
            raise ExportError(
                f"the model decides otherwise as {target}: a probability differs by {found.difference:.2g} (allowed:"
                f" {found.allowed}), {100 * found.agreement:.1f} % of {found.of} on {len(shown):,} pictures get the"
                " same answer; nothing was written"
            )
        if not isinstance(model, Recognizer):
            write_sealed(work / "README.md", readme(model, target))
        files = {str(f.relative_to(work)): f.stat().st_size for f in sorted(work.rglob("*")) if f.is_file()}
    return Exported(target, len(shown), images is None, found.agreement, found.difference, files, found.of)


def _compared(model: Model, expected: list[Outputs], got: list[Outputs], real: bool) -> Alike:
    if isinstance(model, Detector):
        return boxes_alike(model, expected, got)
    return places_alike(expected, got) if isinstance(model, Segmenter) else answers_alike(expected, got, real)


def to_onnx(model: Model, folder: Path, compress: bool) -> Run:
    """The graph with its description in `metadata_props`."""
    import onnx

    graph = onnx.load(str(model.bundle.graph), load_external_data=False)
    onnx.helper.set_model_props(graph, description(model))
    path = folder / "model.onnx"
    onnx.save(graph, str(path))
    return open_session(path, engine="onnxruntime", outputs=OUTPUTS[model.bundle.task]).run


def to_openvino(model: Model, folder: Path, compress: bool) -> Run:
    """`model.xml` and `model.bin`; the description is in the model's `rt_info`, under "model_info"."""
    without_telemetry()
    import openvino

    core = openvino.Core()
    graph, path = core.read_model(model.bundle.graph), folder / "model.xml"
    for name, text in description(model).items():
        graph.set_rt_info(text, ["model_info", name])
    openvino.save_model(graph, path, compress_to_fp16=compress)
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    names = {output.get_any_name() for output in compiled.outputs} & set(OUTPUTS[model.bundle.task])

    def run(images: Image) -> Outputs:
        answer = compiled(images)
        return {name: np.array(answer[name]) for name in names}

    return run


def to_torchscript(model: Model, folder: Path, compress: bool) -> Run:
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


def to_exported_program(model: Model, folder: Path, compress: bool) -> Run:
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


def to_timm(model: Model, folder: Path, compress: bool) -> Run:
    """`config.json` and `model.safetensors`, as timm and the Hugging Face Hub know them."""
    import timm
    import torch

    if not isinstance(model, Recognizer):
        others = ", ".join(name for name in TARGETS.names() if name != "timm")
        raise UsageError(f"timm builds classifiers only, and this is a {type(model).__name__.lower()}: choose {others}")
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

    multilabel, normalise = model.multilabel, model.preprocess.normalise

    @torch.no_grad()
    def run(images: Image) -> Outputs:
        scaled = loaded(torch.from_numpy(np.stack([normalise(image) for image in images]))) / temperature
        return {"probs": (scaled.sigmoid() if multilabel else scaled.softmax(1)).numpy()}

    return run


def _decider(model: Model) -> tuple[Any, Any]:
    """The whole way from pixels to the graph's outputs in torch, and an example of its input."""
    import torch

    from photovision.models.load_network import trained_decider

    if model.info.get("quantized"):
        raise UsageError("an 8-bit model has no weights for torch: export the model that it was made from")
    if not (model.bundle.path / "model.safetensors").is_file():
        raise ModelError(f"{model.bundle.path} holds no network with its weights for torch: choose onnx or openvino")
    return trained_decider(model.bundle), torch.zeros(2, *model.preprocess.size, 3, dtype=torch.uint8)


def _through_torch(loaded: Any, names: Sequence[str]) -> Run:
    import torch

    @torch.no_grad()
    def run(images: Image) -> Outputs:
        return {name: value.numpy() for name, value in zip(names, loaded(torch.from_numpy(images)), strict=True)}

    return run


def _batched(run: Run, images: Image) -> list[Outputs]:
    return [run(np.ascontiguousarray(images[start : start + _BATCH])) for start in range(0, len(images), _BATCH)]


def _generated(size: tuple[int, int]) -> Image:
    """Coarse coloured patches, which networks answer more differently than noise: uint8 (40, H, W, 3)."""
    patches = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)
    rows, columns = (np.arange(side) * 6 // side for side in size)
    return np.ascontiguousarray(patches[:, rows][:, :, columns])
