"""Detectors with queries that are published on the Hugging Face Hub: their names, where they are, what they are.

D-FINE (Peng et al. 2025), RT-DETRv2 (Lv et al. 2024) and RF-DETR (Robicheaux et al. 2026) learned from COCO. Their
weights are read from a folder of the user or from the Hub's cache on this machine, and downloaded only where that is
asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from photovision.core.errors import LicenceError, MissingExtra, ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.checkpoint_folder import FAMILIES, FILES, Described, is_described, read_folder
from photovision.models.hub import snapshot
from photovision.models.licences import SAFE_LICENCES
from photovision.models.weights import LedgerEntry
from photovision.models.weights_folder import is_network

LICENCE = "apache-2.0"
"""Of all weights in CHECKPOINTS."""
_REFUSED = re.compile(r"(roboflow/)?rf-?detr-?(x|2x|xx)(l|large)", re.IGNORECASE)
_COCO = (
    "COCO 2017; annotations CC BY 4.0, photographs under the terms of Flickr, whether they bind weights is unsettled;"
    " backbones learned from ImageNet, or from DINOv2's pictures"
)


@dataclass(frozen=True)
class Checkpoint:
    """Published weights.

    Attributes:
        repo: on the Hugging Face Hub.
        family: of FAMILIES.
        size: side of the square input that they were trained at, in pixels.
        architecture: what differs from the family's defaults, to build it without weights.
    """

    repo: str
    family: str
    size: int
    architecture: Mapping[str, Any]


def _hgnet(stem: tuple[int, int], out: list[int], blocks: list[int], layers: int, affine: bool) -> dict[str, Any]:
    return {
        "model_type": "hgnet_v2",
        "stem_channels": [3, *stem],
        "stage_in_channels": [stem[1], *out[:3]],
        "stage_mid_channels": [stem[1] * factor for factor in (1, 2, 4, 8)],
        "stage_out_channels": out,
        "hidden_sizes": out,
        "stage_num_blocks": blocks,
        "stage_numb_of_layers": [layers] * 4,
        "use_learnable_affine_block": affine,
        "out_indices": [2, 3, 4],
    }


def _dfine(name: str, backbone: dict[str, Any], layers: int, **rest: Any) -> Checkpoint:
    maps = [backbone["stage_out_channels"][number - 1] for number in backbone["out_indices"]]
    common = {"backbone_config": backbone, "encoder_in_channels": maps, "decoder_layers": layers}
    return Checkpoint(
        f"ustc-community/dfine-{name}-coco", "d_fine", 640, {**common, "decoder_n_points": [3, 6, 3], **rest}
    )


def _rtdetr(name: str, depths: list[int], layers: int, basic: bool, **rest: Any) -> Checkpoint:
    hidden = [64, 128, 256, 512] if basic else [256, 512, 1024, 2048]
    backbone = {
        "model_type": "rt_detr_resnet",
        "hidden_sizes": hidden,
        "depths": depths,
        "layer_type": "basic" if basic else "bottleneck",
        "out_indices": [2, 3, 4],
    }
    common = {"backbone_config": backbone, "encoder_in_channels": hidden[1:], "decoder_layers": layers}
    return Checkpoint(f"PekingU/rtdetr_v2_{name}vd", "rt_detr_v2", 640, {**common, **rest})


def _rfdetr(name: str, size: int, layers: int, patch: int = 16, windows: int = 2, first: int = 3) -> Checkpoint:
    backbone = {
        "model_type": "rf_detr_dinov2",
        "hidden_size": 384,
        "num_attention_heads": 6,
        "image_size": size,
        "patch_size": patch,
        "num_windows": windows,
        "out_features": [f"stage{first + 3 * number}" for number in range(4)],
    }
    return Checkpoint(
        f"Roboflow/rf-detr-{name}",
        "rf_detr",
        size,
        {"backbone_config": backbone, "decoder_layers": layers, "decoder_n_points": 2},
    )


_B0 = ((16, 16), [64, 256, 512, 1024], [1, 1, 2, 1], 3, True)
_NANO: dict[str, Any] = {
    "encoder_hidden_dim": 128,
    "encoder_ffn_dim": 512,
    "encode_proj_layers": [1],
    "d_model": 128,
    "decoder_ffn_dim": 512,
    "decoder_in_channels": [128, 128],
    "decoder_n_points": [6, 6],
    "num_feature_levels": 2,
    "feat_strides": [16, 32],
    "depth_mult": 0.5,
    "hidden_expansion": 0.34,
}
_WIDE: dict[str, Any] = {"encoder_hidden_dim": 384, "encoder_ffn_dim": 2048, "decoder_in_channels": [384, 384, 384]}

CHECKPOINTS = {
    "dfine-n": _dfine("nano", {**_hgnet(*_B0), "out_indices": [3, 4]}, 3, **_NANO),
    "dfine-s": _dfine("small", _hgnet(*_B0), 3, depth_mult=0.34, hidden_expansion=0.5),
    "dfine-m": _dfine("medium", _hgnet((24, 32), [96, 384, 768, 1536], [1, 1, 3, 1], 4, True), 4, depth_mult=0.67),
    "dfine-l": _dfine("large", _hgnet((32, 48), [128, 512, 1024, 2048], [1, 1, 3, 1], 6, False), 6),
    "dfine-x": _dfine("xlarge", _hgnet((32, 64), [128, 512, 1024, 2048], [1, 2, 5, 2], 6, False), 6, **_WIDE),
    "rtdetr-v2-r18": _rtdetr("r18", [2, 2, 2, 2], 3, True, hidden_expansion=0.5),
    "rtdetr-v2-r34": _rtdetr("r34", [3, 4, 6, 3], 4, True, hidden_expansion=0.5),
    "rtdetr-v2-r50": _rtdetr("r50", [3, 4, 6, 3], 6, False),
    "rtdetr-v2-r101": _rtdetr("r101", [3, 4, 23, 3], 6, False, **_WIDE),
    "rf-detr-nano": _rfdetr("nano", 384, 2),
    "rf-detr-small": _rfdetr("small", 512, 3),
    "rf-detr-medium": _rfdetr("medium", 576, 4),
    "rf-detr-base": _rfdetr("base", 560, 3, 14, 4, 2),
    "rf-detr-large": _rfdetr("large", 704, 4),
}
"""Name -> published weights, all under the Apache licence 2.0."""


def is_checkpoint(name: str | None) -> bool:
    """Whether a backbone's name means such a detector: a name of the table, or a folder with a description of one.

    Raises:
        LicenceError: RF-DETR XL and 2XL, whose licence is not a free one.

    Example:
        >>> is_checkpoint("dfine-s"), is_checkpoint("resnet18"), is_checkpoint(None)
        (True, False, False)
    """
    if name is None:
        return False
    if _REFUSED.fullmatch(name):
        raise LicenceError(
            f"{name} is under Roboflow's Platform Model License 1.0, which is not a free licence, so it is not offered:"
            " choose rf-detr-large or dfine-x (Apache-2.0)"
        )
    if name in CHECKPOINTS:
        return True
    # A folder may have the name of an architecture of timm; a path is meant as one.
    folder = Path(name)
    if not folder.is_dir() or is_network(folder):
        return False
    return len(folder.parts) > 1 or name.startswith(".") or is_described(folder)


def describe(name: str, weights: str = "auto", allow_download: bool = False) -> Described:
    """Find a detector and check all of it but the weights themselves.

    Args:
        name: of CHECKPOINTS, or a folder with FILES.
        weights: "auto" or "hub": the folder, the Hub's cache, or a download; "none": random ones.
        allow_download: whether the network may be used.

    Raises:
        UsageError: the weights are not here; the message says how to get them.
        ModelError: the folder is not a model of these families, or is damaged.
        MissingExtra: transformers is not installed.
    """
    require()
    if weights not in ("auto", "hub", "none"):
        raise UsageError(
            f"--weights of {name} should be auto, hub or none, got '{weights}': weights of your own are given as a"
            " folder, --backbone FOLDER"
        )
    if name not in CHECKPOINTS:
        found = read_folder(Path(name))
        return _without_weights(found) if weights == "none" else found
    checkpoint = CHECKPOINTS[name]
    if weights == "none":
        family, size = FAMILIES[checkpoint.family], (checkpoint.size, checkpoint.size)
        preprocess = Preprocess(size, mean=family.mean, std=family.std)
        return _without_weights(Described(family, checkpoint.architecture, (), (), 0, preprocess, None, name, LICENCE))
    folder = _from_hub(name, checkpoint.repo, allow_download)
    found = read_folder(folder)
    if found.family is not FAMILIES[checkpoint.family]:
        raise ModelError(f"{folder} holds a {found.family.title}, which {name} is not: remove it and get it again")
    return replace(found, name=name, licence=LICENCE, revision=folder.name)


def available(name: str) -> bool:
    """Whether the weights of a name are in the Hub's cache on this machine; without the network."""
    if find_spec("huggingface_hub") is None:
        return False
    from huggingface_hub import try_to_load_from_cache

    return all(isinstance(try_to_load_from_cache(CHECKPOINTS[name].repo, file), str) for file in FILES[::2])


