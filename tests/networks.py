"""Tiny random networks of the families that people bring, as folders in the formats of timm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file

_VIT = {"embed_dim": 32, "depth": 3, "num_heads": 2}
TINY: dict[str, tuple[str, dict[str, Any], int]] = {
    "vit": ("vit_tiny_patch16_224", {**_VIT, "img_size": 64}, 64),
    "dinov2": ("vit_small_patch14_reg4_dinov2", {**_VIT, "img_size": 70}, 70),
    "dinov3": ("vit_small_patch16_dinov3", {**_VIT, "img_size": 64}, 64),
    "siglip": ("vit_base_patch16_siglip_224", {**_VIT, "img_size": 64}, 64),
    "convnext": ("convnext_atto", {"dims": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}, 64),
    "swin": (
        "swin_tiny_patch4_window7_224",
        {"embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "img_size": 56},
        56,
    ),
}
"""Name -> architecture of timm, its arguments, the side of its input."""


def timm_folder(folder: Path, name: str, classes: int = 0, **config: Any) -> Path:
    """A folder as timm saves one, with random weights that tell places apart; `config` changes its description."""
    architecture, args, side = TINY[name]
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=classes, **args)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    described = {
        "architecture": architecture,
        "num_classes": classes,
        "model_args": args,
        "pretrained_cfg": {"input_size": [3, side, side], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    }
    folder.mkdir(parents=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**described, **config}), encoding="utf-8")
    return folder
