"""Detectors whose queries look for one object each: D-FINE, RT-DETRv2 and RF-DETR, as transformers builds them.

After Carion et al. 2020 (DETR): queries and objects are matched one to one, so that no two queries learn to tell of
the same object. Boxes and logits come out as from `photovision.models.detector`, and what comes after is the same:
calibration, thresholds, the graph, its comparison, and the runtime.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from photovision.core.errors import ModelError, UsageError
from photovision.core.files import write_json
from photovision.core.preprocess import Preprocess
from photovision.models.backbones import Backbone, choose
from photovision.models.checkpoint_folder import FILES, Described
from photovision.models.checkpoints import CHECKPOINTS, checkpoint_ledger, describe, require
from photovision.models.hub import offline
from photovision.models.hub_folder import digest
from photovision.models.weights import LedgerEntry

_AT_ONCE = 8  # pictures that are answered together
_MAX_PARAMETERS = 200_000_000  # the largest published one has 77 million
_OF_CLASSES = ("class_embed", "score_head")  # parts of the names of weights that know of classes
_FILTERS = {"bilinear": 2, "bicubic": 3}  # the numbers by which preprocessor_config.json names them


@dataclass(frozen=True)
class QuerySource(Backbone):
    """Where such a detector starts from; `weights` is "none", "hub", or the path of its folder."""

    found: Described = field(kw_only=True)

    def comparing(self) -> Backbone | None:
        """The weights that are installed: a detector with queries has no pooled features."""
        try:
            return choose(None, "auto", None)
        except UsageError:
            return None

    def ledger(self) -> list[LedgerEntry]:
        """What it is made of, and under which licences."""
        return checkpoint_ledger(self.found)

    def describe(self) -> dict[str, str]:
        """What bundle.json says of it, with the SHA-256 of the weights, and of published ones repository and commit."""
        found, facts = self.found, super().describe()
        if found.folder is not None:
            facts["sha256"] = digest(found.folder / FILES[2])
        if found.folder is not None and found.revision:
            facts |= {"repo": CHECKPOINTS[found.name].repo, "revision": found.revision}
        return facts


def query_source(name: str, weights: str = "auto", allow_download: bool = False) -> QuerySource:
    """Settle where a detector starts from; arguments and errors as of `photovision.models.checkpoints.describe`."""
    found = describe(name, weights, allow_download)
    where = "none" if found.folder is None else "hub" if found.revision else str(found.folder)
    return QuerySource(found.name, where, found.preprocess, found.licence, found=found)


class QueryDetector(nn.Module):
    """Normalised pictures float (N, 3, H, W) -> float (N, Q, 4 + C), for each query a box and logits.

    Boxes are x1, y1, x2, y2 in pixels of the input.

    Args:
        found: what to build, with weights where it has a folder.
        size: (H, W) of the input.
        classes: names of what is to be learned; None keeps those that the weights know.

    Raises:
        UsageError: the input does not suit the network, or transformers is too old for it.
        ModelError: the description describes no network, or the weights do not fit it.
    """

    scale: torch.Tensor
    columns: torch.Tensor

    def __init__(self, found: Described, size: tuple[int, int], classes: tuple[str, ...] | None = None) -> None:
        super().__init__()
        height, width = size
        if height % found.block or width % found.block or (found.family.square and height != width):
            square = "a square, each side " if found.family.square else ""
            raise UsageError(f"the size of {found.name} should be {square}a multiple of {found.block}, got {size}")
        columns = list(found.columns) if classes is None else list(range(len(classes)))
        self.inner = _built(found, _numbered(found, classes))
        if found.family.square:
            _fit_positions(self.inner, size)
        self.register_buffer("scale", torch.tensor([width, height, width, height]).float(), persistent=False)
        self.register_buffer("columns", torch.tensor(columns), persistent=False)

    def forward(self, inputs: torch.Tensor, truth: torch.Tensor | None = None) -> Any:
        """Boxes and logits; or, given the truth float (N, M, 5) as `learn.boxes` has it, the scalar loss."""
        if truth is not None:
            return self.inner(pixel_values=inputs, labels=self._labels(truth)).loss
        return self.read(inputs)[0]

    def read(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Boxes and logits, and the coarsest map that the queries look at pooled over its places, float (N, D)."""
        if not torch.compiler.is_exporting() and len(inputs) > _AT_ONCE:  # pictures are large: memory stays small
            found, pooled = zip(*(self.read(part) for part in torch.split(inputs, _AT_ONCE)), strict=True)
            return torch.cat(found), torch.cat(pooled)
        with _exportable(self.inner):
            found = self.inner(pixel_values=inputs)
        middle, half = found.pred_boxes[..., :2], found.pred_boxes[..., 2:] / 2
        boxes = torch.cat([middle - half, middle + half], dim=2) * self.scale
        logits = found.logits
        if len(self.columns) != logits.shape[2]:
            logits = logits[..., self.columns]
        # The encoder of D-FINE and RT-DETRv2 gives several maps, the backbone of RF-DETR one.
        maps = found.backbone_features if hasattr(found, "backbone_features") else found.encoder_last_hidden_state[-1]
        return torch.cat([boxes, logits], dim=2), maps.mean((2, 3))

    def steps(self) -> list[list[tuple[str, nn.Parameter]]]:
        """Its weights from the picture upwards: the backbone, which learns more slowly, and what reads it."""
        named = list(self.named_parameters())
        below = [name.startswith("inner.model.backbone.") for name, _ in named]
        return [[one for one, low in zip(named, below, strict=True) if low == wanted] for wanted in (True, False)]

    def save(self, folder: Path, preprocess: Preprocess) -> None:
        """Write config.json, model.safetensors and preprocessor_config.json, as transformers reads them."""
        with offline():
            self.inner.save_pretrained(folder)  # type: ignore[operator]
        config = {
            "do_resize": True,
            "size": {"height": preprocess.size[0], "width": preprocess.size[1]},
            "resample": _FILTERS[preprocess.interpolation],
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(preprocess.mean),
            "image_std": list(preprocess.std),
        }
        write_json(folder / FILES[1], config)

    def _labels(self, truth: torch.Tensor) -> list[dict[str, torch.Tensor]]:
        """Classes, and boxes (middle, width, height as shares of the input); what is not judged is left out."""
        labels = []
        for rows in truth:
            rows = rows[rows[:, 0] >= 0]
            corners = (rows[:, 1:] / self.scale).clamp(0, 1)
            boxes = torch.cat([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], dim=1)
            labels.append({"class_labels": rows[:, 0].long(), "boxes": boxes})
        return labels


