"""Networks: timm's architectures with pretrained weights read safely, and small ones for small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from photovision.core.errors import ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models import weights as zoo
from photovision.models import weights_store as store
from photovision.models.checkpoints import is_checkpoint
from photovision.models.licences import licence_note
from photovision.models.small import SMALL
from photovision.models.weights_folder import WeightsFolder, usual_size

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True)
class Backbone:
    """Where a network starts from.

    Attributes:
        backbone: timm architecture, or a name of `photovision.models.small`.
        weights: "none", a carrier's name, a name under which weights are kept, or the path of a local .safetensors or
            .pth file.
        preprocess: what the weights expect.
        licence: of weights that are kept or lie in a folder, as stated there.
        args: arguments that the architecture is built with, beside its own.
        folder: where such weights lie.
        cosine: where the last layer sees directions, in which pictures are compared with text: width of the
            projection before it, 0 where there is none; None for all other networks.
    """

    backbone: str
    weights: str
    preprocess: Preprocess
    licence: str | None = None
    args: Mapping[str, Any] = field(default_factory=dict)
    folder: WeightsFolder | None = None
    cosine: int | None = None

    @property
    def any_size(self) -> bool:
        """Whether the network takes pictures of any size; others are built for one."""
        config = None if self.backbone in SMALL else timm.get_pretrained_cfg(self.backbone)
        return config is None or not config.fixed_input_size

    def comparing(self) -> Backbone | None:
        """The network whose pooled features tell which pictures are alike; None where nothing is pretrained."""
        return None if self.weights == "none" else self

    def comparing_text(self, width: int) -> Backbone:
        """The same network, whose last layer compares directions; `width` is that of the projection, 0 for none."""
        return replace(self, cosine=width)

    def ledger(self) -> list[zoo.LedgerEntry]:
        """What it is made of, and under which licences."""
        return zoo.ledger(self.backbone, self.weights, self.licence, self.folder.origin if self.folder else "")

    def describe(self) -> dict[str, Any]:
        """What bundle.json says of it."""
        plain = self.folder is not None or self.weights == "none"
        found: dict[str, Any] = {"name": self.backbone, "weights": self.weights if plain else Path(self.weights).name}
        if self.folder is not None and self.weights != "none":
            found |= {"origin": self.folder.origin, "sha256": self.folder.sha256}
        found |= {"args": dict(self.args)} if self.args else {}
        return found | ({"cosine": self.cosine} if self.cosine is not None else {})


def choose(backbone: str | None, weights: str, size: int | None, allow_download: bool = False) -> Backbone:
    """Settle backbone, weights and preprocessing from the user's choices.

    Args:
        backbone: an architecture of timm, a name under which weights are kept, "hf-hub:owner/name", the folder of a
            network, or None for the default.
        weights: "auto" (weights that are on this machine), "none", "hub", a name of weights, or a file's path.
        size: side of the square input in pixels, or None for what the weights were trained at.
        allow_download: whether weights that are not here may be fetched from the Hub.

    Raises:
        UsageError: the names do not fit together, or nothing is here; the message says what to do.
        ModelError: the weights are damaged.
    """
    if is_checkpoint(backbone):
        raise UsageError(f"{backbone} is a whole detector: it learns only from pictures with boxes around the objects")
    if weights == "auto":
        weights = _automatic(backbone)
    if weights in zoo.CARRIERS:
        return _of_carrier(backbone, weights, size)
    if weights == "none":
        folder = store.find(backbone) if backbone and backbone not in SMALL else None
        return _built(backbone or "resnet50", size) if folder is None else _of_folder(folder, size, random=True)
    if weights == "hub":
        return _of_folder(_fetched(backbone or "resnet50", allow_download), size)
    if Path(weights).is_file():
        return replace(_built(backbone or "resnet50", size), weights=weights)
    folder = store.find(weights)
    if folder is None:
        raise UsageError(
            f"--weights should be auto, none, hub, a name of 'photovision weights list' or a file; got '{weights}'"
        )
    if backbone not in (None, folder.architecture, weights):
        raise UsageError(f"the weights '{weights}' fit {folder.architecture}, not {backbone}; leave out --backbone")
    return _of_folder(folder, size)


def _automatic(backbone: str | None) -> str:
    """A carrier whose weights are here, "hub" for all other weights."""
    fitting = [name for name, carrier in zoo.CARRIERS.items() if backbone in (None, carrier.backbone, name)]
    for name in fitting:
        if zoo.locate(name) is not None:
            return name
    if backbone is not None and (not fitting or store.find(backbone) is not None):
        return "hub"
    raise UsageError(
        f"no pretrained weights are on this machine: photovision weights get {fitting[0]}, or train with --weights none"
    )


def _of_carrier(backbone: str | None, weights: str, size: int | None) -> Backbone:
    carrier = zoo.CARRIERS[weights]
    if backbone not in (None, carrier.backbone, weights):
        raise UsageError(f"the weights '{weights}' fit {carrier.backbone}, not {backbone}; leave out --backbone")
    if zoo.locate(weights) is None:
        raise UsageError(f"the weights '{weights}' are not on this machine: photovision weights get {weights}")
    side = (size, size) if size else carrier.size
    preprocess = Preprocess(side, "squash", 1.0, carrier.interpolation, carrier.mean, carrier.std)
    return Backbone(carrier.backbone, weights, preprocess)


def _fetched(name: str, allow_download: bool) -> WeightsFolder:
    """Weights that are here, or that may be fetched."""
    if name in SMALL:
        raise UsageError(f"there are no pretrained weights for {name}: use --weights none")
    found = store.find(name)
    if found is not None:
        return found
    store.check_name(name)
    if store.repository(name) is None:
        raise UsageError(f"timm publishes no weights for {name}: --weights none learns from scratch")
    if allow_download:
        from photovision.models.import_weights import fetch

        return fetch(name)
    raise UsageError(
        f"the weights of {_facts(name)} are not on this machine: run 'photovision weights get {name}' once or add"
        " --allow-download (both use the network), 'photovision weights import' them from a file or folder, or learn"
        " from scratch with --weights none"
    )


def _facts(name: str) -> str:
    """Name, size and licence of published weights, as far as timm knows them."""
    if not timm.is_model(name.partition(".")[0]):
        return name
    full, config = store.full_name(name), timm.get_pretrained_cfg(store.full_name(name))
    with torch.device("meta"):
        size = 4 * count_parameters(timm.create_model(full)) / 1e6
    licence = str(config.license or "licence unknown") if config else "licence unknown"
    return f"{full} ({', '.join(filter(None, [f'{size:,.0f} MB', licence, licence_note(licence)]))})"


def _of_folder(folder: WeightsFolder, size: int | None, random: bool = False) -> Backbone:
    """A network as a folder describes it, with its weights or random ones."""
    plain = Backbone(folder.architecture, "none", folder.preprocess, args=folder.args)
    native = folder.preprocess.size
    args = {name: value for name, value in folder.args.items() if name != "img_size"}  # the size is a choice here
    side = (size, size) if size else usual_size(native, _step(plain))
    preprocess = replace(folder.preprocess, size=side)
    if random:
        return Backbone(folder.architecture, "none", preprocess, args=args, folder=folder)
    return Backbone(folder.architecture, folder.name, preprocess, folder.licence, args, folder)


def _built(name: str, size: int | None) -> Backbone:
    """An architecture without weights."""
    if name in SMALL:
        return Backbone(name, "none", Preprocess((size or 32, size or 32)))
    name = name.partition(".")[0]
    if not timm.is_model(name):
        raise UsageError(store.unknown(name))
    config = timm.get_pretrained_cfg(name)
    height, width = (size, size) if size else config.input_size[1:] if config else (224, 224)
    mean = tuple(config.mean) if config else zoo.IMAGENET_MEAN
    std = tuple(config.std) if config else zoo.IMAGENET_STD
    interpolation = "bicubic" if config and config.interpolation == "bicubic" else "bilinear"
    return Backbone(name, "none", Preprocess((height, width), "squash", 1.0, interpolation, mean, std))


def _step(source: Backbone) -> int:
    """Both sides of the input must be multiples of so many pixels: the patches of a transformer; 1 for others."""
    if source.any_size:
        return 1
    with torch.device("meta"):
        embedding = getattr(build(source.backbone, 0, source.args), "patch_embed", None)
    patch = getattr(embedding, "patch_size", 1)
    return int(max(patch)) if isinstance(patch, tuple | list) else int(patch)


def create(source: Backbone, classes: int) -> nn.Module:
    """Build a timm network with `classes` outputs (0: pooled features), pretrained where the source says so.

    The head starts untrained. Position embeddings are interpolated where the input has another size than the weights
    were trained at.

    Raises:
        UsageError: the network cannot be built for that size.
        ModelError: the weights do not fit.
    """
    size = source.preprocess.size
    if source.backbone in SMALL:
        network = SMALL[source.backbone](classes)
    else:
        step = _step(source)
        if any(side % step for side in size):
            below = max(step, size[0] // step * step)
            raise UsageError(
                f"the input of {source.backbone} should be a multiple of {step} pixels, got {size[0]}: choose --size"
                f" {below} or {below + step}"
            )
        sized = {} if source.any_size else {"img_size": size}
        weights = source.folder if source.weights != "none" else None
        try:
            outputs = weights.outputs if weights is not None else classes if source.cosine is None else source.cosine
            network = build(source.backbone, outputs, {**source.args, **sized}, weights)
        except (ValueError, AssertionError, TypeError) as error:
            raise UsageError(f"{source.backbone} cannot be built for {size} pixels: {error}") from None
        if source.cosine is not None:
            compare_directions(network, classes)
        elif outputs != classes:
            network.reset_classifier(classes)  # type: ignore[operator]
    if source.folder is None and source.weights != "none":
        load_tensors(network, read_weights(source.weights), source.weights)
    return network


class Direction(nn.Module):
    """Features float (N, D) at unit norm."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Divide by the norm."""
        return nn.functional.normalize(features, dim=1)


def compare_directions(network: nn.Module, classes: int) -> None:
    """Let the last layer of a vision transformer see directions: its own last layer, then the norm, come before it."""
    last: Any = network.head
    width = int(last.out_features if isinstance(last, nn.Linear) else network.num_features)  # type: ignore[arg-type]
    network.fc_norm = nn.Sequential(network.fc_norm, last, Direction())  # type: ignore[arg-type]
    network.head = nn.Linear(width, classes)


def build(architecture: str, outputs: int, args: Mapping[str, Any], weights: WeightsFolder | None = None) -> nn.Module:
    """A network of timm, with weights of a folder, which must fit it whole, or with random ones.

    Raises:
        ModelError: the weights do not fit.
    """
    if weights is None:
        network: nn.Module = timm.create_model(architecture, num_classes=outputs, **args)
        return network
    given = {"state_dict": weights.tensors(), "num_classes": outputs, "label_offset": 0}
    try:  # timm knows the names of older files, and interpolates position embeddings
        network = timm.create_model(
            architecture, pretrained=True, num_classes=outputs, pretrained_cfg_overlay=given, **args
        )
    except (RuntimeError, KeyError, AttributeError) as error:
        raise store.damaged(error, weights) from None
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
