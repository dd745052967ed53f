"""A detector without anchors: a backbone, a small feature pyramid, and heads that say at every place what is there.

After FCOS (Tian et al. 2019) and feature pyramid networks (Lin et al. 2017): every place of three maps, at 1/8, 1/16
and 1/32 of the input's resolution, gives the probability of every class and its distances to the four sides of the
object it belongs to. What is probable is made to mean well placed, too (see `photovision.models.assign`), so that no
further output is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from photovision.core.errors import UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.backbones import Backbone, create
from photovision.models.export import Normalise
from photovision.models.sequential_split import chain

STRIDES = (8, 16, 32)
"""Pixels of the input from one place of a map to the next."""
MAX_BOXES = 300
"""Places that a detector tells of, the most probable ones."""
_WIDTH = 64
_GROUPS = 8
_RARE = (
    0.01  # the probability at which every place starts: nearly all places hold nothing (Lin et al. 2017, focal loss)
)
_FARTHEST = 6.0  # of the logarithm of a distance in strides


def _smooth(channels: int, width: int = _WIDTH) -> nn.Sequential:
    # Groups, for batches of a few large pictures have no statistics to speak of.
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.GroupNorm(_GROUPS, width), nn.ReLU(inplace=True)
    )


class Pyramid(nn.Module):
    """Maps of three resolutions that know of each other: coarse ones are enlarged and added to finer ones."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, _WIDTH, 1, bias=False), nn.GroupNorm(_GROUPS, _WIDTH)) for count in channels
        )
        self.smooth = nn.ModuleList(_smooth(_WIDTH) for _ in channels)

    def forward(self, maps: list[torch.Tensor]) -> list[torch.Tensor]:
        """float (N, 64, h, w) for every map (N, C, h, w), the finest first."""
        found: list[torch.Tensor] = []
        above: torch.Tensor | None = None
        for level in range(len(maps) - 1, -1, -1):
            value = self.lateral[level](maps[level])
            if above is not None:
                value = value + functional.interpolate(above, size=value.shape[2:], mode="nearest")
            above = value
            found.insert(0, self.smooth[level](value))
        return found


class DetectionHead(nn.Module):
    """The same two towers of convolutions over every map: what is there, and how far it reaches."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.naming = nn.Sequential(_smooth(_WIDTH), _smooth(_WIDTH), nn.Conv2d(_WIDTH, classes, 3, padding=1))
        self.placing = nn.Sequential(_smooth(_WIDTH), _smooth(_WIDTH), nn.Conv2d(_WIDTH, 4, 3, padding=1))
        self.scale = nn.Parameter(torch.ones(len(STRIDES)))
        last, sides = self.naming[-1], self.placing[-1]
        assert isinstance(last, nn.Conv2d)
        assert isinstance(sides, nn.Conv2d)
        assert last.bias is not None
        assert sides.bias is not None
        nn.init.normal_(last.weight, std=0.01)
        nn.init.constant_(last.bias, -math.log((1 - _RARE) / _RARE))
        nn.init.normal_(sides.weight, std=0.01)
        nn.init.constant_(sides.bias, math.log(2.0))

    def forward(self, maps: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits float32 (N, P, C) and distances float32 (N, P, 4) in pixels: left, top, right, bottom."""
        logits, sides = [], []
        for level, value in enumerate(maps):
            logits.append(self.naming(value).float().flatten(2).transpose(1, 2))
            spread = (self.placing(value).float() * self.scale[level]).clamp(max=_FARTHEST)
            sides.append(spread.exp().flatten(2).transpose(1, 2) * STRIDES[level])
        return torch.cat(logits, 1), torch.cat(sides, 1)


