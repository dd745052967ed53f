"""Networks: timm's architectures with pretrained weights read safely, and small ones for small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import nn

from photovision.core.errors import ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models import weights as zoo
from photovision.models.checkpoints import is_checkpoint
from photovision.models.small import SMALL

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Backbone:
    """Where a network starts from.

    Attributes:
        backbone: timm architecture, or a name of `photovision.models.small`.
        weights: a carrier's name, "hub", "none", or the path of a local .safetensors or .pth file.
        preprocess: what the weights expect.
        licence: of hub weights, as stated there.
    """

    backbone: str
    weights: str
    preprocess: Preprocess
    licence: str | None = None

    @property
    def any_size(self) -> bool:
        """Whether the network takes pictures of any size; others are built for one."""
        return not any(kind in self.backbone for kind in ("vit", "swin", "deit"))

    def comparing(self) -> Backbone | None:
        """The network whose pooled features tell which pictures are alike; None where nothing is pretrained."""
        return None if self.weights == "none" else self

    def ledger(self) -> list[zoo.LedgerEntry]:
        """What it is made of, and under which licences."""
        return zoo.ledger(self.backbone, self.weights, self.licence)

    def describe(self) -> dict[str, str]:
        """What bundle.json says of it."""
        named = self.weights in ("none", "hub")
        return {"name": self.backbone, "weights": self.weights if named else Path(self.weights).name}


def choose(backbone: str | None, weights: str, size: int | None, allow_download: bool = False) -> Backbone:
    """Settle backbone, weights and preprocessing from the user's choices.

    Args:
        backbone: an architecture's name, or None for the default.
        weights: "auto" (the offline weights that are installed), "none", "hub", a carrier's name, or a file's path.
        size: side of the square input in pixels, or None for what the weights were trained at.
        allow_download: whether "hub" may use the network.

    Raises:
        UsageError: the names do not fit together, or nothing is installed; the message says what to do.
    """
    if is_checkpoint(backbone):
        raise UsageError(f"{backbone} is a whole detector: it learns only from pictures with boxes around the objects")
    if weights == "auto":
        weights = _automatic(backbone)
    if weights in zoo.CARRIERS:
        carrier = zoo.CARRIERS[weights]
        if backbone not in (None, carrier.backbone):
            raise UsageError(f"the weights '{weights}' fit {carrier.backbone}, not {backbone}; leave out --backbone")
        if zoo.locate(weights) is None:
            raise UsageError(f"the weights '{weights}' are not on this machine: photovision weights get {weights}")
        side = (size, size) if size else carrier.size
        preprocess = Preprocess(side, "squash", 1.0, carrier.interpolation, carrier.mean, carrier.std)
        return Backbone(carrier.backbone, weights, preprocess)
    name = backbone or "resnet50"
    if weights == "hub" and not allow_download:
        raise UsageError("--weights hub uses the network: add --allow-download, or choose offline weights")
    if weights not in ("none", "hub") and not Path(weights).is_file():
        raise UsageError(f"--weights should be auto, none, hub, {', '.join(zoo.CARRIERS)} or a file; got '{weights}'")
    return _timm_source(name, weights, size)


def _automatic(backbone: str | None) -> str:
    for name, carrier in zoo.CARRIERS.items():
        if backbone in (None, carrier.backbone) and zoo.locate(name) is not None:
            return name
    fitting = [name for name, carrier in zoo.CARRIERS.items() if backbone in (None, carrier.backbone)]
    if fitting:
        raise UsageError(
            f"no pretrained weights are on this machine: photovision weights get {fitting[0]},"
            " or train with --weights none"
        )
    raise UsageError(
        f"there are no offline weights for {backbone}: use --weights none (from scratch), --weights FILE, or"
        " --weights hub --allow-download"
    )


def _timm_source(name: str, weights: str, size: int | None) -> Backbone:
    if name in SMALL:
        return Backbone(name, weights, Preprocess((size or 32, size or 32)))
    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0].split('.')[0]}*")[:4]
        raise UsageError(f"timm has no architecture '{name}'" + (f"; did you mean {', '.join(near)}?" if near else ""))
    config = timm.get_pretrained_cfg(name)
    height, width = (size, size) if size else config.input_size[1:] if config else (224, 224)
    mean = tuple(config.mean) if config else zoo.IMAGENET_MEAN
    std = tuple(config.std) if config else zoo.IMAGENET_STD
    interpolation = "bicubic" if config and config.interpolation == "bicubic" else "bilinear"
    licence = config.license if config and weights == "hub" else None
    return Backbone(name, weights, Preprocess((height, width), "squash", 1.0, interpolation, mean, std), licence)


def create(source: Backbone, classes: int) -> nn.Module:
    """Build a timm network with `classes` outputs (0: pooled features), pretrained where the source says so.

    The head starts untrained; `ValueError`s of timm about the input size come as UsageError.
    """
    try:
        network = SMALL[source.backbone](classes) if source.backbone in SMALL else _create(source, classes)
    except (ValueError, AssertionError, TypeError) as error:
        raise UsageError(f"{source.backbone} cannot be built for {source.preprocess.size} pixels: {error}") from None
    if source.weights not in ("none", "hub"):
        load_tensors(network, read_weights(source.weights), source.weights)
    return network


def _create(source: Backbone, classes: int) -> nn.Module:
    options = {} if source.any_size else {"img_size": source.preprocess.size}
    network: nn.Module = timm.create_model(
        source.backbone, pretrained=source.weights == "hub", num_classes=classes, **options
    )
    return network


def read_weights(name: str) -> Tensors:
    """Read a carrier's or a local file's tensors, without unpickling anything but tensors.

    Raises:
        ModelError: the file holds something else, or is damaged.
    """
    path = zoo.locate(name) if name in zoo.CARRIERS else Path(name)
    if path is None:
        raise UsageError(f"the weights '{name}' are not on this machine: photovision weights get {name}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors: Tensors = load_file(path)
            return tensors
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything from KeyError to pickle errors here
        raise ModelError(
            f"{path} does not hold plain tensors ({type(error).__name__}); give a .safetensors file"
        ) from None
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ModelError(f"{path} does not hold a table of tensors; give a .safetensors file of a timm network")
    return state


def load_tensors(network: nn.Module, tensors: Tensors, name: str, *, strict_head: bool = False) -> None:
    """Put pretrained tensors into a network: by name, or where all names differ, one to one in order of registration.

    Converted checkpoints keep the order of layers but not timm's names; order is used only if every shape agrees.
    The classifier's tensors are left out where the number of classes differs.

    Raises:
        ModelError: the tensors do not fit the architecture.
    """
    own = network.state_dict()
    given = dict(tensors)
    if len(set(own) & set(given)) < len(own) // 2:
        given = _by_order(own, given, name)
    wrong = [key for key in own if key in given and own[key].shape != given[key].shape]
    absent = [key for key in own if key not in given]
    head = {key for key, _ in network.named_parameters() if key.split(".")[0] in ("classifier", "fc", "head")}
    fatal = [key for key in wrong + absent if strict_head or key not in head]
    if fatal:
        raise ModelError(f"the weights {name} do not fit the network: {fatal[0]} and {len(fatal) - 1} more differ")
    network.load_state_dict(
        {key: value for key, value in given.items() if key in own and key not in wrong}, strict=False
    )


def _by_order(own: Tensors, given: Tensors, name: str) -> dict[str, torch.Tensor]:
    # The classifier comes last in both; it may be absent (0 classes) or of another width in ours.
    pairs = list(zip(own, given.values(), strict=False))
    body = [(key, value) for key, value in pairs if key.split(".")[0] not in ("classifier", "fc", "head")]
    if len(own) > len(given) or any(own[key].shape != value.shape for key, value in body):
        raise ModelError(f"the weights {name} fit the network neither by name nor by order")
    return dict(pairs)


def count_parameters(network: nn.Module) -> int:
    """Number of trainable and frozen parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


@torch.no_grad()
def count_macs(network: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-adds of convolutions and linear layers for one picture of `size` (H, W), counted by running it."""
    total = 0

    def add(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += output[0].numel() * module.in_features

    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    training = network.training
    try:
        network.eval()(torch.zeros(1, 3, *size, device=next(network.parameters()).device))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return total
