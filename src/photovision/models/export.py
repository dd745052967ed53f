"""Export: from a trained network to one ONNX graph that takes uint8 pixels and gives calibrated probabilities.

Normalisation, temperature and softmax are inside the graph, so no consumer can get them wrong. The graph is then run on
the user's own validation pictures beside the network it came from, and refused where the two do not decide alike.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from photovision.core.errors import ExportError
from photovision.core.files import explained
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.runtime.session import ANSWER, Precision, fastest_precision, open_session

TOLERANCE = 1e-3
"""Largest allowed difference of a probability between the network and its float32 graph."""
MIN_AGREEMENT = 0.995
"""Least share of pictures with the same most probable class for the graph in reduced precision; one picture may differ,
since on the border between two classes any rounding decides."""


class Normalise(nn.Module):
    """uint8 RGB (N, H, W, 3) -> float32 (N, 3, H, W), as `Preprocess.normalise` describes."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, preprocess: Preprocess) -> None:
        super().__init__()
        self.register_buffer(
            "mean", torch.tensor(preprocess.mean, dtype=torch.float32)[:, None, None], persistent=False
        )
        self.register_buffer("std", torch.tensor(preprocess.std, dtype=torch.float32)[:, None, None], persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalise a batch."""
        return (images.permute(0, 3, 1, 2).to(torch.float32) / 255 - self.mean) / self.std


class Decider(nn.Module):
    """The whole way from pixels to probabilities.

    Outputs: `probs` float32 (N, C), `logits` float32 (N, C) before the temperature, `embedding` float32 (N, D) of unit
    norm: what the classifier's last layer sees; and, for networks that keep places apart up to their pooling, `maps`
    float32 (N, K, h, w): the last feature map, for explanations without gradients. `outputs` names them in order.
    """

    temperature: torch.Tensor

    def __init__(self, network: nn.Module, preprocess: Preprocess, temperature: float, multilabel: bool) -> None:
        super().__init__()
        self.normalise = Normalise(preprocess)
        self.network = network
        # A buffer has a name in the graph, by which `tasks.classify.calibrate` finds it again.
        self.register_buffer("temperature", torch.tensor(float(temperature)), persistent=False)
        self.multilabel = multilabel
        with torch.no_grad():
            maps = feature_maps(network.eval(), network.forward_features(torch.zeros(1, 3, *preprocess.size)))  # type: ignore[operator]
        self.outputs = ANSWER if maps is None else (*ANSWER, "maps")

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Decide on a batch."""
        raw = self.network.forward_features(self.normalise(images))  # type: ignore[operator]
        features = self.network.forward_head(raw, pre_logits=True)  # type: ignore[operator]
        answer = _answer(classifier(self.network), features, self.temperature, self.multilabel)
        maps = feature_maps(self.network, raw)
        return answer if maps is None else (*answer, maps)


class DeciderOnFeatures(nn.Module):
    """What a `Decider` adds to a frozen network: its outputs from pooled features (N, D) and the last feature map."""

    temperature: torch.Tensor

    def __init__(self, decider: Decider) -> None:
        super().__init__()
        self.layer, self.multilabel = classifier(decider.network), decider.multilabel
        self.register_buffer("temperature", decider.temperature, persistent=False)

    def forward(self, features: torch.Tensor, last_maps: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Decide on a batch."""
        return *_answer(self.layer, features, self.temperature, self.multilabel), last_maps.clone()


def _answer(
    layer: nn.Linear, features: torch.Tensor, temperature: torch.Tensor, multilabel: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logits: torch.Tensor = layer(features)
    scaled = logits / temperature
    probs = scaled.sigmoid() if multilabel else scaled.softmax(dim=1)
    return probs, logits, nn.functional.normalize(features, dim=1)


def feature_maps(network: nn.Module, features: torch.Tensor) -> torch.Tensor | None:
    """What `forward_features` of a timm network gives, as feature maps float (N, K, h, w); None where it has no places.

    Transformers give tokens (N, T, K), some networks channels last (N, h, w, K).
    """
    width = int(network.num_features)  # type: ignore[arg-type]
    if features.ndim == 4:
        last = features.shape[3] == width != features.shape[1]
        return features.permute(0, 3, 1, 2) if last else features
    grid = getattr(getattr(network, "patch_embed", None), "grid_size", None)
    extra = int(getattr(network, "num_prefix_tokens", 0))
    if features.ndim != 3 or grid is None or features.shape[1] != extra + grid[0] * grid[1]:
        return None
    tokens = features[:, extra:].transpose(1, 2)
    return tokens.reshape(*tokens.shape[:2], int(grid[0]), int(grid[1]))


def embed(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    """What the last layer of a timm network sees: float32 (N, D), for a normalised batch (N, 3, H, W)."""
    features: torch.Tensor = network.forward_head(network.forward_features(batch), pre_logits=True)  # type: ignore[operator]
    return features


def classifier(network: nn.Module) -> nn.Linear:
    """The last layer of a timm network."""
    layer = network.get_classifier()  # type: ignore[operator]
    if not isinstance(layer, nn.Linear):
        raise ExportError(
            f"the network's last layer should be linear, got {type(layer).__name__}; choose another backbone"
        )
    return layer


def export_graph(module: nn.Module, size: tuple[int, int], outputs: tuple[str, ...], path: Path) -> None:
    """Write a module with uint8 input `images` (N, H, W, 3) as an ONNX file with a free batch size.

    Raises:
        ExportError: the network has an operation that ONNX cannot express.
    """
    write_graph(module, {"images": torch.zeros(2, *size, 3, dtype=torch.uint8)}, {"images": ("batch",)}, outputs, path)


def write_graph(
    module: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    free: Mapping[str, tuple[str, ...]],
    outputs: tuple[str, ...],
    path: Path,
) -> None:
    """Write a module as an ONNX file.

    Args:
        module: takes the inputs in their order, and gives the outputs.
        inputs: name -> an example.
        free: name of an input -> names of its first dimensions that may be of any length from 1 on; where two have
            the same name they have the same length.
        outputs: their names.
        path: of the file.

    Raises:
        ExportError: the network has an operation that ONNX cannot express.
    """
    module.eval()
    lengths = {name: torch.export.Dim(name, min=1, max=65536) for names in free.values() for name in names}
    shapes = {name: dict(enumerate(lengths[length] for length in free.get(name, ()))) for name in inputs}
    noise = io.StringIO()
    try:
        with _clips_by_name(module), torch.no_grad(), _quiet(), _unheard(noise):
            program = torch.onnx.export(
                module.cpu(),
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=shapes,
                dynamo=True,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever the operation it cannot express makes it raise
        reason = str(error).strip().splitlines()[0][:200]
        raise ExportError(f"the network cannot be written as ONNX ({reason}); choose another backbone") from error
    assert program is not None
    _forget_origin(program.model)
    with explained(path):
        program.save(path)


class _Clip(nn.Module):
    """ONNX's Clip by its name, for a graph that is being written; it computes nothing."""

    low: torch.Tensor
    high: torch.Tensor

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.register_buffer("low", torch.tensor(float(low)), persistent=False)
        self.register_buffer("high", torch.tensor(float(high)), persistent=False)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """A Clip node."""
        given = values, self.low, self.high
        return torch.onnx.ops.symbolic("Clip", given, dtype=values.dtype, shape=values.shape, version=13)


@contextlib.contextmanager
def _clips_by_name(module: nn.Module) -> Iterator[None]:
    """Let every ReLU6 of a module be a Clip meanwhile: with a free batch size the exporter takes apart what a ReLU6
    does three times, which is two fifths of its time for an EfficientNet-Lite.
    """
    clipped = [
        (parent, name, child)
        for parent in module.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.Hardtanh) and hasattr(torch.onnx, "ops")  # torch 2.8
    ]
    try:
        for parent, name, child in clipped:
            setattr(parent, name, _Clip(child.min_val, child.max_val))
        yield
    finally:
        for parent, name, child in clipped:
            setattr(parent, name, child)


@contextlib.contextmanager
def _unheard(noise: io.StringIO) -> Iterator[None]:
    with contextlib.redirect_stdout(noise), contextlib.redirect_stderr(noise):
        yield


def _forget_origin(model: Any) -> None:
    """Leave out what the exporter remembers of the program it traced: stack traces with the paths of this machine."""
    model.metadata_props.clear()
    for node in model.graph.all_nodes():
        node.metadata_props.clear()


@dataclass(frozen=True)
class Parity:
    """How an exported graph compares with the network it came from, on real pictures.

    Attributes:
        pictures: how many were compared.
        max_abs_prob_difference: of the float32 graph, over all pictures and classes.
        agreement: share of pictures with the same most probable class in the arithmetic used here.
        precision: "f32" where reduced precision decided differently, so that no machine uses it; else None.
        tolerance: what was allowed.
    """

    pictures: int
    max_abs_prob_difference: float
    agreement: float
    precision: str | None
    tolerance: float

    def to_json(self) -> dict[str, Any]:
        """JSON-ready."""
        return dict(vars(self))


@torch.no_grad()
def check_parity(decider: Decider, graph: Path, images: Image) -> Parity:
    """Compare a graph with its network on uint8 pictures (N, H, W, 3).

    Raises:
        ExportError: a probability differs by more than TOLERANCE.
    """
    decider.eval()
    expected = np.concatenate([decider(torch.from_numpy(part))[0].numpy() for part in _parts(images)])
    exact = open_session(graph, precision="f32")
    got = np.concatenate([exact.run(part)["probs"] for part in _parts(images)])
    difference = float(np.abs(expected - got).max())
    if not difference <= TOLERANCE:
        raise ExportError(
            f"the exported graph does not decide like the network: a probability differs by {difference:.2g}, more than"
            f" {TOLERANCE} on {len(images)} pictures; choose another backbone and report this"
        )
    reduced: Precision = fastest_precision()
    agreement = _agreement(expected, got)
    precision = None
    if reduced != "f32":
        fast = open_session(graph, precision=reduced)
        quick = np.concatenate([fast.run(part)["probs"] for part in _parts(images)])
        agreement = _agreement(expected, quick)
        if (1 - agreement) * len(images) > max(1.0, (1 - MIN_AGREEMENT) * len(images)) + 1e-6:
            agreement, precision = _agreement(expected, got), "f32"
    return Parity(len(images), difference, agreement, precision, TOLERANCE)


def _agreement(expected: np.ndarray, got: np.ndarray) -> float:
    return float((expected.argmax(1) == got.argmax(1)).mean())


def _parts(images: Image) -> list[Image]:
    return [images[start : start + 32] for start in range(0, len(images), 32)]


@contextlib.contextmanager
def _quiet() -> Any:
    """The exporter talks a lot about its own progress."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    before = os.environ.get("TQDM_DISABLE")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if before is not None:
            os.environ["TQDM_DISABLE"] = before
