"""YOLOv4-tiny, and how darknet's files of weights are read: a header and flat floats, nothing that could run.

The network follows `yolov4-tiny.cfg` of darknet (Bochkovskiy, Wang and Liao 2020; Wang et al. 2021, Scaled-YOLOv4).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from photovision.core.errors import ModelError

HEADER = 20
"""Bytes before the floats: three int32 of the version, and an int64, how many pictures it learned from."""
ANCHORS = ((10, 14), (23, 27), (37, 58), (81, 82), (135, 169), (344, 319))
"""(W, H) in pixels of the network's input, whatever its size."""
_COARSE, _FINE = (3, 4, 5), (1, 2, 3)  # the anchors of the two scales; the file of 80 classes leaves the first unused
_SLACK = 1.05  # how much wider than a cell the offsets of a centre reach ("scale_x_y")


class Convolution(nn.Sequential):
    """Convolution without bias, batch normalisation, leaky rectifier."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs, eps=1e-6),
            nn.LeakyReLU(0.1),
        )


class DarknetStage(nn.Module):
    """A stage of the trunk that halves the map: (N, C, H, W) -> the whole (N, 2C, H/2, W/2), and what its last
    convolution gave (N, C, H, W), which the finer scale uses."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.first = Convolution(width, width, 3)
        self.second = Convolution(half, half, 3)
        self.third = Convolution(half, half, 3)
        self.last = Convolution(width, width, 1)
        self.pool = nn.MaxPool2d(2, 2)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the stage."""
        whole = self.first(maps)
        second = self.second(whole.chunk(2, dim=1)[1])
        last = self.last(torch.cat([self.third(second), second], dim=1))
        return self.pool(torch.cat([whole, last], dim=1)), last


class YoloV4Tiny(nn.Module):
    """From pictures float32 (N, 3, H, W), RGB on the scale 0 to 1, sides multiples of 32, to boxes and scores.

    Args:
        size: (H, W) of the input.
        classes: how many it knows.

    Returns of `forward`: boxes float32 (N, K, 4), x1, y1, x2, y2 in pixels of the input, and scores float32 (N, K, C),
    the probability that there is an object times that of its class; K is 3 H W (1 / 32^2 + 1 / 16^2).
    """

    def __init__(self, size: tuple[int, int], classes: int = 80) -> None:
        super().__init__()
        outputs = 3 * (5 + classes)
        self.stem = nn.Sequential(Convolution(3, 32, 3, 2), Convolution(32, 64, 3, 2))
        self.stages = nn.ModuleList([DarknetStage(64), DarknetStage(128), DarknetStage(256)])
        self.deep = Convolution(512, 512, 3)
        self.neck = Convolution(512, 256, 1)
        self.coarse = nn.Sequential(Convolution(256, 512, 3), nn.Conv2d(512, outputs, 1))
        self.bridge = Convolution(256, 128, 1)
        self.fine = nn.Sequential(Convolution(384, 256, 3), nn.Conv2d(256, outputs, 1))
        self.places = nn.ModuleList([Places(size, 32, _COARSE), Places(size, 16, _FINE)])

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Look at a batch."""
        maps = self.stem(pictures)
        detail = maps
        for stage in self.stages:
            maps, detail = stage(maps)
        neck = self.neck(self.deep(maps))
        wide = nn.functional.interpolate(self.bridge(neck), scale_factor=2.0, mode="nearest")
        raw = self.coarse(neck), self.fine(torch.cat([wide, detail], dim=1))
        coarse, fine = (places(one) for places, one in zip(self.places, raw, strict=True))
        return torch.cat([coarse[0], fine[0]], dim=1), torch.cat([coarse[1], fine[1]], dim=1)


class Places(nn.Module):
    """From the raw map of one scale (N, 3 (5 + C), h, w) to boxes and scores of its 3 h w places."""

    corner: torch.Tensor
    anchor: torch.Tensor

    def __init__(self, size: tuple[int, int], stride: int, anchors: tuple[int, ...]) -> None:
        super().__init__()
        rows, columns = torch.meshgrid(torch.arange(size[0] // stride), torch.arange(size[1] // stride), indexing="ij")
        corner = torch.stack([columns, rows], dim=-1).reshape(1, 1, -1, 2).float()
        anchor = torch.tensor([ANCHORS[i] for i in anchors]).reshape(1, 3, 1, 2).float()
        self.register_buffer("corner", corner, persistent=False)
        self.register_buffer("anchor", anchor, persistent=False)
        self.stride = stride

    def forward(self, raw: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode."""
        cells = raw.reshape(raw.shape[0], 3, raw.shape[1] // 3, -1).transpose(2, 3)
        centre = (cells[..., :2].sigmoid() * _SLACK - (_SLACK - 1) / 2 + self.corner) * self.stride
        half = cells[..., 2:4].exp() * self.anchor / 2
        boxes = torch.cat([centre - half, centre + half], dim=-1)
        scores = cells[..., 4:5].sigmoid() * cells[..., 5:].sigmoid()
        return boxes.flatten(1, 2), scores.flatten(1, 2)


def load_darknet(network: nn.Module, content: bytes) -> None:
    """Fill the convolutions of a network from a file of darknet's, in the order of their making.

    Args:
        network: its convolutions are followed by their batch normalisation, or have a bias.
        content: of a `.weights` file, version 0.2 or later.

    Raises:
        ModelError: it holds more or fewer numbers than the network has, or some that are none.
    """
    if len(content) < HEADER or (len(content) - HEADER) % 4:
        raise ModelError("the file is not one of darknet's weights: copy it again")
    numbers = torch.from_numpy(np.frombuffer(content, "<f4", offset=HEADER).astype(np.float32))
    wanted = [parameter for pair in _pairs(network) for parameter in _in_order(*pair)]
    total = sum(parameter.numel() for parameter in wanted)
    if total != len(numbers) or not bool(torch.isfinite(numbers).all()):
        raise ModelError(f"the weights should be {total:,} finite numbers, got {len(numbers):,}: copy the file again")
    start = 0
    with torch.no_grad():
        for parameter in wanted:
            parameter.copy_(numbers[start : start + parameter.numel()].reshape(parameter.shape))
            start += parameter.numel()


def _pairs(network: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d | None]]:
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d | None]] = []
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d):
            pairs.append((layer, after if isinstance(after, nn.BatchNorm2d) else None))
    return pairs


def _in_order(layer: nn.Conv2d, norm: nn.BatchNorm2d | None) -> list[torch.Tensor]:
    """Darknet writes what is added before what is multiplied, and the filters last."""
    if norm is None:
        assert layer.bias is not None
        return [layer.bias, layer.weight]
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return [norm.bias, norm.weight, norm.running_mean, norm.running_var, layer.weight]
