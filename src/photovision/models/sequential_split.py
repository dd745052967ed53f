"""A network as a chain of modules, so that its lower part can be run once and its upper part trained many times.

Freezing pays only if the frozen part is not computed again and again. Most convolutional networks of timm are their
registered children applied one after the other; `chain` finds that order and proves it on a picture of noise, so no
list of architectures is needed and a network of another shape (a transformer) is simply not split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

Steps = Callable[[nn.Module], list[tuple[str, nn.Module]]]
Features = Callable[[nn.Module, torch.Tensor], torch.Tensor | None]


@dataclass(frozen=True, eq=False)
class Link:
    """One step of a chain.

    Attributes:
        name: the module's dotted name within the network.
        module: the module itself, shared with the network.
        shape: (C, H, W) or (C,) of its output for one picture.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]


def chain(network: nn.Module, size: tuple[int, int]) -> list[Link] | None:
    """The steps whose composition is the network, or None where it is no such chain.

    Args:
        network: from `photovision.models.backbones.create`.
        size: (H, W) of its input.
    """
    return proved_chain(network, size, steps, features_of)


@torch.no_grad()
def proved_chain(network: nn.Module, size: tuple[int, int], steps: Steps, features: Features) -> list[Link] | None:
    """The steps, if on a picture of noise their composition gives what the network gives; else None.

    Args:
        network: the whole.
        size: (H, W) of its input.
        steps: names and modules that may be its steps, in their order.
        features: what one of the steps has to give, since a head that was not trained yet may be all zeros, so that its
            outputs prove nothing; None for a network that tells nothing before its outputs.
    """
    training = network.training
    network.eval()
    try:
        device = next(network.parameters()).device
        noise = torch.rand(2, 3, *size, device=device, generator=torch.Generator(device).manual_seed(0))
        expected, inner, links, value = network(noise), features(network, noise), [], noise
        found = inner is None
        for name, module in steps(network):
            value = module.eval()(value)
            found = found or (inner is not None and close(value, inner))
            links.append(Link(name, module, tuple(value.shape[1:])))
        return links if found and close(value, expected) else None
    except (RuntimeError, TypeError, ValueError, IndexError, AttributeError):
        return None
    finally:
        network.train(training)


def features_of(network: nn.Module, pictures: torch.Tensor) -> torch.Tensor | None:
    """What a network of timm knows before it pools; None for other networks."""
    own = getattr(network, "forward_features", None)
    found: torch.Tensor | None = None if own is None else own(pictures)
    return found


def close(value: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether two outputs are the same but for rounding."""
    return value.shape == expected.shape and torch.allclose(value, expected, rtol=1e-3, atol=1e-4)


def steps(network: nn.Module) -> list[tuple[str, nn.Module]]:
    """Children in order of registration, with their dotted names; containers of stages are opened."""
    found: list[tuple[str, nn.Module]] = []
    for name, child in network.named_children():
        if type(child) is nn.Sequential and len(child) > 1 and name in ("blocks", "stages", "features", "layers"):
            found += [(f"{name}.{inner}", module) for inner, module in child.named_children()]
        else:
            found.append((name, child))
    return found