def require() -> None:
    """Raise MissingExtra where transformers is not installed."""
    if find_spec("transformers") is None:
        raise MissingExtra("transformers", "a detector of the families D-FINE, RT-DETRv2 and RF-DETR")


def _from_hub(name: str, repo: str, allow_download: bool) -> Path:
    folder = snapshot(repo, FILES, allow_download)
    if folder is None or not (folder / FILES[2]).is_file():
        raise UsageError(_missing(name, repo))
    return folder


def _missing(name: str, repo: str) -> str:
    return (
        f"the weights of {name} are not on this machine: run 'photovision weights get {name}' or add --allow-download"
        f" (both use the network), or copy {', '.join(FILES)} from https://huggingface.co/{repo} into a folder and"
        " name that; --weights none learns from scratch"
    )


def checkpoint_ledger(found: Described, own: bool = True) -> list[LedgerEntry]:
    """What a model from such a detector is made of, and under which licences.

    Args:
        found: where it starts from.
        own: whether it learned from pictures of the user.
    """
    entries = [
        LedgerEntry("code", "Photovision", "apache-2.0", True),
        LedgerEntry("code", f"transformers ({found.family.title})", "apache-2.0", True),
    ]
    if found.folder is not None:
        published = bool(found.revision)  # a folder may have any name
        origin = CHECKPOINTS[found.name].repo if published else "a local folder"
        note = "" if published else "as its README.md says" if found.licence != "unknown" else "the user must know it"
        free = found.licence in SAFE_LICENCES
        entries.append(LedgerEntry("weights", f"{found.name}: {origin}", found.licence, free, note))
        data = ("custom", _COCO) if published else ("unknown", "")
        entries.append(LedgerEntry("training data", "of the pretrained weights", data[0], None, data[1]))
    if own:
        entries.append(LedgerEntry("training data", "the user's own pictures", "the user's", None))
    return entries


def _without_weights(found: Described) -> Described:
    # Frozen statistics are those of pretraining; a network from scratch has none yet.
    architecture = {**found.architecture, "freeze_backbone_batch_norms": False}
    return replace(found, architecture=architecture, classes=(), columns=(), outputs=0, folder=None)
