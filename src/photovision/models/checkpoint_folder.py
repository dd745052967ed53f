"""A folder of a detector with queries as Hugging Face's transformers writes it, checked before anything is built.

It may come from a stranger: its JSON is bounded, weights are safetensors in one file and nothing else, the backbone is
one that is built here and not fetched, and no code beside them ever runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from photovision.core.errors import ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.hub_folder import LONGEST, MAX_PARTS, bounded_json, is_bounded, stated_licence
from photovision.models.weights import IMAGENET_MEAN, IMAGENET_STD

FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
"""What is read of such a folder; the second may be missing."""
_LARGEST_WEIGHTS = 2**31
_MOST_CLASSES = 20_000
_SIDES = range(32, 2049)  # pixels of an input
_GAPS = frozenset(("n/a", "background", "__background__", "no object"))  # in COCO's numbers, which have holes
_NAMES = ("id2label", "label2id", "num_labels")
_ONE_SIZE = ("anchor_image_size", "eval_size")
_LEFT_OUT = frozenset(("auto_map", "quantization_config", "dtype", "torch_dtype", *_NAMES, *_ONE_SIZE))


@dataclass(frozen=True)
class Family:
    """One architecture.

    Attributes:
        title: what people call it.
        network, config: names of its classes in transformers.
        backbone: the type that its backbone's description must have.
        mean, std: normalisation, where a folder does not tell it.
        square: whether the input must be as wide as high.
    """

    title: str
    network: str
    config: str
    backbone: str
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    square: bool = False


_RF_DETR = ("RF-DETR", "RfDetrForObjectDetection", "RfDetrConfig", "rf_detr_dinov2")
FAMILIES = {
    "d_fine": Family("D-FINE", "DFineForObjectDetection", "DFineConfig", "hgnet_v2"),
    "rt_detr_v2": Family("RT-DETRv2", "RTDetrV2ForObjectDetection", "RTDetrV2Config", "rt_detr_resnet"),
    "rf_detr": Family(*_RF_DETR, IMAGENET_MEAN, IMAGENET_STD, square=True),
}
"""By the `model_type` of config.json."""


@dataclass(frozen=True)
class Described:
    """What a network with queries is built from.

    Attributes:
        family: of FAMILIES.
        architecture: the fields of its description, checked.
        classes: names of what it finds; () where it is to be built for others.
        columns: which of its `outputs` these are; the others are gaps in COCO's numbers.
        outputs: how many classes its weights tell apart.
        preprocess: what it expects.
        folder: with its weights; None for random ones.
        name: of the published weights, or the folder's.
        licence: of the weights, in lower case; "unknown" where nothing states it.
        revision: commit of the Hub's repository, or "".
    """

    family: Family
    architecture: Mapping[str, Any]
    classes: tuple[str, ...]
    columns: tuple[int, ...]
    outputs: int
    preprocess: Preprocess
    folder: Path | None
    name: str
    licence: str
    revision: str = ""

    @property
    def block(self) -> int:
        """Both sides of the input must be multiples of so many pixels."""
        if not self.family.square:
            return 32
        backbone = self.architecture["backbone_config"]
        return int(backbone.get("patch_size", 14)) * int(backbone.get("num_windows", 4))


def read_folder(folder: Path) -> Described:
    """Check the description in a folder of a model.

    Raises:
        ModelError: something is missing, too large, or not what these families have.
    """
    config = bounded_json(folder / FILES[0])
    family = FAMILIES.get(str(config.get("model_type")))
    if family is None:
        kind = str(config.get("model_type"))[:60]
        raise ModelError(f"{folder} should hold a model of the type {', '.join(FAMILIES)}, got {kind!r}")
    weights = folder / FILES[2]
    if not weights.is_file():
        raise ModelError(f"{folder} has no {FILES[2]}: weights in other files (pickles, parts) are not read")
    if weights.stat().st_size > _LARGEST_WEIGHTS:
        raise ModelError(f"{weights} should have at most 2 GiB, it has {weights.stat().st_size:,} bytes")
    _check_architecture(config, family, folder)
    names = _names(config, folder)
    columns = tuple(number for number, name in enumerate(names) if name.strip().lower() not in _GAPS)
    classes = tuple(names[number] for number in columns)
    if not classes or len(set(classes)) != len(classes):
        raise ModelError(f"{folder / FILES[0]} should have a different name for every class in id2label")
    seen = bounded_json(folder / FILES[1]) if (folder / FILES[1]).is_file() else {}
    preprocess = _preprocess(seen, config, family, folder)
    name, licence = folder.resolve().name, stated_licence(folder)
    return Described(family, _plain(config), classes, columns, len(names), preprocess, folder, name, licence)


def is_described(folder: Path) -> bool:
    """Whether a folder has a description of a model of these families."""
    try:
        return str(bounded_json(folder / FILES[0]).get("model_type")) in FAMILIES
    except ModelError:
        return False


def _check_architecture(config: dict[str, Any], family: Family, folder: Path) -> None:
    """Only backbones of the family, which are built here and not fetched, and no numbers that would fill the memory."""
    backbone = config.get("backbone_config")
    kind = backbone.get("model_type") if isinstance(backbone, dict) else None
    if kind != family.backbone or any(config.get(key) for key in ("use_timm_backbone", "use_pretrained_backbone")):
        raise ModelError(
            f"{folder / FILES[0]} should describe a backbone of the type {family.backbone}, got {str(kind)[:60]!r}:"
            " others would have to be fetched from elsewhere"
        )
    parts = [backbone[key] for key in ("patch_size", "num_windows") if isinstance(backbone, dict) and key in backbone]
    whole = all(isinstance(value, int) and 1 <= value <= MAX_PARTS for value in parts)
    if not whole or not is_bounded({key: value for key, value in config.items() if key not in _LEFT_OUT}):
        raise ModelError(f"{folder / FILES[0]} has numbers or lists that no such network can have")


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    """Without what does not describe the network: code, arithmetic, kernels, class names, what holds for one size."""
    return {
        key: _plain(value) if key == "backbone_config" else value
        for key, value in config.items()
        if not key.startswith("_") and key not in _LEFT_OUT and "implementation" not in key
    }


def _names(config: dict[str, Any], folder: Path) -> list[str]:
    table = config.get("id2label")
    if not isinstance(table, dict) or not 1 <= len(table) <= _MOST_CLASSES:
        raise ModelError(f"{folder / FILES[0]} should name its classes in id2label, 1 to {_MOST_CLASSES:,} of them")
    names = [table.get(str(number)) for number in range(len(table))]
    real = [name for name in names if isinstance(name, str) and 0 < len(name) <= LONGEST]
    if len(real) != len(names):
        raise ModelError(f"{folder / FILES[0]} should name the classes 0 to {len(table) - 1} in id2label")
    return real


def _preprocess(seen: dict[str, Any], config: dict[str, Any], family: Family, folder: Path) -> Preprocess:
    """What preprocessor_config.json says, which resizes without keeping proportions; else what the family does."""
    plain = seen.get("do_normalize") is False
    colours = (
        (0.0, 0.0, 0.0) if plain else seen.get("image_mean", family.mean),
        (1.0, 1.0, 1.0) if plain else seen.get("image_std", family.std),
    )
    factor = 1.0 if seen.get("do_rescale") is False else seen.get("rescale_factor", 1 / 255)
    try:
        mean, std = (_three(values, 255 * float(factor)) for values in colours)
        interpolation = "bicubic" if seen.get("resample") == 3 else "bilinear"  # Pillow's numbers of filters
        return Preprocess(_size(seen, config, family), "squash", 1.0, interpolation, mean, std)
    except (TypeError, ValueError, ZeroDivisionError, UsageError):
        raise ModelError(f"{folder / FILES[1]} should give a mean and a deviation of three colours") from None


def _three(values: Any, scale: float) -> tuple[float, float, float]:
    red, green, blue = (float(value) / scale for value in values)
    if not all(map(math.isfinite, (red, green, blue))):
        raise ValueError(values)
    return red, green, blue


def _size(seen: dict[str, Any], config: dict[str, Any], family: Family) -> tuple[int, int]:
    size = seen.get("size")
    sides = (size.get("height"), size.get("width")) if isinstance(size, dict) else (None, None)
    if isinstance(sides[0], int) and isinstance(sides[1], int) and sides[0] in _SIDES and sides[1] in _SIDES:
        return sides[0], sides[1]
    side = config["backbone_config"].get("image_size") if family.square else 640
    return (side, side) if isinstance(side, int) and side in _SIDES else (640, 640)
