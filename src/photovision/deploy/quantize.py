"""Quantise: weights and feature maps in 8 bits instead of 32, calibrated on the user's own pictures.

NNCF (Apache-2.0) puts pairs of QuantizeLinear and DequantizeLinear into the ONNX graph, which OpenVINO and ONNX Runtime
both run as integer arithmetic (post-training quantisation; Jacob et al. 2018). Ranges come from training pictures. The
settings are tried from the fastest to the most careful one, until accuracy on validation pictures holds and, where that
costs no speed, hardly any answer has changed: on few pictures a small loss is chance, but every changed answer is a
risk.
"""

from __future__ import annotations

import contextlib
import io
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from photovision.core.errors import DataError, ExportError, MissingExtra, UnreadableImage
from photovision.data.dataset import Dataset
from photovision.deploy.optimize_classes import OptimizeRun
from photovision.deploy.refit import write_copy
from photovision.engine.optimize.quantize_layers import layers, straighten
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Engine, without_telemetry
from photovision.runtime.stream import loader
from photovision.tasks.classify.evaluation import ClassifyEvaluation, evaluate
from photovision.tasks.classify.recognizer import Recognizer

CALIBRATING = 300
"""Training pictures that ranges are learned from, NNCF's own number."""
ALIKE = 0.98
"""Least share of pictures with the same answer from both engines: their integer arithmetic rounds differently, and on
the border between two classes any rounding decides."""
_COMPARED = 128


@dataclass(frozen=True)
class QuantizeSetting:
    """How careful the quantisation is.

    Attributes:
        name: what it is called in the bundle.
        preset: "performance" has symmetric ranges, "mixed" asymmetric ones for feature maps.
        fast: whether biases are corrected by the quick method (Nagel et al. 2019) or layer by layer.
        spared: kinds of layers that stay in float, fields of `layers.Layers`.
    """

    name: str
    preset: str
    fast: bool
    spared: tuple[str, ...]


SETTINGS = (
    QuantizeSetting("plain", "mixed", True, ("last",)),
    QuantizeSetting("careful", "mixed", False, ("last", "first", "squeeze")),
    QuantizeSetting("spared", "mixed", False, ("last", "first", "squeeze", "depthwise")),
)
"""From the fastest to the most careful. The last layer costs next to nothing, and explanations read its weights."""


@dataclass(frozen=True, eq=False)
class _Tried:
    setting: QuantizeSetting
    folder: Path
    parity: dict[str, Any]
    drop: float

    @property
    def changed(self) -> float:
        """The share of the validation pictures that get another answer than before."""
        return 1 - float(self.parity["agreement"])

    def within(self, max_drop: float) -> bool:
        return self.drop <= max_drop + 1e-9


def int8(job: OptimizeRun) -> Path:
    """Quantise a model to 8 bits; its torch weights, which are not those of the new graph, stay behind.

    Raises:
        MissingExtra: nncf is not installed.
        DataError: no training picture could be read.
        ExportError: the graph cannot be quantised, or OpenVINO and ONNX Runtime do not agree on it.
    """
    nncf = compressor()
    images = _calibrating(job.training, job.model)
    before = evaluate(job.model, job.validation)
    began, tried, refused = time.monotonic(), list[_Tried](), list[ExportError]()
    for done, setting in enumerate(SETTINGS):
        if done and (time.monotonic() - began) * (1 + 1 / done) > job.minutes * 60:
            break
        job.say(f"int8, setting '{setting.name}': ranges of {len(images)} pictures")
        try:
            tried.append(_try(nncf, job, setting, images, before))
        except ExportError as error:
            refused.append(error)
            continue
        # Convolutions of single channels in float cost speed: the last setting is for where accuracy demands it.
        few = tried[-1].changed <= 2 * job.max_drop + 1e-9
        if tried[-1].within(job.max_drop) and (few or setting is SETTINGS[-2]):
            break
        lost = f"{100 * tried[-1].drop:.1f} points lost"
        job.say(f"int8, setting '{setting.name}': {lost}, {100 * tried[-1].changed:.1f} % of the answers changed")
    if not tried:
        raise refused[-1]
    # The first of equal ones, which is the faster one.
    best = min(tried, key=lambda one: (not one.within(job.max_drop), one.changed))
    changes = {"parity": best.parity, "quantized": {**vars(best.setting), "pictures": len(images)}}
    return write_copy(job, best.folder / "model.onnx", changes, weights=False)


def bf16(job: OptimizeRun) -> Path:
    """Let a model compute in bf16 on every processor that can, whatever its first parity check said.

    The graph stays as it is. Processors without bf16 compute in float32. Accuracy is measured by the caller.
    """
    changed = Bundle(job.model.bundle.path, {**job.model.info, "parity": {"precision": "bf16"}, "doubt": None})
    fast, exact = Recognizer(changed, precision="bf16"), Recognizer(changed, precision="f32")
    pictures = _some(job.validation, _COMPARED)
    said, expected = (evaluate(model, pictures).probs for model in (fast, exact))
    parity = {
        "pictures": len(said),
        "max_abs_prob_difference": float(np.abs(said - expected).max()),
        "agreement": float((said.argmax(1) == expected.argmax(1)).mean()),
        "precision": "bf16",
        "tolerance": None,
    }
    return write_copy(job, job.model.bundle.graph, {"parity": parity}, weights=True)


