"""Wire: how the predictions of a task go over HTTP and into the record; each task has its own as the part "wire".

The service decodes, batches, limits and records; it knows no task. What a task adds is here: how an image goes through
its network, what is kept of the answer, and which tensors, facts and explanations are made from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from photovision.core.errors import UnreadableImage, UsageError
from photovision.core.image import read_header, to_array
from photovision.core.image_cost import DecodeCost
from photovision.core.preprocess import Preprocess
from photovision.core.result import Prediction, Result, Size
from photovision.core.types import Floats, Image
from photovision.runtime.model import OnnxModel, Outputs
from photovision.runtime.session import Session

if TYPE_CHECKING:
    from pydantic import BaseModel

Source = bytes | Image
"""The content of an image file, or uint8 RGB (H, W, 3)."""
Tensor = tuple[str, Sequence[Any] | np.ndarray]
"""A datatype of the Open Inference Protocol, and values, the first axis of which is that of the images."""
V = TypeVar("V", bound=Prediction)


class UnknownClass(UsageError):
    """A request names a class that the model does not have."""


class ImageLimits(Protocol):
    """What one image may cost."""

    @property
    def picture_pixels(self) -> int:
        """Pixels of an image."""
        ...

    @property
    def windows(self) -> int:
        """Calls of the network for an image."""
        ...


@dataclass(frozen=True, eq=False)
class Answer(Generic[V]):
    """The prediction for one image on its way out.

    Attributes:
        size: (H, W) of the upright image; (0, 0) where the model does not need it.
        value: the prediction, or what is kept of it.
        outputs: the rows of the graph's outputs, of a task whose wire needs them.
    """

    size: Size
    value: V
    outputs: Outputs | None = None

    def to_json(self, file: str | None) -> dict[str, Any]:
        """As the command prints it, with the name that the file was sent with."""
        return Result(file, self.size, self.value).to_json()


@dataclass(frozen=True, eq=False)
class Facts:
    """What the record keeps of a prediction.

    Attributes:
        label: the prediction in one word, "" for none.
        best: the most probable class, "" for none.
        prob: its probability, or how sure the model is of all boxes or pixels on average, 0 to 1.
        novelty: how unlike the training images it is; None for a model without novelty detection.
        known: whether it resembles them; None likewise.
        prediction_set: classes, most probable first; empty, too, for a model without sets.
        embedding: float32 (D,); None where the model gives none.
        found: the whole prediction, ready for JSON, where the columns above do not hold it.
    """

    label: str
    best: str
    prob: float
    novelty: float | None = None
    known: bool | None = None
    prediction_set: tuple[str, ...] = ()
    embedding: Floats | None = None
    found: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Batched:
    """Each image is one input of the network, and shares a call of it with others.

    Attributes:
        preprocess: how an image becomes that input.
        decode: (outputs of the graph for one image, its size) -> Answer.
        sized: whether `decode` needs the size (H, W) of the upright image; else it is (0, 0).
    """

    preprocess: Preprocess
    decode: Callable[[Outputs, Size], Answer[Any]]
    sized: bool = True

    def prepare(self, source: Source, limits: ImageLimits, cost: DecodeCost | None = None) -> tuple[Image, Size]:
        """The input, uint8 RGB, and the image's size; in a thread that decodes; raises UnreadableImage."""
        if isinstance(source, np.ndarray):
            return self.preprocess.apply(source), (source.shape[0], source.shape[1])
        size = read_header(source).size if self.sized else (0, 0)
        return self.preprocess.load(source, limits.picture_pixels, cost), size


@dataclass(frozen=True)
class Tiled:
    """An image takes any number of calls of the network.

    Attributes:
        predict: (source, limits, session) -> Answer, in a thread of its own; the calls of the session share batches
            with those for other images; raises UnreadableImage.
        bytes_per_pixel: of memory that this takes for each pixel of the image, besides decoding it.
    """

    predict: Callable[[Source, ImageLimits, Session], Answer[Any]]
    bytes_per_pixel: int = 3


Way = Batched | Tiled


@dataclass(frozen=True)
class MapRequest:
    """What is to be explained of an answer, and how.

    Attributes:
        label: the class; None for what the model predicts.
        method: name of the explainer, "auto" for the one that suits.
        session: for the model's own calls while it is explained, which share batches with those for other images.
    """

    label: str | None
    method: str
    session: Session


class Explained(Protocol):
    """Which places of an image an answer rests on."""

    def to_json(self) -> dict[str, Any]:
        """The answer that is explained, and its map in numbers, 0 to 1."""
        ...

    def png(self) -> bytes:
        """The map over the image, a PNG file."""
        ...


class Wire(Generic[V]):
    """An opened model as the service sees it; the part "wire" of a task is a class made from one.

    Attributes:
        model: what answers.
        schema: of a prediction in JSON, for the OpenAPI description.
        explanation: the same of an explanation; None for a task without.
        methods: explainers that need no torch.
    """

    schema: ClassVar[type[BaseModel]]
    explanation: ClassVar[type[BaseModel] | None] = None
    methods: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: OnnxModel[Any]) -> None:
        self.model = model

    def way(self, options: Mapping[str, Any]) -> Way:
        """How the images of one request are answered, with the values of the task's `predict_options` given."""
        model: Any = self.model
        if options:  # a copy of the model takes longer than all the rest here
            model = model.with_options(**options)
        return Batched(model.preprocess, partial(self.answer, model), model.sized)

    def answer(self, model: OnnxModel[Any], outputs: Outputs, size: Size) -> Answer[V]:
        """What the graph's outputs for one image mean; of `model`, which has the options of the request."""
        return Answer(size, model.decode(outputs, size))

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """Its tensors in the Open Inference Protocol: name -> (datatype, shape, -1 for any size)."""
        raise NotImplementedError

    def tensors(self, answers: Sequence[Answer[V]]) -> dict[str, Tensor]:
        """The tensors of one response; N answers, 1 or more."""
        raise NotImplementedError

    def facts(self, answer: Answer[V]) -> Facts:
        """What the record keeps of an answer."""
        raise NotImplementedError

    def explain(self, source: Source, answer: Answer[V], request: MapRequest, limits: ImageLimits) -> Explained:
        """Explain an answer of its own, in a thread; seconds.

        Raises:
            UnknownClass: there is no class of that name.
            PhotovisionError: the image cannot be read, or the method does not suit the model.
        """
        raise UsageError(f"'explain' is not available for {self.model.bundle.row.text.a_noun}")

    def check_label(self, label: str | None) -> None:
        """Raise UnknownClass for the name of a class that the model does not have."""
        if label is not None and label not in self.model.classes:
            raise UnknownClass("the model knows no class of that name: GET /v2/models/{model} lists them")


def whole_image(source: Source, preprocess: Preprocess, limits: ImageLimits) -> Image:
    """The upright image, uint8 RGB (H, W, 3); raises UnreadableImage."""
    return to_array(preprocess.decode(source, max_pixels=limits.picture_pixels))


def check_windows(count: int, limits: ImageLimits) -> None:
    """Raise UnreadableImage for an image that would take more calls of the network than one image may."""
    if count > limits.windows:
        raise UnreadableImage(
            f"the picture: is seen through {count:,} windows, more than the limit of {limits.windows:,}:"
            " send a smaller one, or ask for larger windows"
        )
