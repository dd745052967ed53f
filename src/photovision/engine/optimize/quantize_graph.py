"""Quantising an ONNX graph: weights and feature maps in 8 bits instead of 32.

NNCF (Apache-2.0) puts pairs of QuantizeLinear and DequantizeLinear into the graph, which OpenVINO and ONNX Runtime both
run as integer arithmetic (post-training quantisation; Jacob et al. 2018).
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photovision.core.errors import ExportError, MissingExtra
from photovision.core.types import Image
from photovision.engine.optimize.quantize_layers import Layers, layers, straighten
from photovision.runtime.session import without_telemetry


@dataclass(frozen=True)
class QuantizeSetting:
    """How careful the quantisation is.

    Attributes:
        name: what it is called in the bundle.
        preset: "performance" has symmetric ranges, "mixed" asymmetric ones for feature maps.
        fast: whether biases are corrected by the quick method (Nagel et al. 2019) or layer by layer.
        spared: kinds of layers that stay in float, fields of `quantize_layers.Layers`.
    """

    name: str
    preset: str
    fast: bool
    spared: tuple[str, ...]

    def kept(self, found: Layers) -> list[str]:
        """The names of the nodes of a graph that stay in float."""
        return sorted({node for kind in self.spared for node in getattr(found, kind)})


SETTINGS = (
    QuantizeSetting("plain", "mixed", True, ("ends",)),
    QuantizeSetting("careful", "mixed", True, ("ends", "first", "squeeze")),
    QuantizeSetting("corrected", "mixed", False, ("ends", "first", "squeeze")),
    QuantizeSetting("backbone", "mixed", False, ("ends", "first", "squeeze", "normed")),
    QuantizeSetting("spared", "mixed", False, ("ends", "first", "squeeze", "normed", "depthwise")),
)
"""From the fastest to the most careful. The last layers cost next to nothing, and explanations read their weights;
convolutions of single channels in float cost speed."""


def different_settings(graph: Path) -> list[QuantizeSetting]:
    """The settings that treat this graph in different ways: most networks lack some kinds of layers."""
    import onnx

    found, known = layers(onnx.load(str(graph), load_external_data=False)), list[tuple[bool, list[str]]]()
    chosen = []
    for setting in SETTINGS:
        if (what := (setting.fast, setting.kept(found))) not in known:
            known.append(what)
            chosen.append(setting)
    return chosen


def compressor() -> Any:
    """The module nncf, kept from sending usage data; raises MissingExtra where it is not installed."""
    without_telemetry()
    try:
        with _quiet():
            import nncf
    except ImportError:
        raise MissingExtra("nncf", "quantising to 8 bits") from None
    return nncf


def quantize_graph(
    nncf: Any, graph: Path, images: Image | Sequence[Image], setting: QuantizeSetting, target: Path
) -> Layers:
    """Write an 8-bit version of an ONNX graph.

    Args:
        nncf: of `compressor`.
        graph: the file to quantise, with one uint8 input (N, H, W, 3).
        images: uint8 (M, H, W, 3) as the network sees them.
        setting: how.
        target: file to write.

    Returns:
        The layers of the graph by their kinds.

    Raises:
        ExportError: NNCF cannot quantise it.
    """
    import onnx

    model = onnx.load(str(graph), load_external_data=False)
    straighten(model)
    name, found = model.graph.input[0].name, layers(model)
    try:
        with _quiet():
            quantized = nncf.quantize(
                model,
                nncf.Dataset([{name: image[None]} for image in images]),
                preset=nncf.QuantizationPreset(setting.preset),
                subset_size=len(images),
                fast_bias_correction=setting.fast,
                model_type=nncf.ModelType.TRANSFORMER if found.attention else None,
                ignored_scope=nncf.IgnoredScope(names=setting.kept(found), validate=False),
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
    return found


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
