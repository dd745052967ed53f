"""MobileSAM's published weights: the names of their tensors, and filling both networks from them."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from photovision.core.errors import ModelError
from photovision.models.mobilesam.image_encoder import WIDTH, ImageEncoder
from photovision.models.mobilesam.mask_decoder import PromptDecoder


def load_mobilesam(encoder: ImageEncoder, decoder: PromptDecoder, state: Mapping[str, torch.Tensor]) -> None:
    """Fill both networks from MobileSAM's published state.

    Raises:
        ModelError: a tensor is missing, of another shape, or not finite.
    """
    joined = {**state, **_joined(state)}
    for prefix, network in (("encoder", encoder), ("decoder", decoder)):
        for name, value in network.state_dict().items():
            known = theirs(f"{prefix}.{name}")
            found = joined.get(known)
            if found is None or found.shape != value.shape or not bool(torch.isfinite(found).all()):
                shape = tuple(value.shape)
                raise ModelError(f"the weights should hold {known} as {shape} finite numbers: get them again")
            value.copy_(found)


def _joined(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors that lie apart in the published state."""
    parts = {
        "meanings": ["prompt_encoder.not_a_point_embed", *(f"prompt_encoder.point_embeddings.{i}" for i in range(4))],
        "answers": ["mask_decoder.iou_token", "mask_decoder.mask_tokens"],
        "no_mask": ["prompt_encoder.no_mask_embed"],
    }
    names = {key: [f"{name}.weight" for name in names] for key, names in parts.items()}
    for name in (name for key in names for name in names[key]):
        if name not in state or state[name].ndim != 2 or state[name].shape[1] != WIDTH:
            raise ModelError(f"the weights should hold {name} as rows of {WIDTH} numbers: get them again")
    joined = {key: torch.cat([state[name] for name in names[key]]) for key in names}
    return {**joined, "no_mask": joined["no_mask"][0]}


_THEIRS = (
    ("encoder.trunk.patch_embed.conv1.", "image_encoder.patch_embed.seq.0."),
    ("encoder.trunk.patch_embed.conv2.", "image_encoder.patch_embed.seq.2."),
    *((f"encoder.trunk.stages.{i}.downsample.", f"image_encoder.layers.{i - 1}.downsample.") for i in (1, 2, 3)),
    ("encoder.trunk.stages.", "image_encoder.layers."),
    ("encoder.neck.", "image_encoder.neck."),
    ("decoder.prompt_encoder.frequencies", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    ("decoder.prompt_encoder.meanings", "meanings"),
    ("decoder.no_mask", "no_mask"),
    ("decoder.answers", "answers"),
    ("decoder.layers.", "mask_decoder.transformer.layers."),
    ("decoder.last.", "mask_decoder.transformer.final_attn_token_to_image."),
    ("decoder.norm.", "mask_decoder.transformer.norm_final_attn."),
    ("decoder.enlarge.", "mask_decoder.output_upscaling."),
    ("decoder.filters.", "mask_decoder.output_hypernetworks_mlps."),
    ("decoder.estimate.", "mask_decoder.iou_prediction_head."),
)
_PARTS = {
    ".conv.": ".c.",
    ".among.": ".self_attn.",
    ".to_places.": ".cross_attn_token_to_image.",
    ".to_tokens.": ".cross_attn_image_to_token.",
    ".query.": ".q_proj.",
    ".key.": ".k_proj.",
    ".value.": ".v_proj.",
    ".out.": ".out_proj.",
    ".mlp.0.": ".mlp.lin1.",
    ".mlp.2.": ".mlp.lin2.",
    **{f".norms.{i}.": f".norm{i + 1}." for i in range(4)},
}
"""Parts of a name that are called otherwise in the published state."""


def theirs(name: str) -> str:
    """The published name of a tensor.

    Example:
        >>> theirs("decoder.layers.1.among.query.weight")
        'mask_decoder.transformer.layers.1.self_attn.q_proj.weight'
    """
    for ours, other in _THEIRS:
        if name.startswith(ours):
            name = other + name.removeprefix(ours)
            break
    for ours, other in _PARTS.items():
        name = name.replace(ours, other)
    head, _, rest = name.partition("_mlps.")
    if head.startswith("mask_decoder.output_hyper"):
        number, layer, kind = rest.split(".")
        return f"{head}_mlps.{number}.layers.{int(layer) // 2}.{kind}"
    if name.startswith("mask_decoder.iou_prediction_head."):
        layer, kind = name.split(".")[-2:]
        return f"mask_decoder.iou_prediction_head.layers.{int(layer) // 2}.{kind}"
    return name
