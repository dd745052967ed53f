"""Subject: a model under explanation, and Explainer: a way to explain it."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from photovision.core.errors import ModelError, UsageError
from photovision.core.types import Floats, Image, Ints
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Session, open_session

if TYPE_CHECKING:
    from torch import nn

BATCH = 64


@dataclass(frozen=True)
class Explainer:
    """A way to tell which places of a picture speak for a class.

    Attributes:
        name: as in the registry.
        about: what it shows, one sentence for people.
        torch: whether it needs the network in torch; the others run on the exported graph alone.
        of_class: whether its map depends on the class; the others show what the network looks at, whatever it says.
        heatmaps: from a subject, uint8 pictures (N, H, W, 3) of the network's size and class indices int64 (N,) to
            float32 (N, H, W); higher speaks for the class, only the order within one map has a meaning. Raises
            UsageError where the method cannot explain this kind of network.
    """

    name: str
    about: str
    torch: bool
    of_class: bool
    heatmaps: Callable[[ExplainedModel, Image, Ints], Floats]


class Layer(NamedTuple):
    """A linear last layer: weights float32 (C, K) and bias float32 (C,)."""

    weights: Floats
    bias: Floats


class ExplainedModel:
    """A model under explanation: its exported graph, and its network in torch for methods that need gradients.

    Args:
        bundle: the model.
        engine: what runs the graph, "auto", "openvino" or "onnxruntime".
        precision: arithmetic of the graph; None takes what its parity check allows.
        seed: None for the model itself; else all its weights are shuffled, tensor by tensor, with this seed.
    """

    def __init__(
        self, bundle: Bundle, engine: str = "auto", precision: str | None = None, seed: int | None = None
    ) -> None:
        self.bundle = bundle
        self.size = bundle.preprocess.size
        self.multilabel = bundle.multilabel
        self.temperature = float(bundle.info.get("temperature", 1.0))  # detectors have none
        self._engine, self._precision, self._seed = engine, precision or bundle.precision, seed

    def shuffled(self, seed: int) -> ExplainedModel:
        """A model of the same shape and scale that has learned nothing, since all its weights are shuffled.

        The graph is shuffled as a file, so no torch is needed (the check of Adebayo et al. 2018, "Sanity checks for
        saliency maps", with the weights' own distribution in place of the initial one).
        """
        return ExplainedModel(self.bundle, self._engine, self._precision, seed)

    @cached_property
    def graph(self) -> Path:
        """The graph's file."""
        if self._seed is None:
            return self.bundle.graph
        scratch = Path(tempfile.mkdtemp(prefix="photovision-"))
        weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
        _shuffle_graph(self.bundle.graph, self._seed, scratch / "model.onnx")
        return scratch / "model.onnx"

    def probs(self, images: Image) -> Floats:
        """float32 (N, C) for uint8 pictures (N, H, W, 3), run in batches."""
        return np.concatenate([self._answers.run(part)["probs"] for part in _parts(images)]).astype(np.float32)

    def log_odds(self, images: Image, classes: Ints) -> Floats:
        """float32 (N,): log p / (1 - p) of one class a picture; tells answers apart whose p is rounded to 1."""
        rows = np.arange(len(images))
        logits = np.concatenate([self._answers.run(part)["logits"] for part in _parts(images)]).astype(np.float64)
        logits /= self.temperature
        own = logits[rows, classes]
        if not self.multilabel:
            logits[rows, classes] = -np.inf
            own = own - np.logaddexp.reduce(logits, axis=1)
        return np.nan_to_num(own).astype(np.float32)

    def maps(self, images: Image) -> Floats:
        """The last feature maps, float32 (N, K, h, w); raises UsageError where the graph does not give them."""
        found = [self._mapping.run(part) for part in _parts(images)]
        if "maps" not in found[0]:
            raise UsageError(
                "the model's graph gives no feature maps (its network keeps no places apart, or it was made by an older"
                " Photovision): choose occlusion, or train again"
            )
        return np.concatenate([outputs["maps"] for outputs in found]).astype(np.float32)

    @cached_property
    def layer(self) -> Layer | None:
        """The last layer, if it is linear in the mean of the feature maps, so that maps explain it exactly; else None.

        Proved rather than looked up: on random patchworks the formula has to give the graph's own logits.
        """
        if self.bundle.runner is not None:
            return None
        layer = _last_layer(self.graph)
        outputs = self._mapping.run(_patchworks(self.size))
        if layer is None or "maps" not in outputs or outputs["maps"].shape[1] != layer.weights.shape[1]:
            return None
        expected, got = outputs["logits"], outputs["maps"].mean((2, 3)) @ layer.weights.T + layer.bias
        # Logits that never change would prove nothing.
        spread = float(np.ptp(expected, axis=0).max())
        close = spread > 0 and np.allclose(expected, got, rtol=1e-3, atol=1e-3 * spread)
        return layer if close else None

    @cached_property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the last feature maps; raises UsageError where the graph does not give them."""
        rows, columns = self.maps(np.zeros((1, *self.size, 3), np.uint8)).shape[2:]
        return int(rows), int(columns)

    @cached_property
    def network(self) -> nn.Module:
        """The network in torch, in evaluation mode; raises ModelError where the bundle has no weights for it."""
        from photovision.models.load_network import trained_network

        # Gradients are asked for places, never for weights.
        return self.shuffle(trained_network(self.bundle)).requires_grad_(False)

    def shuffle(self, network: nn.Module) -> nn.Module:
        """A network in torch as it is, or with its weights shuffled like those of this subject."""
        if self._seed is not None:
            _shuffle_network(network, self._seed)
        return network

    @cached_property
    def _answers(self) -> Session:
        return self.opened(self._precision, ("probs", "logits"))

    @cached_property
    def _mapping(self) -> Session:
        # One pass a picture is enough for maps, so they can afford the exact arithmetic that `layer` is proved in.
        return self.opened("f32", ("logits", "maps"))

    def opened(self, precision: str | None, outputs: tuple[str, ...]) -> Session:
        """The graph with some of its outputs, or what stands for one in a model in memory."""
        if self.bundle.runner is not None:
            return self.bundle.runner
        return open_session(self.graph, engine=self._engine, precision=precision, outputs=outputs)  # type: ignore[arg-type]


def resized(maps: Floats, size: tuple[int, int]) -> Floats:
    """Heatmaps float (N, h, w) brought to `size` (H, W) by bilinear interpolation: float32 (N, H, W)."""
    from PIL import Image as Pillow

    bilinear = Pillow.Resampling.BILINEAR
    rows = [Pillow.fromarray(np.ascontiguousarray(one, np.float32)).resize(size[::-1], bilinear) for one in maps]
    return np.stack([np.asarray(row, np.float32) for row in rows])


def blurred(images: Image, share: float = 0.1) -> Image:
    """Pictures (N, H, W, 3) blurred beyond recognition, what hidden places are filled with.

    A blur keeps colours and light, so that what is hidden is missing rather than replaced by an object of its own, as
    a grey or black patch would be (Fong & Vedaldi 2017). `share` is the blur's sigma by the picture's sides.
    """
    from scipy.ndimage import gaussian_filter

    sigma = (0, share * images.shape[1], share * images.shape[2], 0)
    soft = gaussian_filter(images.astype(np.float32), sigma, mode="nearest")
    return np.asarray(np.round(soft), np.uint8)


def _patchworks(size: tuple[int, int]) -> Image:
    """Pictures of patches in strong colours, from two to thirteen along each side: uint8 (12, H, W, 3)."""
    from PIL import Image as Pillow

    rng = np.random.default_rng(0)
    cells = (rng.choice(np.array([0, 128, 255], np.uint8), (side, side, 3)) for side in range(2, 14))
    nearest = Pillow.Resampling.NEAREST
    return np.stack([np.asarray(Pillow.fromarray(one).resize(size[::-1], nearest)) for one in cells])


def _parts(images: Image) -> Iterator[Image]:
    return (images[start : start + BATCH] for start in range(0, len(images), BATCH))


def _last_layer(graph: Path) -> Layer | None:
    """Weights and bias of the matrix product that gives `logits`, read from the graph itself."""
    import onnx
    from onnx import numpy_helper

    found = _read(graph).graph
    constants = {value.name: value for value in found.initializer}
    last = next((node for node in found.node if "logits" in node.output), None)
    if last is None or last.op_type != "Gemm" or len(last.input) != 3 or not set(last.input[1:]) <= set(constants):
        return None
    options = {item.name: onnx.helper.get_attribute_value(item) for item in last.attribute}
    weights, bias = (numpy_helper.to_array(constants[name]).astype(np.float32) for name in last.input[1:])
    return Layer(weights if options.get("transB") else weights.T, bias)


def _shuffle_graph(graph: Path, seed: int, path: Path) -> None:
    import onnx
    from onnx import numpy_helper

    model = _read(graph)
    rng = np.random.default_rng(seed)
    for value in model.graph.initializer:
        if value.data_type == onnx.TensorProto.FLOAT and sum(side > 1 for side in value.dims) > 1:
            weights = numpy_helper.to_array(value)
            value.CopyFrom(numpy_helper.from_array(rng.permutation(weights.ravel()).reshape(weights.shape), value.name))
    onnx.save(model, path)


def _read(graph: Path):  # type: ignore[no-untyped-def]
    import onnx

    try:
        return onnx.load(graph, load_external_data=False)
    except Exception as error:  # protobuf raises its own untyped errors for damaged files
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelError(f"the graph {graph} cannot be read ({reason}); copy or train the bundle again") from None


def _shuffle_network(network: nn.Module, seed: int) -> None:
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in network.parameters():
            if sum(side > 1 for side in weights.shape) > 1:
                order = torch.randperm(weights.numel(), generator=generator)
                weights.copy_(weights.flatten()[order].reshape(weights.shape))
