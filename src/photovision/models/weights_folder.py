"""A folder with pretrained weights of a network of timm, checked before anything is built.

It is what timm saves and its repositories on the Hub hold: config.json, which names the architecture and how it is
built, and model.safetensors. Models of pictures and text are folders of another kind, see
`photovision.models.text_folder`; their image part is a network of timm as well. A folder may come from a stranger:
JSON is bounded, weights are safetensors in one file, arguments are plain values, and no code beside them ever runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from photovision.core.errors import ModelError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.models.hub_folder import bounded_json, digest, is_bounded, stated_licence
from photovision.models.weights import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import torch

    from photovision.models.text_folder import TextModel

CONFIG, WEIGHTS = "config.json", "model.safetensors"
RECORD = "weights.json"
"""In folders that were imported or fetched: where the weights come from, and their SHA-256."""
MAX_BYTES = 8 * 2**30
_MOST_CLASSES = 100_000
_SIDES = range(16, 2049)
_RESERVED = re.compile(
    r"pretrained|checkpoint|cache|num_classes|features_only|out_indices|script|export|^no_jit$|dtype"
)
_LARGE, _USUAL = 384, 224
"""Weights for larger inputs than the first are shown the second where no size is asked for: time is short on a CPU."""


@dataclass(frozen=True)
class WeightsFolder:
    """Pretrained weights of a network.

    Attributes:
        name: what people call them.
        folder: where they lie.
        file: the weights.
        architecture: of timm, without a tag.
        args: arguments that it is built with, beside its own.
        preprocess: what the weights expect, at the size that they were trained at.
        outputs: classes of their own last layer; 0 where they have none.
        licence: in lower case; "unknown" where nothing states it.
        origin: where they come from: "timm/resnet50.a1_in1k", or a local folder.
        sha256: of the file.
        text: the part that reads text; None for weights of a network of images alone.
    """

    name: str
    folder: Path
    file: Path
    architecture: str
    args: Mapping[str, Any]
    preprocess: Preprocess
    outputs: int
    licence: str
    origin: str
    sha256: str = field(repr=False)
    text: TextModel | None = None

    def tensors(self) -> dict[str, torch.Tensor]:
        """The weights of the network, by names that timm knows; raises ModelError where the file is damaged."""
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found: dict[str, torch.Tensor] = load_file(self.file)
        except (SafetensorError, OSError, ValueError) as error:
            raise ModelError(f"{self.file} is damaged ({str(error)[:120]}): copy it again") from None
        return found if self.text is None else self.text.image_tensors(found)


def is_network(folder: Path) -> bool:
    """Whether a folder describes a network of timm, or a model of pictures and text."""
    from photovision.models.text_folder import is_text_model

    try:
        config = bounded_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    except ModelError:
        return False
    return isinstance(config.get("architecture"), str) or is_text_model(folder)


def read_weights_folder(folder: Path) -> WeightsFolder:
    """Check what a folder says of its weights.

    Raises:
        ModelError: something is missing, too large, or not what a network of timm has.
    """
    from photovision.models.text_folder import is_text_model, read_text_folder

    if is_text_model(folder):
        found = read_text_folder(folder)
    else:
        found = _read_timm(folder)
    return _with_record(found)


def usual_size(native: tuple[int, int], step: int) -> tuple[int, int]:
    """The size at which weights are used where none is asked for: their own, or 224 pixels where that is very large.

    Args:
        native: (H, W) that they were trained at.
        step: both sides must be multiples of so many pixels.

    Example:
        >>> usual_size((256, 256), 16), usual_size((518, 518), 14)
        ((256, 256), (224, 224))
    """
    if max(native) <= _LARGE:
        return native
    side = step * round(_USUAL / step)
    return side, side


def check_args(args: Any, where: Path) -> dict[str, Any]:
    """The arguments of an architecture, plain and bounded; raises ModelError."""
    if args is None:
        return {}
    fine = isinstance(args, dict) and is_bounded(args) and args.get("in_chans", 3) == 3
    if not fine or any(_RESERVED.search(name) for name in args):
        raise ModelError(f"{where} has arguments that no network of three colours is built with")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in args.items()}


def check_file(file: Path) -> Path:
    """Weights in one file of a bearable size; raises ModelError."""
    if not file.is_file():
        others = sorted(path.name for path in file.parent.glob("*") if path.suffix in (".bin", ".pth", ".pt", ".ckpt"))
        pickled = f" ({', '.join(others[:2])} would run code when it is read)" if others else ""
        raise ModelError(f"{file.parent} has no {file.name}: weights are read from one safetensors file only{pickled}")
    if file.stat().st_size > MAX_BYTES:
        raise ModelError(f"{file} should have at most 8 GiB, it has {file.stat().st_size:,} bytes")
    return file


def _read_timm(folder: Path) -> WeightsFolder:
    import timm

    path = folder / CONFIG
    config = bounded_json(path)
    architecture, _, _ = str(config.get("architecture", ""))[:100].partition(".")
    if not timm.is_model(architecture):
        kind = config.get("model_type", config.get("architecture"))
        raise ModelError(
            f"{path} should name an architecture of timm, got {str(kind)[:60]!r}: fetch the repository of the owner"
            " 'timm' on the Hub, or upgrade timm"
        )
    seen = config["pretrained_cfg"] if isinstance(config.get("pretrained_cfg"), dict) else config
    outputs = config.get("num_classes", seen.get("num_classes", 0))
    if not isinstance(outputs, int) or not 0 <= outputs <= _MOST_CLASSES:
        raise ModelError(f"{path} should state num_classes from 0 to {_MOST_CLASSES:,}")
    stated = stated_licence(folder)
    licence = stated if stated != "unknown" else str(seen.get("license") or "unknown").lower()[:60]
    return WeightsFolder(
        folder.resolve().name,
        folder,
        check_file(folder / WEIGHTS),
        architecture,
        check_args(config.get("model_args"), path),
        timm_preprocess(seen, path),
        outputs,
        licence,
        "a local folder",
        "",
    )


def timm_preprocess(seen: Mapping[str, Any], path: Path) -> Preprocess:
    """What a description in timm's format says of the input; raises ModelError where that makes no sense."""
    size = seen.get("input_size", (3, 224, 224))
    try:
        channels, height, width = (int(side) for side in size)
        if channels != 3 or height not in _SIDES or width not in _SIDES:
            raise ValueError(size)
        return Preprocess(
            (height, width),
            "squash",
            1.0,
            "bicubic" if seen.get("interpolation") == "bicubic" else "bilinear",
            three(seen.get("mean") or IMAGENET_MEAN),
            three(seen.get("std") or IMAGENET_STD),
        )
    except (TypeError, ValueError, UsageError):
        raise ModelError(f"{path} should give an input of three colours, 16 to 2,048 pixels, mean and std") from None


def three(values: Any) -> tuple[float, float, float]:
    """Three finite numbers; raises TypeError or ValueError."""
    red, green, blue = (float(value) for value in values)
    if not all(abs(value) < 1e3 for value in (red, green, blue)):  # False for NaN, too
        raise ValueError(values)
    return red, green, blue


def _with_record(found: WeightsFolder) -> WeightsFolder:
    """What is known of imported weights; those are checked against the SHA-256 that was recorded then."""
    from dataclasses import replace

    sha256 = digest(found.file)
    if not (found.folder / RECORD).is_file():
        return replace(found, sha256=sha256)
    record = bounded_json(found.folder / RECORD)
    if record.get("sha256") != sha256:
        raise ModelError(
            f"{found.file} is not the file that was imported: its SHA-256 is {sha256[:16]}...; delete {found.folder}"
            " and get it again"
        )
    name, licence, origin = (str(record.get(key, ""))[:200] for key in ("name", "licence", "origin"))
    return replace(found, sha256=sha256, name=name, licence=licence, origin=origin)
