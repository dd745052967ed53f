"""A folder of Hugging Face's transformers as a foreign graph: its JSON is bounded, its weights are safetensors, and no
code beside them ever runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from photovision.core.errors import MissingExtra, ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.checkpoint_folder import is_described, read_folder
from photovision.models.foreign_graph import ForeignGraph
from photovision.models.foreign_torch import graph_of
from photovision.models.hub import offline
from photovision.models.hub_folder import bounded_json, stated_licence
from photovision.models.preparation import IMAGENET

KINDS = {
    "ForImageClassification": "AutoModelForImageClassification",
    "ForSemanticSegmentation": "AutoModelForSemanticSegmentation",
    "ForObjectDetection": "AutoModelForObjectDetection",
}
"""End of the name of an architecture -> the class of transformers that opens it."""
_MOST_PARAMETERS, _MOST_CLASSES, _LONGEST = 2_000_000_000, 20_000, 200
_SIDES = range(8, 2049)


class _Outputs(nn.Module):
    """Logits, and boxes where there are some, of a network of transformers."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> Any:
        """Logits, and boxes as shares of the input (middle, width, height)."""
        found = self.network(pixel_values=pixels)
        return (found.logits, found.pred_boxes) if hasattr(found, "pred_boxes") else found.logits


def transformers_source(folder: Path) -> ForeignGraph:
    """The graph of the network in a folder.

    Raises:
        ModelError: something is missing, too large, no safetensors, or of no kind that is known.
        MissingExtra: transformers is not installed.
    """
    if is_described(folder):
        return _queries(folder)
    config = bounded_json(folder / "config.json")
    architecture = str((config.get("architectures") or ["?"])[0])[:_LONGEST]
    kind = next((own for end, own in KINDS.items() if architecture.endswith(end)), None)
    if kind is None:
        raise ModelError(f"{folder} holds {architecture!r}: give a network that ends in {', '.join(KINDS)}")
    if not (folder / "model.safetensors").is_file():
        raise ModelError(f"{folder} has no model.safetensors: weights in pickles or in parts are not read")
    try:
        import transformers
    except ImportError:
        raise MissingExtra("transformers", "a folder of Hugging Face's transformers") from None
    with offline():
        network = _built(transformers, kind, folder)
    seen = folder / "preprocessor_config.json"
    stated = _stated(bounded_json(seen), config) if seen.is_file() else None
    size = (224, 224) if stated is None else stated.size
    found = graph_of(_Outputs(network), folder.resolve().name, stated, size)
    facts = {"source": "transformers", "licence": stated_licence(folder)}
    return replace(found, classes=_names(config), facts=facts)


def _queries(folder: Path) -> ForeignGraph:
    """Of D-FINE, RT-DETRv2 or RF-DETR, which need a way of their own to be written as a graph."""
    from photovision.models.query_detector import QueryDetector

    described = read_folder(folder)
    size = described.preprocess.size
    found = graph_of(QueryDetector(described, size).eval(), described.name, described.preprocess, size)
    return replace(found, classes=described.classes, facts={"source": "transformers", "licence": described.licence})


def _built(transformers: Any, kind: str, folder: Path) -> nn.Module:
    opener = getattr(transformers, kind)
    options = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **options)
        with torch.device("meta"):
            count = sum(one.numel() for one in opener.from_config(config, trust_remote_code=False).parameters())
        if count > _MOST_PARAMETERS:
            raise ModelError(f"{folder} describes a network of {count:,} weights, more than are opened here")
        network: nn.Module = opener.from_pretrained(
            folder, config=config, use_safetensors=True, dtype=torch.float32, attn_implementation="eager", **options
        )
    except ModelError:
        raise
    except Exception as error:  # transformers raises anything from KeyError to errors of its own for odd descriptions
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"the network in {folder} cannot be built ({reason}): copy it again") from None
    return network.eval()


def _stated(seen: dict[str, Any], config: dict[str, Any]) -> Preprocess:
    """What preprocessor_config.json says."""
    factor = 1.0 if seen.get("do_rescale") is False else float(seen.get("rescale_factor", 1 / 255))
    plain = seen.get("do_normalize") is False
    mean, std = (
        ((0.0,) * 3, (1.0,) * 3) if plain else (seen.get("image_mean", IMAGENET[0]), seen.get("image_std", IMAGENET[1]))
    )
    try:
        colours = [tuple(float(value) / (255 * factor) for value in values) for values in (mean, std)]
        (height, width), crop, fit = _size(seen, config)
        filter_ = "bicubic" if seen.get("resample") == 3 else "bilinear"  # Pillow's numbers of filters
        return Preprocess((height, width), fit, crop, filter_, *colours)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError, UsageError) as error:
        raise ModelError(
            f"preprocessor_config.json cannot be understood ({str(error)[:160]}): state size, mean and std"
            " with an ONNX file instead"
        ) from None


def _size(seen: dict[str, Any], config: dict[str, Any]) -> tuple[tuple[int, int], float, Any]:
    """(H, W), the share that is kept, and how a picture is fitted."""
    size, whole = seen.get("size"), seen.get("crop_size")
    sides = _pair(size) or _pair(config.get("image_size")) or (224, 224)
    shortest = size.get("shortest_edge") if isinstance(size, dict) else None
    cut = _pair(whole)
    if seen.get("do_center_crop") and cut is not None:
        long = shortest if isinstance(shortest, int) and shortest in _SIDES else sides[0]
        return cut, min(1.0, cut[0] / long), "crop"
    if isinstance(shortest, int) and shortest in _SIDES:
        share = seen.get("crop_pct")
        return (shortest, shortest), float(share) if isinstance(share, float) and 0 < share <= 1 else 1.0, "crop"
    return sides, 1.0, "squash"


def _pair(value: Any) -> tuple[int, int] | None:
    if isinstance(value, dict):
        value = (value.get("height"), value.get("width"))
    if isinstance(value, int):
        value = (value, value)
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    height, width = value
    fits = isinstance(height, int) and isinstance(width, int) and height in _SIDES and width in _SIDES
    return (height, width) if fits else None


def _names(config: dict[str, Any]) -> tuple[str, ...]:
    """The classes that config.json names; () where it has placeholders."""
    table = config.get("id2label")
    if not isinstance(table, dict) or not 1 <= len(table) <= _MOST_CLASSES:
        return ()
    names = [table.get(str(number)) for number in range(len(table))]
    real = all(isinstance(name, str) and 0 < len(name) <= _LONGEST for name in names)
    if not real or len(set(names)) != len(names) or names[0] == "LABEL_0":
        return ()
    return tuple(str(name) for name in names)
