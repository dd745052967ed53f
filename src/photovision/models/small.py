"""Networks for small pictures (up to about 64 pixels), built from timm's parts.

Networks for photographs halve the picture up to five times, twice of it at once; of 28 pixels nothing would be left.
"""

from __future__ import annotations

from collections.abc import Callable

from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg
from torch import nn


def small_resnet(classes: int) -> nn.Module:
    """A residual network of 9 layers and 0.7 million parameters: a full-size stem, then three stages of stride 2."""
    return _residual(classes, stem=24, channels=(48, 96, 192), depth=1)


def small_resnet_wide(classes: int) -> nn.Module:
    """A residual network of 15 layers and 4.6 million parameters, for more time or a GPU."""
    return _residual(classes, stem=32, channels=(64, 128, 256), depth=2)


def small_resnet_narrow(classes: int) -> nn.Module:
    """A residual network of 9 layers and 0.3 million parameters, to be taught by a larger one."""
    return _residual(classes, stem=16, channels=(32, 64, 128), depth=1)


def small_resnet_slim(classes: int) -> nn.Module:
    """A residual network of 9 layers and 0.08 million parameters, to be taught by a larger one."""
    return _residual(classes, stem=16, channels=(16, 32, 64), depth=1)


def _residual(classes: int, stem: int, channels: tuple[int, ...], depth: int) -> nn.Module:
    blocks = tuple(ByoBlockCfg(type="basic", d=depth, c=width, s=2) for width in channels)
    config = ByoModelCfg(blocks=blocks, stem_type="3x3", stem_pool="", stem_chs=stem, downsample="conv1x1")
    network: nn.Module = ByobNet(config, num_classes=classes)
    network.get_submodule("stem.conv").stride = (1, 1)  # type: ignore[assignment]
    for module in network.modules():
        # timm starts residual branches at zero, which suits runs of hundreds of epochs; ours last minutes.
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.BatchNorm2d)):
            module.reset_parameters()
    return network


SMALL: dict[str, Callable[[int], nn.Module]] = {
    "small_resnet": small_resnet,
    "small_resnet_wide": small_resnet_wide,
    "small_resnet_narrow": small_resnet_narrow,
    "small_resnet_slim": small_resnet_slim,
}