def _numbered(found: Described, classes: tuple[str, ...] | None) -> dict[int, str]:
    """All outputs of the classes, by number; those without a name are gaps in COCO's numbers."""
    if classes is not None:
        return dict(enumerate(classes))
    names = {number: f"gap {number}" for number in range(found.outputs)}
    return names | dict(zip(found.columns, found.classes, strict=True))


def _built(found: Described, names: Mapping[int, str]) -> nn.Module:
    require()
    import transformers

    family = found.family
    shape, kind = getattr(transformers, family.config, None), getattr(transformers, family.network, None)
    if shape is None or kind is None:
        raise UsageError(
            f"the installed transformers {transformers.__version__} has no {family.title}:"
            " pip install --upgrade transformers"
        )
    with offline(), _quietly(transformers):
        numbers = {name: number for number, name in names.items()}
        fields = {**found.architecture, "id2label": dict(names), "label2id": numbers}
        config = _understood(found, lambda: shape(**fields))
        with torch.device("meta"):
            size = sum(parameter.numel() for parameter in _understood(found, lambda: kind(config)).parameters())
        if size > _MAX_PARAMETERS:
            raise ModelError(f"{found.name} describes a network of {size:,} weights, which none of its family has")
        if found.folder is None:
            return _understood(found, lambda: kind(config)).float()  # type: ignore[no-any-return]
        return _loaded(found, kind, config)


def _loaded(found: Described, kind: Any, config: Any) -> nn.Module:
    network, report = _understood(
        found,
        lambda: kind.from_pretrained(
            found.folder,
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            ignore_mismatched_sizes=True,  # heads of other classes
            output_loading_info=True,
        ),
    )
    absent = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
    wrong = [key for key in absent if not any(part in key for part in _OF_CLASSES)]
    if wrong:
        raise ModelError(
            f"the weights in {found.folder} do not fit their description: {wrong[0]} and {len(wrong) - 1} more differ"
        )
    return network  # type: ignore[no-any-return]


def _understood(found: Described, build: Callable[[], Any]) -> Any:
    try:
        return build()
    except Exception as error:  # transformers raises anything from KeyError to errors of its own for odd descriptions
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
        raise ModelError(f"{found.name} cannot be built from its description ({reason}); copy it again") from None


@contextmanager
def _quietly(transformers: Any) -> Iterator[None]:
    """Its notes on heads that are trained again would alarm without need."""
    before = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers.logging.set_verbosity(before)


@contextmanager
def _exportable(network: nn.Module) -> Iterator[None]:
    """While a graph is made, transformers' module of this network leaves the number of pictures free, and asks nothing.

    It takes that number by `len`, which must be a fixed one, and its checks of shapes are nothing that ONNX has.
    """
    if not torch.compiler.is_exporting():
        yield
        return
    names = vars(sys.modules[type(network).__module__])
    checks = names["torch_compilable_check"]
    names["len"] = lambda value: value.shape[0] if isinstance(value, torch.Tensor) else len(value)
    names["torch_compilable_check"] = lambda *args, **kwargs: None
    try:
        yield
    finally:
        names["torch_compilable_check"] = checks
        del names["len"]


@torch.no_grad()
def _fit_positions(network: Any, size: tuple[int, int]) -> None:
    """Resize what a vision transformer knows of places to another input, once; in the graph it would be resized at
    every call.

    It does so itself for any input, by the same filter.
    """
    embeddings = network.model.backbone.backbone.embeddings
    encoded = embeddings.position_embeddings
    side, wanted = math.isqrt(encoded.shape[1] - 1), size[0] // int(embeddings.patch_size)
    if side != wanted:
        grid = encoded[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = functional.interpolate(grid, (wanted, wanted), mode="bicubic", align_corners=False, antialias=True)
        embeddings.position_embeddings = nn.Parameter(
            torch.cat([encoded[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)
        )
    network.config.backbone_config.image_size = size[0]
