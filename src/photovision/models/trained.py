"""Trained: the network of a bundle, for work that needs gradients or what happens inside."""

from __future__ import annotations

import timm
from torch import nn

from photovision.core.errors import ModelError, UsageError
from photovision.models.backbones import Source, create, load_tensors, read_weights
from photovision.models.small import SMALL
from photovision.models.widths import resize
from photovision.runtime.bundle import Bundle


def trained_network(bundle: Bundle) -> nn.Module:
    """The trained network of a bundle in torch, in evaluation mode, on the CPU.

    It takes normalised pictures float32 (N, 3, H, W) and gives logits float32 (N, C), before the temperature.

    Raises:
        ModelError: the bundle has no weights for torch, or they do not fit its network.
    """
    weights = bundle.path / "model.safetensors"
    backbone = bundle.info.get("backbone")
    name, widths = (backbone.get(key) if isinstance(backbone, dict) else None for key in ("name", "widths"))
    if not weights.is_file() or not isinstance(name, str):
        raise ModelError(f"{bundle.path} holds no network with its weights (model.safetensors): train the model again")
    # timm would take other names, such as "hf-hub:...", for an order to download.
    if name not in SMALL and not timm.is_model(name):
        raise ModelError(f"{bundle.path} holds a network that is not known here, '{name}': upgrade timm or train again")
    try:
        network = create(Source(name, "none", bundle.preprocess), len(bundle.classes))
        if isinstance(widths, dict):
            resize(network, widths)
        load_tensors(network, read_weights(str(weights)), str(weights), strict_head=True)
    except UsageError as error:
        raise ModelError(f"the network of {bundle.path} cannot be built: {error}") from None
    return network.eval()
