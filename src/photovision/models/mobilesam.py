"""MobileSAM: a small network that looks at a picture, and one that answers prompts (Zhang et al. 2023).

The first is timm's TinyViT (Wu et al. 2022), whose last stage stays as fine as the one before, and two convolutions.
The second is the prompt encoder and mask decoder of Segment Anything (Kirillov et al. 2023), implemented from the
paper: prompts become tokens, tokens and places of the picture look at each other twice, and every mask's token becomes
a filter over the enlarged places.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import timm
import torch
from torch import nn
from torch.nn import functional

from photovision.core.errors import ModelError

WIDTH, HEADS, DEPTH, MASKS = 256, 8, 2, 4
"""Of the decoder: channels, attention heads, layers; the masks that it answers with, the first for clear prompts."""
STRIDE = 16
"""Pixels of the input to one place of the embedding."""


class ImageEncoder(nn.Module):
    """From normalised pictures float32 (N, 3, S, S) to embeddings float32 (N, 256, S / 16, S / 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = timm.create_model("tiny_vit_5m_224", pretrained=False, num_classes=0)
        self.trunk.head = nn.Identity()
        self.trunk.stages[3].downsample.conv2.conv.stride = (1, 1)
        self.neck = nn.Sequential(
            nn.Conv2d(self.trunk.num_features, WIDTH, 1, bias=False),
            ChannelNorm(WIDTH),
            nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False),
            ChannelNorm(WIDTH),
        )

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """Look at a batch."""
        found: torch.Tensor = self.neck(self.trunk.forward_features(pictures))
        return found


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of maps (N, C, H, W)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Normalise."""
        centred = maps - maps.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return scaled * self.weight[:, None, None] + self.bias[:, None, None]


class PromptDecoder(nn.Module):
    """From embeddings and prompts to masks.

    Args:
        size: S, the side of the encoder's input in pixels.

    `forward` takes the embedding float32 (1, 256, S / 16, S / 16), points float32 (N, P, 2), x and y in pixels of the
    encoder's input, and what each means, float32 (N, P): 1 inside, 0 outside, 2 and 3 the upper left and lower right
    corner of a box, -1 nothing. It returns logits of masks float32 (N, 4, S / 4, S / 4) and how much each is estimated
    to overlap (IoU) with the true one, float32 (N, 4).
    """

    frequencies: torch.Tensor

    def __init__(self, size: int = 1024) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("frequencies", torch.zeros(2, WIDTH // 2))
        self.meanings = nn.Parameter(torch.zeros(5, WIDTH))  # of no point, outside, inside, and the two corners
        self.no_mask = nn.Parameter(torch.zeros(WIDTH))
        self.answers = nn.Parameter(torch.zeros(1 + MASKS, WIDTH))  # the token of the estimates, and one a mask
        self.layers = nn.ModuleList([TwoWay(first=number == 0) for number in range(DEPTH)])
        self.last = Attention(WIDTH // 2)
        self.norm = nn.LayerNorm(WIDTH)
        self.enlarge = nn.Sequential(
            nn.ConvTranspose2d(WIDTH, WIDTH // 4, 2, 2),
            ChannelNorm(WIDTH // 4),
            nn.GELU(),
            nn.ConvTranspose2d(WIDTH // 4, WIDTH // 8, 2, 2),
            nn.GELU(),
        )
        self.filters = nn.ModuleList([perceptron(WIDTH // 8) for _ in range(MASKS)])
        self.estimate = perceptron(MASKS)

    def forward(
        self, embedding: torch.Tensor, points: torch.Tensor, meaning: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Answer prompts about one picture."""
        side = self.size // STRIDE
        centres = (torch.arange(side, dtype=torch.float32, device=points.device) + 0.5) / side
        grid = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)], dim=-1)
        where = self.encode(grid).reshape(1, side * side, WIDTH)
        prompts = self.prompts(points, meaning)
        count = prompts.shape[0]
        tokens = first = torch.cat([self.answers.expand(count, -1, -1), prompts], dim=1)
        places = (embedding.flatten(2).transpose(1, 2) + self.no_mask).expand(count, -1, -1)
        for layer in self.layers:
            tokens, places = layer(tokens, places, first, where)
        tokens = self.norm(tokens + self.last(tokens + first, places + where, places))
        maps = self.enlarge(places.transpose(1, 2).reshape(count, WIDTH, side, side))
        weights = torch.stack([make(tokens[:, 1 + number]) for number, make in enumerate(self.filters)], dim=1)
        masks = (weights @ maps.flatten(2)).reshape(count, MASKS, 4 * side, 4 * side)
        return masks, self.estimate(tokens[:, 0])

    def encode(self, places: torch.Tensor) -> torch.Tensor:
        """Random Fourier features (Tancik et al. 2020) of places (..., 2), x and y as shares of the side."""
        waves = 2 * math.pi * ((2 * places - 1) @ self.frequencies)
        return torch.cat([waves.sin(), waves.cos()], dim=-1)

    def prompts(self, points: torch.Tensor, meaning: torch.Tensor) -> torch.Tensor:
        """Tokens (N, P, 256): where a point is, and what it means; of one that is none only the latter."""
        where = self.encode(points / self.size) * (meaning >= 0)[..., None]
        return where + self.meanings[meaning.long() + 1]


class TwoWay(nn.Module):
    """A layer in which tokens look at each other and at the picture's places, and the places look at the tokens."""

    def __init__(self, first: bool) -> None:
        super().__init__()
        self.first = first
        self.among, self.to_places, self.to_tokens = Attention(WIDTH), Attention(WIDTH // 2), Attention(WIDTH // 2)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 8 * WIDTH), nn.ReLU(), nn.Linear(8 * WIDTH, WIDTH))
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(4)])

    def forward(
        self, tokens: torch.Tensor, places: torch.Tensor, first: torch.Tensor, where: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`first` are the tokens of the prompt, added again wherever tokens ask or are asked; `where` the places'."""
        if self.first:
            tokens = self.norms[0](self.among(tokens, tokens, tokens))
        else:
            asking = tokens + first
            tokens = self.norms[0](tokens + self.among(asking, asking, tokens))
        tokens = self.norms[1](tokens + self.to_places(tokens + first, places + where, places))
        tokens = self.norms[2](tokens + self.mlp(tokens))
        places = self.norms[3](places + self.to_tokens(places + where, tokens + first, tokens))
        return tokens, places


class Attention(nn.Module):
    """Multi-head attention of the decoder's width that works inside at another one."""

    def __init__(self, inner: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(WIDTH, inner) for _ in range(3))
        self.out = nn.Linear(inner, WIDTH)

    def forward(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        """(N, Q, 256) from queries (N, Q, 256), keys and values (N, K, 256)."""
        heads = [
            layer(given).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for layer, given in ((self.query, query), (self.key, key), (self.value, value))
        ]
        seen = functional.scaled_dot_product_attention(*heads)
        found: torch.Tensor = self.out(seen.transpose(1, 2).flatten(2))
        return found


def perceptron(outputs: int) -> nn.Sequential:
    """Three layers, 256 wide."""
    return nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, outputs)
    )


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
    ("decoder.frequencies", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    ("decoder.meanings", "meanings"),
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
