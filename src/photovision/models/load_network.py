"""Trained: the network of a bundle, for work that needs gradients or what happens inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import timm
from torch import nn

from photovision.core.errors import ModelError, UsageError
from photovision.models.backbones import Backbone, create, load_tensors, read_weights
from photovision.models.calibrated_head import unfold_temperature
from photovision.models.pruned_shapes import resize
from photovision.models.small import SMALL
from photovision.models.weights_folder import check_args
from photovision.runtime.bundle import Bundle

if TYPE_CHECKING:
    from photovision.models.detector import DetectorNetwork
    from photovision.models.segmenter import SegmenterNetwork

Network = TypeVar("Network", bound=nn.Module)
T = TypeVar("T")


def trained_network(bundle: Bundle) -> nn.Module:
    """The trained network of a bundle in torch, in evaluation mode, on the CPU.

    It takes normalised pictures float32 (N, 3, H, W) and gives logits float32 (N, C), before the temperature.

    Raises:
        ModelError: the bundle has no weights for torch, or they do not fit its network.
    """
    widths = _backbone(bundle).get("widths")
    try:
        network = create(source_of(bundle), len(bundle.classes))
        if isinstance(widths, dict):
            resize(network, widths)
        return _filled(network, bundle)
    except UsageError as error:
        raise ModelError(f"the network of {bundle.path} cannot be built: {error}") from None


def trained_detector(bundle: Bundle) -> DetectorNetwork:
    """The trained detector of a bundle in torch, in evaluation mode, on the CPU; raises ModelError likewise."""
    from photovision.models.detector import DetectorNetwork

    try:
        return _filled(DetectorNetwork(source_of(bundle), len(bundle.classes)), bundle)
    except UsageError as error:
        raise ModelError(f"the network of {bundle.path} cannot be built: {error}") from None


def trained_segmenter(bundle: Bundle) -> SegmenterNetwork:
    """The trained segmenter of a bundle in torch, in evaluation mode, on the CPU; raises ModelError likewise."""
    from photovision.models.segmenter import Decoder, SegmenterNetwork

    try:
        decoder = Decoder(**bundle.info.get("decoder", {}))  # older bundles do not name it
        instances = bool(bundle.info.get("instances"))
        return _filled(SegmenterNetwork(source_of(bundle), len(bundle.classes), instances, decoder), bundle)
    except (UsageError, TypeError, ValueError) as error:
        raise ModelError(f"the network of {bundle.path} cannot be built: {error}") from None


def calibration_of(bundle: Bundle, read: Callable[[dict[str, Any]], T]) -> T:
    """What `read` finds in bundle.json of the calibration that torch needs, too; raises ModelError where it fails."""
    try:
        return read(bundle.info)
    except (KeyError, TypeError, ValueError) as error:
        why = f"{bundle.path} has no calibration ({error}), which torch needs"
        raise ModelError(f"{why}: {bundle.origin.no_network}") from None


def _backbone(bundle: Bundle) -> dict[str, Any]:
    backbone = bundle.info.get("backbone")
    return backbone if isinstance(backbone, dict) else {}


def source_of(bundle: Bundle) -> Backbone:
    """What the network is built from; raises ModelError where it is none of ours, or its weights are not there."""
    name = _backbone(bundle).get("name")
    if not (bundle.path / "model.safetensors").is_file() or not isinstance(name, str):
        raise ModelError(
            f"{bundle.path} holds no network with its weights (model.safetensors): {bundle.origin.no_network}"
        )
    # timm would take other names, such as "hf-hub:...", for an order to download.
    if name not in SMALL and not timm.is_model(name):
        raise ModelError(f"{bundle.path} holds a network that is not known here, '{name}': upgrade timm or train again")
    args = check_args(_backbone(bundle).get("args"), bundle.path / "bundle.json")
    cosine = _backbone(bundle).get("cosine")
    return Backbone(name, "none", bundle.preprocess, args=args, cosine=cosine)


def _filled(network: Network, bundle: Bundle) -> Network:
    weights = str(bundle.path / "model.safetensors")
    load_tensors(network, read_weights(weights), weights, strict_head=True)
    unfold_temperature(network, bundle.path / "model.safetensors")
    return network.eval()
