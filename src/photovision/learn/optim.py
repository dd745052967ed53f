"""Optimiser groups, the learning-rate schedule, the moving average of weights, and mixing of neighbours."""

from __future__ import annotations

import copy
import math

import numpy as np
import torch
from torch import nn

from photovision.learn.plan import Plan
from photovision.learn.tuning import Tuning


def build_optimiser(network: nn.Module, plan: Plan, tuning: Tuning | None = None) -> torch.optim.Optimizer:
    """One group of parameters for each child of the network, lower ones with smaller rates.

    A network that is no chain of children says by itself what its steps are: a method `steps` gives their named
    parameters, from the lowest upwards.

    Rates fall by `plan.layer_decay` from the last layer downwards (Howard and Ruder 2018, discriminative fine-tuning).
    Biases and normalisation parameters get no weight decay.
    """
    own = getattr(network, "steps", None)
    steps = own() if own is not None else [list(child.named_parameters()) for child in leaves(network)]
    steps = [[(n, p) for n, p in step if p.requires_grad] for step in steps]
    steps = [step for step in steps if step]
    late = {id(parameter) for parameter in pretrained(network)} if plan.head_first else set[int]()
    groups = []
    for depth, step in enumerate(reversed(steps)):
        scale = plan.layer_decay**depth
        if depth == 0 and plan.head_lr:
            scale = plan.head_lr / plan.lr
        for decays in (True, False):
            parameters = [p for _, p in step if (p.ndim > 1) == decays]
            if parameters:
                decay = plan.weight_decay if decays else 0.0
                group = {"params": parameters, "lr": plan.lr * scale, "scale": scale, "weight_decay": decay}
                groups.append({**group, "late": any(id(parameter) in late for parameter in parameters)})
    if tuning is not None and callable(tuning.optimiser):
        return tuning.optimiser(groups)
    if plan.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=plan.lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=plan.lr)


def pretrained(network: nn.Module) -> list[nn.Parameter]:
    """What learns later where `Plan.head_first` says so: what the network's method of that name gives."""
    own = getattr(network, "pretrained", None)
    return [] if own is None else [parameter for parameter in own() if parameter.requires_grad]


def leaves(network: nn.Module) -> list[nn.Module]:
    """The network's children in order, stages opened, so that depth means the same for every architecture."""
    leaves: list[nn.Module] = []
    for child in network.children():
        inner = list(child.children()) if isinstance(child, nn.Sequential) else []
        leaves += inner or [child]
    return leaves or [network]


def set_rate(optimiser: torch.optim.Optimizer, plan: Plan, done: float) -> None:
    """Set all rates for the share `done` (0 to 1) of the run: warm-up, then half a cosine or a straight line to 0.

    What learns later has a warm-up of its own: the first steps of Adam are as large as the rate, whatever the gradient.
    """
    if done < plan.warmup:
        factor = done / plan.warmup
    else:
        rest = (done - plan.warmup) / (1 - plan.warmup)
        factor = 0.5 * (1 + math.cos(math.pi * rest)) if plan.schedule == "cosine" else 1 - rest
    rise = min(max(done - plan.head_first, 0.0) / plan.warmup, 1.0) if plan.warmup else 1.0
    for group in optimiser.param_groups:
        group["lr"] = plan.lr * group["scale"] * max(factor * (rise if group.get("late") else 1.0), 1e-3)


class Average:
    """Exponential moving average of a network's weights and statistics (Polyak and Juditsky 1992), in float32.

    Early on the decay is smaller, so that the start is forgotten quickly.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the network's present weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates)) if self.decay else 0.0
        for mean, value in zip(_values(self.network), _values(network), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)


def _values(network: nn.Module) -> list[torch.Tensor]:
    return [*network.parameters(), *network.buffers()]


def mix(
    inputs: torch.Tensor, targets: torch.Tensor, plan: Plan, draws: np.random.Generator, share: tuple[int, int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mix each sample with its neighbour in the shuffled batch: mixup (Zhang 2018) or cutmix (Yun 2019).

    Pairs never straddle processes, and the shares of all pairs of the global batch are drawn from the same generator,
    so that several processes mix as one would.

    Args:
        inputs: float (N, C, H, W), normalised pictures or feature maps, or (N, D).
        targets: float (N, classes).
        draws: seeded by (seed, epoch, step).
        share: (rank, world) of this process.
    """
    alphas = [(name, alpha) for name, alpha in (("mixup", plan.mixup), ("cutmix", plan.cutmix)) if alpha > 0]
    if not alphas:
        return inputs, targets
    rank, world = share
    name, alpha = alphas[int(draws.integers(len(alphas)))]
    pairs = len(inputs) // 2
    kept = draws.beta(alpha, alpha, pairs * world)[rank * pairs : (rank + 1) * pairs]
    places = draws.random((pairs * world, 2))[rank * pairs : (rank + 1) * pairs]
    partner = torch.arange(len(inputs), device=inputs.device) ^ 1
    if name == "cutmix" and inputs.ndim == 4:
        mask, kept = _windows(kept, places, inputs.shape[2], inputs.shape[3])
        inside = torch.from_numpy(mask).to(inputs.device).repeat_interleave(2, 0)[:, None]
        inputs = torch.where(inside, inputs[partner], inputs)
    else:
        lam = torch.from_numpy(kept).to(inputs).repeat_interleave(2)
        lam = lam.reshape(-1, *[1] * (inputs.ndim - 1))
        inputs = lam * inputs + (1 - lam) * inputs[partner]
    lam = torch.from_numpy(kept).to(targets).repeat_interleave(2)[:, None]
    return inputs, lam * targets + (1 - lam) * targets[partner]


def _windows(kept: np.ndarray, places: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Boolean windows (P, H, W) to take from the partner, and the share of each picture that is really kept."""
    side = np.sqrt(1 - kept)
    y, x = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    middle = places * [height, width]
    inside = np.abs(y + 0.5 - middle[:, :1, None]) <= side[:, None, None] * height / 2
    inside = inside & (np.abs(x + 0.5 - middle[:, 1:, None]) <= side[:, None, None] * width / 2)
    return inside, 1 - inside.mean((1, 2))