class Upper(nn.Module):
    """The part that is always trained: from the map at 1/8 to boxes and scores.

    In training it gives float32 (N, P, 4 + C) for every place: its box, x1, y1, x2, y2 in pixels of the input, and
    logits.
    In evaluation the MOST most probable places of these, most probable first.
    """

    places: torch.Tensor

    def __init__(self, stages: nn.ModuleList, channels: tuple[int, ...], size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.stages, self.pyramid, self.head = stages, Pyramid(channels), DetectionHead(classes)
        self.register_buffer("places", places_of(size), persistent=False)

    def pretrained(self) -> Iterator[nn.Parameter]:
        """What comes from the backbone; the rest is new."""
        return self.stages.parameters()

    def forward(self, finest: torch.Tensor) -> torch.Tensor:
        """From the map float (N, K, H / 8, W / 8) on."""
        return self.read(finest)[0]

    def read(self, finest: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `forward` gives, and the coarsest map of the backbone pooled over its places, float (N, D)."""
        return _read(self, self.maps(finest))

    def maps(self, finest: torch.Tensor) -> list[torch.Tensor]:
        """The backbone's maps at 1/8, 1/16 and 1/32, from the first of them."""
        found = [finest]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found


class OnMaps(nn.Module):
    """What follows the backbone, sharing its modules with the upper part: learned where the backbone stays as it is.

    Args:
        upper: the part that it belongs to.
        shapes: (C, h, w) of the backbone's maps.
    """

    places: torch.Tensor

    def __init__(self, upper: Upper, shapes: Sequence[tuple[int, ...]]) -> None:
        super().__init__()
        self.pyramid, self.head, self.shapes = upper.pyramid, upper.head, tuple(shapes)
        self.register_buffer("places", upper.places, persistent=False)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """As of `Upper`, from rows float (N, K): the numbers of all maps, one after the other."""
        parts = torch.split(rows, [math.prod(shape) for shape in self.shapes], dim=1)
        return _read(self, [part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)])[0]

    def read(self, *maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As of `Upper`, from the maps."""
        return _read(self, list(maps))


def _read(part: Upper | OnMaps, maps: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    logits, sides = part.head(part.pyramid(maps))
    middles = part.places[:, :2]
    boxes = torch.cat([middles - sides[..., :2], middles + sides[..., 2:]], dim=2)
    found, pooled = torch.cat([boxes, logits], dim=2), maps[-1].mean((2, 3))
    if part.training:
        return found, pooled
    best = logits.amax(2).topk(min(MAX_BOXES, logits.shape[1]), dim=1).indices
    return found.gather(1, best[:, :, None].expand(-1, -1, found.shape[2])), pooled


class DetectorNetwork(nn.Module):
    """Normalised pictures float (N, 3, H, W) -> boxes and logits, see `Upper`.

    Args:
        source: the backbone with its weights; both sides of its input multiples of 32.
        classes: C.

    Raises:
        UsageError: the backbone is no chain of stages with maps at 1/8, 1/16 and 1/32.
    """

    def __init__(self, source: Backbone, classes: int) -> None:
        super().__init__()
        size = source.preprocess.size
        if size[0] % STRIDES[-1] or size[1] % STRIDES[-1]:
            raise UsageError(f"the size of a detector should be a multiple of {STRIDES[-1]}, got {size}")
        network = create(source, 0)
        facts = {f["reduction"]: f["module"] for f in getattr(network, "feature_info", ())}
        links = chain(network, size) or []
        ends = [next((i for i, link in enumerate(links) if link.name == facts.get(s)), None) for s in STRIDES]
        if not all(ends) or any(links[end or 0].shape[1] * s != size[0] for end, s in zip(ends, STRIDES, strict=True)):
            raise UsageError(
                f"{source.backbone} has no maps of three resolutions in a row, which detection needs: choose a"
                " convolutional backbone, such as resnet18"
            )
        cuts = [0, *((end or 0) + 1 for end in ends)]
        parts = [nn.Sequential(*(link.module for link in links[a:b])) for a, b in pairwise(cuts)]
        channels = tuple(links[cut - 1].shape[0] for cut in cuts[1:])
        self.lower = parts[0]
        self.upper = Upper(nn.ModuleList(parts[1:]), channels, size, classes)
        self.shapes = tuple((count, size[0] // s, size[1] // s) for count, s in zip(channels, STRIDES, strict=True))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """See `Upper`."""
        found: torch.Tensor = self.upper(self.lower(inputs))
        return found

    def read(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """See `Upper`."""
        found: tuple[torch.Tensor, torch.Tensor] = self.upper.read(self.lower(inputs))
        return found


class Lower(nn.Module):
    """uint8 (N, H, W, 3) -> the map float32 (N, K, H / 8, W / 8) that a detector's upper part learns from."""

    outputs = ("maps",)

    def __init__(self, network: DetectorNetwork, preprocess: Preprocess) -> None:
        super().__init__()
        self.normalise, self.lower = Normalise(preprocess), network.lower

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        """Run the lower part."""
        return (self.lower(self.normalise(images)),)


class Frozen(nn.Module):
    """uint8 (N, H, W, 3) -> the maps float32 (N, C, h, w) of the whole backbone, the finest first."""

    outputs = tuple(f"maps_{stride}" for stride in STRIDES)

    def __init__(self, network: DetectorNetwork, preprocess: Preprocess) -> None:
        super().__init__()
        self.normalise, self.network = Normalise(preprocess), network

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the backbone."""
        return tuple(self.network.upper.maps(self.network.lower(self.normalise(images))))


class BoxDecider(nn.Module):
    """The whole way from pixels to boxes with calibrated probabilities.

    Outputs: `boxes` float32 (N, K, 4), x1, y1, x2, y2 in pixels of the input, and `scores` float32 (N, K, C), for the K
    most probable places; `embedding` float32 (N, D) of unit norm, what the coarsest map says of the whole picture.
    Places are not yet objects: several may tell of one.

    Args:
        network: trained, this one or one with queries; its `read` gives boxes with logits, and pooled features.
        preprocess: what it expects.
        slope, shift: (C,) each; the probability of a class is the logistic function of slope * logit + shift.
    """

    outputs = ("boxes", "scores", "embedding")
    slope: torch.Tensor
    shift: torch.Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess, slope: list[float], shift: list[float]) -> None:
        super().__init__()
        self.normalise, self.network = Normalise(preprocess), network
        self.register_buffer("slope", torch.tensor(slope, dtype=torch.float32), persistent=False)
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32), persistent=False)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Decide on a batch uint8 (N, H, W, 3)."""
        return _decided(self, *self.network.read(self.normalise(images)))  # type: ignore[operator]


class BoxDeciderOnMaps(nn.Module):
    """A `BoxDecider` without its backbone: the same outputs from the maps that `Frozen` gives."""

    slope: torch.Tensor
    shift: torch.Tensor

    def __init__(self, decider: BoxDecider, part: OnMaps) -> None:
        super().__init__()
        self.part = part
        self.register_buffer("slope", decider.slope, persistent=False)
        self.register_buffer("shift", decider.shift, persistent=False)

    def forward(
        self, maps_8: torch.Tensor, maps_16: torch.Tensor, maps_32: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Decide on the maps of a batch."""
        return _decided(self, *self.part.read(maps_8, maps_16, maps_32))


def _decided(
    decider: BoxDecider | BoxDeciderOnMaps, found: torch.Tensor, pooled: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    scores = (found[..., 4:] * decider.slope + decider.shift).sigmoid()
    return found[..., :4], scores, functional.normalize(pooled, dim=1)


def places_of(size: tuple[int, int]) -> torch.Tensor:
    """float32 (P, 3): x and y of the middle of every place in pixels, and its stride; row by row, finest map first.

    Example:
        >>> places_of((32, 32)).shape, places_of((32, 32))[-1].tolist()
        (torch.Size([21, 3]), [16.0, 16.0, 32.0])
    """
    found = []
    for stride in STRIDES:
        rows, columns = (torch.arange(side // stride) * stride + stride / 2 for side in size)
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        found.append(torch.stack([x, y, torch.full_like(x, stride)], dim=-1).reshape(-1, 3))
    return torch.cat(found).float()
