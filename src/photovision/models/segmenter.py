"""A segmenter: the stages of a backbone, brought together from coarse to fine.

After feature pyramid networks (Lin et al. 2017).
Every stage of a timm network gives a map; the coarsest says what is there, the finer ones where it ends. From the
coarsest upwards each is enlarged, added to the next finer one and smoothed, up to half of the input's resolution.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from photovision.core.errors import ExportError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.models.backbones import Backbone, create
from photovision.models.export import MIN_AGREEMENT, TOLERANCE, Normalise, Parity
from photovision.runtime.session import fastest_precision, open_session

_GROUPS = 8
FACTOR = 32
"""Sides of the input should be multiples of this, so that the maps of all stages lie on each other."""


@dataclass(frozen=True)
class Decoder:
    """How wide and how fine the decoder is.

    Attributes:
        width: channels of its maps, a multiple of 8.
        finest: stride of the finest map of the backbone that it uses; finer ones are left out.
    """

    width: int = 32
    finest: int = 2


PLAIN = Decoder()


class Merge(nn.Module):
    """One step of the decoder: the coarser map enlarged, the finer one added, both smoothed."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.lateral = nn.Conv2d(channels, width, 1)
        self.smooth = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.GroupNorm(_GROUPS, width), nn.ReLU(inplace=True)
        )

    def forward(self, fine: torch.Tensor, coarse: torch.Tensor | None) -> torch.Tensor:
        """float (N, width, h, w) at the resolution of `fine`."""
        value = self.lateral(fine)
        if coarse is not None:
            value = value + functional.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        smoothed: torch.Tensor = self.smooth(value)
        return smoothed


class SegmenterNetwork(nn.Module):
    """A backbone with a decoder: normalised pictures float (N, 3, H, W) -> logits float (N, K, H / 2, W / 2).

    Args:
        source: the backbone and its weights.
        classes: C.
        instances: whether one more channel tells how deep inside its object a place lies; K = C + 1.
        decoder: how wide and how fine the decoder is.

    Raises:
        UsageError: the backbone has no maps of several resolutions, such as most transformers.
    """

    def __init__(self, source: Backbone, classes: int, instances: bool, decoder: Decoder = PLAIN) -> None:
        super().__init__()
        if source.preprocess.size[0] % FACTOR or source.preprocess.size[1] % FACTOR:
            raise UsageError(f"the size of a segmenter should be a multiple of {FACTOR}, got {source.preprocess.size}")
        self.classes, self.instances = classes, instances
        self.backbone = create(source, 0)
        stages = getattr(self.backbone, "feature_info", None)
        try:
            every = list(stages)  # type: ignore[arg-type] # TypeError for networks without stages
            self.stages = tuple(i for i, stage in enumerate(every) if stage["reduction"] >= decoder.finest)
            found = [every[i] for i in self.stages]
            steps = [stage["reduction"] for stage in found]
            self.backbone.prune_intermediate_layers(list(self.stages), prune_head=True)  # type: ignore[operator]
        except (TypeError, AttributeError, KeyError):
            steps, found = [], []
        if steps[:1] not in ([2], [4]) or any(b != 2 * a for a, b in pairwise(steps)):
            raise UsageError(
                f"{source.backbone} has no maps of several resolutions, which segmentation needs: choose a"
                " convolutional backbone, such as resnet18"
            )
        self.finest = int(steps[0])
        self.decoder = nn.ModuleList(Merge(stage["num_chs"], decoder.width) for stage in found)
        self.head = nn.Conv2d(decoder.width, classes + instances, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits float (N, K, H / 2, W / 2)."""
        return self.decode(self.maps(inputs))

    def maps(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """The backbone's maps float (N, C, h, w), the finest first."""
        found: list[torch.Tensor] = self.backbone.forward_intermediates(  # type: ignore[operator]
            inputs, indices=list(self.stages), intermediates_only=True
        )
        return found

    def decode(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Logits float (N, K, H / 2, W / 2) from the maps."""
        value: torch.Tensor | None = None
        for merge, fine in zip(reversed(list(self.decoder)), reversed(maps), strict=True):
            value = merge(fine, value)
        logits: torch.Tensor = self.head(value)
        if self.finest > 2:
            logits = functional.interpolate(logits, scale_factor=self.finest / 2, mode="bilinear", align_corners=False)
        return logits


class PixelDecider(nn.Module):
    """The whole way from pixels to probabilities.

    Outputs: `classes` float32 (N, C, h, w), calibrated probabilities that sum to 1 at every place, and, where objects
    are separated, `depth` float32 (N, 1, h, w), 0 at an object's edge to 1 in its middle. h and w are half the
    input's. `embedding` float32 (N, D) of unit norm is the deepest map, pooled over places.
    """

    temperature: torch.Tensor

    def __init__(self, network: SegmenterNetwork, preprocess: Preprocess, temperature: float) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess)
        self.network = network
        self.register_buffer("temperature", torch.tensor(float(temperature)), persistent=False)
        self.outputs = ("classes", *(("depth",) if network.instances else ()), "embedding")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Decide on a batch uint8 (N, H, W, 3)."""
        maps = self.network.maps(self.normalise(images))
        raw, count = self.network.decode(maps), self.network.classes
        probs = (raw[:, :count] / self.temperature).softmax(1)
        embedding = functional.normalize(maps[-1].mean((2, 3)), dim=1)
        return (probs, *((raw[:, count:].sigmoid(),) if self.network.instances else ()), embedding)


@dataclass(frozen=True)
class _Compared:
    difference: float
    agreement: float


@torch.no_grad()
def check_pixels(decider: PixelDecider, graph: Path, images: Image) -> Parity:
    """Compare a graph with its network on uint8 pictures (N, H, W, 3), at every place.

    Returns:
        As `models.export.check_parity`; the agreement is a share of places.

    Raises:
        ExportError: a probability, a depth or a number of an embedding differs by more than TOLERANCE.
    """
    decider.eval()
    parts = [images[start : start + 8] for start in range(0, len(images), 8)]
    expected = [[value.numpy() for value in decider(torch.from_numpy(part))] for part in parts]

    def compared(precision: str) -> _Compared:
        session = open_session(graph, precision="bf16" if precision == "bf16" else "f32")
        got = [[found[name] for name in decider.outputs] for found in map(session.run, parts)]
        difference, same = 0.0, 0.0
        for before, after in zip(expected, got, strict=True):
            difference = max(difference, *(float(np.abs(a - b).max()) for a, b in zip(before, after, strict=True)))
            same += float((before[0].argmax(1) == after[0].argmax(1)).mean()) * len(before[0])
        return _Compared(difference, same / len(images))

    exact = compared("f32")
    if not exact.difference <= TOLERANCE:
        raise ExportError(
            f"the exported graph does not decide like the network: an output differs by {exact.difference:.2g},"
            f" more than {TOLERANCE} on {len(images)} pictures; choose another backbone and report this"
        )
    agreement, precision = exact.agreement, None
    if fastest_precision() != "f32":
        agreement = compared(fastest_precision()).agreement
        if agreement < MIN_AGREEMENT:
            agreement, precision = exact.agreement, "f32"
    return Parity(len(images), exact.difference, agreement, precision, TOLERANCE)
