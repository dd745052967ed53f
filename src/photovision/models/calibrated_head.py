"""The temperature inside the last layer of published weights, so that timm and transformers give calibrated answers.

The softmax of logits that were divided by the temperature is calibrated; other programs know no temperature. So the
last layer in model.safetensors is divided by it, which the file's header states, and multiplied again where Photovision
itself loads the network. Only networks that timm builds, those with a config.json, are published in this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from photovision.core.errors import ModelError
from photovision.core.files import explained

HEADER = "temperature"
"""The entry of the header of model.safetensors that says what the last layer was divided by."""


def fold_temperature(folder: Path, info: Mapping[str, Any]) -> None:
    """Divide the last layer of a bundle's weights by its temperature, where that is not done yet.

    Args:
        folder: of the bundle.
        info: what its bundle.json holds.
    """
    weights, name = folder / "model.safetensors", str((info.get("backbone") or {}).get("name"))
    if not (weights.is_file() and (folder / "config.json").is_file() and timm.is_model(name)):
        return
    head, before, wanted = _head(name), temperature_in(weights), float(info["temperature"])
    if head is None or before == wanted:
        return
    state = load_file(weights)
    for key in (f"{head}.weight", f"{head}.bias"):
        if key in state:
            state[key] = state[key] * (before / wanted)
    with explained(folder):
        save_file(state, weights, metadata={"format": "pt", HEADER: repr(wanted)})


@torch.no_grad()
def unfold_temperature(network: nn.Module, weights: Path) -> None:
    """Multiply the last layer of a network that was loaded from such weights, which gives its own logits again."""
    temperature = temperature_in(weights)
    if temperature != 1:
        layer = network.get_classifier()  # type: ignore[operator]
        for parameter in layer.parameters():
            parameter.mul_(temperature)


def temperature_in(weights: Path) -> float:
    """What the last layer was divided by; 1 for weights of older bundles. Raises ModelError for a damaged header."""
    try:
        with safe_open(weights, "pt") as file:
            found = float((file.metadata() or {}).get(HEADER, 1))
    except Exception as error:  # safetensors' errors have no common root with ValueError
        raise ModelError(f"{weights} cannot be read ({error}): copy the bundle again") from None
    if not 0 < found < float("inf"):
        raise ModelError(f"{weights} states a temperature of {found}, which should be above 0: copy the bundle again")
    return found


def _head(name: str) -> str | None:
    """The name of the last layer of a timm architecture; None where it has several or none."""
    known = timm.get_pretrained_cfg(name)
    found = None if known is None else known.classifier
    return found if isinstance(found, str) else None
