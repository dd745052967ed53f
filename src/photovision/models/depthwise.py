"""Depthwise convolutions that let gradients through quickly on a CPU.

oneDNN's backward pass of a depthwise convolution takes several times as long as its forward pass, and more than half of
a training step of a mobile network. But the gradient of the input is itself a depthwise convolution, of the spread-out
output gradient with the flipped kernel, and the forward kernel for it is fast. The kernels themselves are left as they
are while the rest learns: they are a hundredth of the parameters, and pretrained ones serve well.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional


class _Convolve(torch.autograd.Function):
    """Depthwise convolution whose backward pass is a forward one; no gradient for the kernel."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, stride: int, padding: int) -> torch.Tensor:
        ctx.save_for_backward(weight)
        ctx.stride, ctx.padding, ctx.size = stride, padding, x.shape[2:]
        return functional.conv2d(x, weight, None, stride, padding, 1, x.shape[1])

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:
        (weight,), grad = ctx.saved_tensors, grads[0]
        kernel = weight.shape[-1]
        if ctx.stride > 1:
            n, channels, height, width = grad.shape
            spread_size = (n, channels, (height - 1) * ctx.stride + 1, (width - 1) * ctx.stride + 1)
            spread = grad.new_zeros(spread_size).contiguous(memory_format=torch.channels_last)
            spread[:, :, :: ctx.stride, :: ctx.stride] = grad
            grad = spread
        before = kernel - 1 - ctx.padding
        # Input rows that the last stride left out get no gradient but must exist.
        below = ctx.size[0] - (grad.shape[2] + before - kernel + 1)
        right = ctx.size[1] - (grad.shape[3] + before - kernel + 1)
        if below == before == right:
            padded, padding = grad, before
        else:
            padded, padding = functional.pad(grad, (before, right, before, below)), 0
        flipped = weight.flip(2, 3).to(grad.dtype)
        padded = padded.contiguous(memory_format=torch.channels_last)
        return functional.conv2d(padded, flipped, None, 1, padding, 1, grad.shape[1]), None, None, None


class _FrozenDepthwise(nn.Module):
    def __init__(self, inner: nn.Conv2d) -> None:
        super().__init__()
        self.inner = inner
        self.same = type(inner).__name__ == "Conv2dSame"  # timm's: pads by itself, as TensorFlow does

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        stride, kernel, padding = self.inner.stride[0], self.inner.kernel_size[0], 0
        if self.same:
            height, width = (_same(side, kernel, stride) for side in x.shape[2:])
            x = functional.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        else:
            padding = int(self.inner.padding[0])
        y: torch.Tensor = _Convolve.apply(x, self.inner.weight, stride, padding)
        return y if self.inner.bias is None else y + self.inner.bias[:, None, None]


def _same(side: int, kernel: int, stride: int) -> int:
    return max((-(-side // stride) - 1) * stride + kernel - side, 0)


def is_depthwise(module: nn.Module) -> bool:
    """Whether a module is a square, undilated depthwise convolution with ordinary or TensorFlow's padding."""
    return (
        isinstance(module, nn.Conv2d)
        and module.groups == module.in_channels == module.out_channels > 1
        and module.kernel_size[0] == module.kernel_size[1]
        and module.stride[0] == module.stride[1]
        and module.dilation == (1, 1)
        and module.padding_mode == "zeros"
        and (
            type(module).__name__ == "Conv2dSame" or (type(module) is nn.Conv2d and not isinstance(module.padding, str))
        )
    )


@contextlib.contextmanager
def frozen_depthwise(network: nn.Module) -> Iterator[None]:
    """Within the context, the network's depthwise kernels are frozen and their backward pass is fast.

    The network's parameters stay the same objects, and its names are restored at the end.
    """
    found = [
        (parent, name, child)
        for parent in list(network.modules())
        for name, child in list(parent.named_children())
        if is_depthwise(child)
    ]
    for parent, name, child in found:
        assert isinstance(child, nn.Conv2d)
        child.weight.requires_grad_(False)
        setattr(parent, name, _FrozenDepthwise(child))
    try:
        yield
    finally:
        for parent, name, child in found:
            setattr(parent, name, child)
            child.weight.requires_grad_(True)
