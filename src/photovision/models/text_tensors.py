"""Names of tensors in models of pictures and text: from those of transformers and open_clip to those used here.

The image part becomes a network of timm, the text part a `photovision.models.text_encoder.TextEncoder`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from photovision.core.errors import ModelError

Tensors = Mapping[str, torch.Tensor]
_LAYER = re.compile(r"(.*)encoder\.layers\.(\d+)\.(.+)\.(weight|bias)")
_PARTS = {
    "layer_norm1": "norm1",
    "layer_norm2": "norm2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "self_attn.out_proj": "attn.proj",
}
"""Of one block: transformers' names -> timm's."""
_TEXT_PARTS = {
    "ln_1": "norm1",
    "ln_2": "norm2",
    "mlp.c_fc": "linear1",
    "mlp.c_proj": "linear2",
    "attn.out_proj": "self_attn.out_proj",
    **{
        "norm1": "norm1",
        "norm2": "norm2",
        "mlp.fc1": "linear1",
        "mlp.fc2": "linear2",
        "attn.proj": "self_attn.out_proj",
    },
}
"""Of one block: open_clip's and timm's names -> torch's."""


def image_tensors(tensors: Tensors, family: str) -> dict[str, torch.Tensor]:
    """The image part of a CLIP or SigLIP of transformers, by timm's names; raises ModelError where something lacks."""
    given = {name.removeprefix("vision_model."): value for name, value in tensors.items() if "vision_model." in name}
    found = _blocks(given)
    try:
        found["patch_embed.proj.weight"] = given["embeddings.patch_embedding.weight"]
        position = given["embeddings.position_embedding.weight"][None]
        _both(found, given, "norm", "post_layernorm")
        if family == "clip":
            found["cls_token"] = given["embeddings.class_embedding"].reshape(1, 1, -1)
            _both(found, given, "norm_pre", "pre_layrnorm")
            found["head.weight"] = tensors["visual_projection.weight"]
            found["head.bias"] = torch.zeros(len(found["head.weight"]))
        else:
            found["patch_embed.proj.bias"] = given["embeddings.patch_embedding.bias"]
            found |= _attention_pool(given)
    except KeyError as error:
        raise ModelError(f"the weights have no tensor {error}: copy the folder again") from None
    found["pos_embed"] = position
    return {name: value.float() for name, value in found.items()}


def _attention_pool(given: Tensors) -> dict[str, torch.Tensor]:
    found = {"attn_pool.latent": given["head.probe"]}
    for kind in ("weight", "bias"):
        query, key_value = given[f"head.attention.in_proj_{kind}"].tensor_split([given["head.probe"].shape[-1]])
        found |= {f"attn_pool.q.{kind}": query, f"attn_pool.kv.{kind}": key_value}
    for name, here in (("proj", "attention.out_proj"), ("norm", "layernorm"), ("mlp.fc1",) * 2, ("mlp.fc2",) * 2):
        _both(found, given, f"attn_pool.{name}", f"head.{here}")
    return found


def text_tensors(tensors: Tensors, layout: str) -> dict[str, torch.Tensor]:
    """The text part of such a model, by the names of `TextEncoder`; raises ModelError where something lacks."""
    try:
        found = _of_transformers(tensors) if layout == "transformers" else _of_open_clip(tensors)
    except KeyError as error:
        raise ModelError(f"the weights have no tensor {error}: copy the folder again") from None
    return {name: value.float() for name, value in found.items()}


def _of_transformers(tensors: Tensors) -> dict[str, torch.Tensor]:
    given = {
        name.removeprefix("text_model."): value for name, value in tensors.items() if name.startswith("text_model.")
    }
    found = _torch_names(_blocks(given))
    found["tokens.weight"] = given["embeddings.token_embedding.weight"]
    found["position"] = given["embeddings.position_embedding.weight"]
    _both(found, given, "norm", "final_layer_norm")
    weight = tensors["text_projection.weight"] if "text_projection.weight" in tensors else given["head.weight"]
    found["projection.weight"] = weight
    found["projection.bias"] = given.get("head.bias", torch.zeros(len(weight)))
    return found


def _of_open_clip(tensors: Tensors) -> dict[str, torch.Tensor]:
    custom = "text.token_embedding.weight" in tensors
    given = {
        name.removeprefix("text."): value for name, value in tensors.items() if name.startswith("text.") or not custom
    }
    blocks = {
        name.replace("transformer.resblocks.", "blocks."): value
        for name, value in given.items()
        if name.startswith("transformer.resblocks.")
    }
    found = _torch_names(blocks)
    found["tokens.weight"], found["position"] = given["token_embedding.weight"], given["positional_embedding"]
    _both(found, given, "norm", "ln_final")
    linear = "text_projection.weight" in given
    found["projection.weight"] = given["text_projection.weight"] if linear else given["text_projection"].T.contiguous()
    found["projection.bias"] = given.get("text_projection.bias", torch.zeros(len(found["projection.weight"])))
    return found


def _blocks(given: Tensors) -> dict[str, torch.Tensor]:
    """All blocks of a transformer of transformers, by timm's names: queries, keys and values in one tensor."""
    found: dict[str, torch.Tensor] = {}
    for name, value in given.items():
        match = _LAYER.fullmatch(name)
        if match is None:
            continue
        _, number, part, kind = match.groups()
        if part in _PARTS:
            found[f"blocks.{number}.{_PARTS[part]}.{kind}"] = value
        elif part == "self_attn.q_proj":
            three = [given[name.replace("q_proj", other)] for other in ("q_proj", "k_proj", "v_proj")]
            found[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat(three)
    return found


def _torch_names(blocks: Tensors) -> dict[str, torch.Tensor]:
    """Blocks by the names of torch's own transformer layer."""
    found = {}
    for name, value in blocks.items():
        _, number, rest = name.split(".", 2)
        part, _, kind = rest.rpartition(".")
        if part == "attn.qkv":
            found[f"blocks.{number}.self_attn.in_proj_{kind}"] = value
        elif rest.startswith("attn.in_proj_"):
            found[f"blocks.{number}.self_{rest}"] = value
        else:
            found[f"blocks.{number}.{_TEXT_PARTS[part]}.{kind}"] = value
    return found


def _both(found: dict[str, torch.Tensor], given: Tensors, name: str, here: str) -> None:
    found |= {f"{name}.{kind}": given[f"{here}.{kind}"] for kind in ("weight", "bias")}
