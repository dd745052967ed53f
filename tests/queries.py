"""Tiny detectors with queries, of the three families, for tests: a few thousand weights, built in milliseconds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from photovision.core.preprocess import Preprocess
from photovision.models.checkpoint_folder import FAMILIES, Described, read_folder
from photovision.models.query_detector import QueryDetector

SIDE = 64
# As many queries as places: random weights find all places alike, and rounding would decide which ones are looked at.
_HEADS = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "decoder_layers": 2, "num_queries": 84}
_NARROW = {
    "encoder_in_channels": [24, 32, 48],
    "encoder_hidden_dim": 32,
    "encoder_ffn_dim": 48,
    "d_model": 32,
    "decoder_in_channels": [32, 32, 32],
    "decoder_ffn_dim": 48,
    "hidden_expansion": 0.5,
    "num_denoising": 10,
    "freeze_backbone_batch_norms": False,
    **_HEADS,
}
TINY: dict[str, dict[str, Any]] = {
    "d_fine": {
        **_NARROW,
        "depth_mult": 0.34,
        "decoder_n_points": [2, 2, 2],
        "backbone_config": {
            "model_type": "hgnet_v2",
            "stem_channels": [3, 8, 12],
            "stage_in_channels": [12, 16, 24, 32],
            "stage_mid_channels": [12, 12, 16, 16],
            "stage_out_channels": [16, 24, 32, 48],
            "hidden_sizes": [16, 24, 32, 48],
            "stage_num_blocks": [1, 1, 1, 1],
            "stage_numb_of_layers": [2, 2, 2, 2],
            "out_indices": [2, 3, 4],
        },
    },
    "rt_detr_v2": {
        **_NARROW,
        "decoder_n_points": 2,
        "backbone_config": {
            "model_type": "rt_detr_resnet",
            "embedding_size": 16,
            "hidden_sizes": [16, 24, 32, 48],
            "depths": [1, 1, 1, 1],
            "layer_type": "basic",
            "out_indices": [2, 3, 4],
        },
    },
    "rf_detr": {
        "d_model": 32,
        "decoder_ffn_dim": 48,
        "decoder_self_attention_heads": 2,
        "decoder_cross_attention_heads": 2,
        "decoder_layers": 2,
        "decoder_n_points": 2,
        "num_queries": 20,
        "group_detr": 3,
        "dropout": 0.0,
        "c2f_num_blocks": 1,
        "backbone_config": {
            "model_type": "rf_detr_dinov2",
            "hidden_size": 32,
            "num_hidden_layers": 4,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": 8,
            "num_windows": 2,
            "out_features": ["stage2", "stage4"],
        },
    },
}


def tiny(family: str, size: tuple[int, int] = (SIDE, SIDE)) -> Described:
    """A description of a tiny detector without weights."""
    made = FAMILIES[family]
    preprocess = Preprocess(size, mean=made.mean, std=made.std)
    architecture = {"model_type": family, **TINY[family]}
    return Described(made, architecture, (), (), 0, preprocess, None, f"tiny-{family}", "unknown")


def tiny_folder(folder: Path, family: str, classes: tuple[str, ...] = ("circle", "square"), seed: int = 0) -> Path:
    """A folder of a tiny detector with random weights, as transformers writes it."""
    torch.manual_seed(seed)
    found = tiny(family)
    QueryDetector(found, (SIDE, SIDE), classes).save(folder, found.preprocess)
    assert read_folder(folder).classes == classes
    return folder