def compressor() -> Any:
    """The module nncf, kept from sending usage data; raises MissingExtra where it is not installed."""
    without_telemetry()
    try:
        with _quiet():
            import nncf
    except ImportError:
        raise MissingExtra("nncf", "optimize", "quantising to 8 bits") from None
    return nncf


def quantize_graph(nncf: Any, graph: Path, images: np.ndarray, setting: QuantizeSetting, target: Path) -> None:
    """Write an 8-bit version of an ONNX graph.

    Args:
        nncf: of `compressor`.
        graph: the file to quantise, with one uint8 input (N, H, W, 3).
        images: uint8 (M, H, W, 3) as the network sees them.
        setting: how.
        target: file to write.

    Raises:
        ExportError: NNCF cannot quantise it.
    """
    import onnx

    model = onnx.load(str(graph), load_external_data=False)
    straighten(model)
    name, found = model.graph.input[0].name, layers(model)
    kept = sorted({node for kind in setting.spared for node in getattr(found, kind)})
    try:
        with _quiet():
            quantized = nncf.quantize(
                model,
                nncf.Dataset([{name: image[None]} for image in images]),
                preset=nncf.QuantizationPreset(setting.preset),
                subset_size=len(images),
                fast_bias_correction=setting.fast,
                model_type=nncf.ModelType.TRANSFORMER if found.attention else None,
                ignored_scope=nncf.IgnoredScope(names=kept, validate=False),
                # ONNX Runtime runs no convolution whose input has a range for every channel.
                advanced_parameters=nncf.AdvancedQuantizationParameters(
                    activations_quantization_params=nncf.quantization.advanced_parameters.QuantizationParameters(
                        per_channel=False
                    )
                ),
            )
    except Exception as error:  # whatever the graph's operations make the library raise
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise ExportError(f"this network cannot be quantised ({reason}): leave out --int8") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(quantized, str(target))


def _try(
    nncf: Any, job: OptimizeRun, setting: QuantizeSetting, images: np.ndarray, before: ClassifyEvaluation
) -> _Tried:
    folder = job.work / f"int8-{setting.name}"
    quantize_graph(nncf, job.model.bundle.graph, images, setting, folder / "model.onnx")
    # What is left in float is computed in float32: it is little, and the answers are the same on every machine.
    info = {**job.model.info, "doubt": None, "parity": {"precision": "f32"}}
    bundle = Bundle(folder, info)
    parity = _engines(bundle, job)
    after = evaluate(Recognizer(bundle), job.validation)
    same = _same(before, after)
    parity |= {"agreement": same, "precision": "f32", "tolerance": None}
    return _Tried(setting, folder, parity, float(before.right.mean() - after.right.mean()))


def _engines(bundle: Bundle, job: OptimizeRun) -> dict[str, Any]:
    """Whether both engines say the same of real pictures; raises ExportError where they do not."""
    pictures = _some(job.validation, _COMPARED)
    engines: tuple[Engine, Engine] = ("openvino", "onnxruntime")
    first, second = (evaluate(Recognizer(bundle, engine=engine), pictures) for engine in engines)
    agreement, gap = _same(first, second), float(np.abs(first.probs - second.probs).max())
    if (1 - agreement) * len(first.probs) > max(1.0, (1 - ALIKE) * len(first.probs)) + 1e-6:
        raise ExportError(
            f"OpenVINO and ONNX Runtime give the same answer for only {100 * agreement:.1f} % of {len(first.probs)}"
            f" pictures in 8 bits, at least {100 * ALIKE:.0f} % are needed: leave out --int8"
        )
    return {"pictures": len(first.probs), "max_abs_prob_difference": gap, "engines_agree": agreement}


def _same(a: ClassifyEvaluation, b: ClassifyEvaluation) -> float:
    return float((a.predicted == b.predicted).all(1).mean())


def _some(dataset: Dataset, most: int) -> Dataset:
    """Evenly spread pictures of a data set."""
    return dataset.subset(np.unique(np.linspace(0, len(dataset) - 1, min(most, len(dataset))).astype(int)))


def _calibrating(dataset: Dataset, model: Recognizer) -> np.ndarray:
    """Pictures as the network sees them, uint8 (M, H, W, 3); unreadable ones are left out."""
    load, images = loader(model.preprocess), []
    for sample in _some(dataset, CALIBRATING).samples:
        with contextlib.suppress(UnreadableImage):
            images.append(load(sample.image))
    if not images:
        raise DataError("none of the training pictures could be read: check the files")
    return np.stack(images)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """NNCF draws bars, and logs; the libraries below it warn."""
    logger, noise = logging.getLogger("nncf"), io.StringIO()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
