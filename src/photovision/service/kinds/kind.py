"""Kind: what the service needs to know of a model's task, and all that it knows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from photovision.core.errors import UnreadableImage
from photovision.core.image import read_header, to_array
from photovision.core.image_cost import DecodeCost
from photovision.core.preprocess import Preprocess
from photovision.core.types import Image
from photovision.runtime.bundle import Bundle
from photovision.runtime.session import Session
from photovision.service.settings import Limits

Source = bytes | Image
"""The content of a picture's file, or uint8 RGB (H, W, 3)."""
Size = tuple[int, int]
Outputs = dict[str, np.ndarray]
Tensor = tuple[str, Sequence[Any] | np.ndarray]
"""A datatype of the Open Inference Protocol, and values, the first axis of which is that of the pictures."""


class Outcome(Protocol):
    """What a model says of one picture."""

    def to_json(self, file: str | None) -> dict[str, Any]:
        """As the command prints it, with the name that the file was sent with."""
        ...

    def facts(self) -> dict[str, Any]:
        """What the record keeps of it: attributes of `photovision.service.record.Row`."""
        ...


@dataclass(frozen=True)
class OneCall:
    """Each picture is one input of the network.

    Attributes:
        preprocess: how a picture becomes that input.
        answer: (outputs of the graph for one picture, its size) -> Outcome.
        sized: whether `answer` needs the size (H, W) of the upright picture; else it is (0, 0).
    """

    preprocess: Preprocess
    answer: Callable[[Outputs, Size], Outcome]
    sized: bool = True

    def prepare(self, source: Source, limits: Limits, cost: DecodeCost | None = None) -> tuple[Image, Size]:
        """The input, uint8 RGB, and the picture's size; in a thread that decodes; raises UnreadableImage."""
        if isinstance(source, np.ndarray):
            return self.preprocess.apply(source), (source.shape[0], source.shape[1])
        size = read_header(source).size if self.sized else (0, 0)
        return self.preprocess.load(source, limits.picture_pixels, cost), size


@dataclass(frozen=True)
class ManyCalls:
    """A picture is seen through any number of windows.

    Attributes:
        look: (source, limits, session) -> Outcome, in a thread of its own; the calls of the session share batches with
            those for other pictures; raises UnreadableImage.
        per_pixel: bytes of memory that this takes for each pixel of the picture, besides decoding it.
    """

    look: Callable[[Source, Limits, Session], Outcome]
    per_pixel: int = 3


Way = OneCall | ManyCalls


@dataclass(frozen=True)
class Why:
    """What is to be explained of an answer, and how.

    Attributes:
        label: the class; None for the most probable answer.
        method: name of the explainer, "auto" for the one that suits.
        session: for the model's own calls while it is explained, which share batches with those for other pictures.
    """

    label: str | None
    method: str
    session: Session


class Explained(Protocol):
    """Where in a picture an answer comes from."""

    def to_json(self) -> dict[str, Any]:
        """The answer that is explained, and its map in numbers, 0 to 1."""
        ...

    def png(self) -> bytes:
        """The map over the picture, a PNG file."""
        ...


class Model(Protocol):
    """What models of all tasks have."""

    @property
    def bundle(self) -> Bundle:
        """Where it lives."""
        ...

    @property
    def preprocess(self) -> Preprocess:
        """How a picture becomes the network's input."""
        ...

    @property
    def session(self) -> Session:
        """Its open graph."""
        ...


class Kind(Protocol):
    """An opened model, as the service sees it.

    Attributes:
        name: such as "a detector".
        options: names of options that a request may have.
    """

    name: str
    options: tuple[str, ...]

    @property
    def model(self) -> Model:
        """What answers."""
        ...

    def way(self, options: Mapping[str, str]) -> Way:
        """How the pictures of one request are answered; raises Refusal (422) for an option out of its range."""
        ...

    def explain(self, source: Source, outcome: Any, why: Why, limits: Limits) -> Explained:
        """Explain its own outcome for a picture, in a thread; seconds.

        Raises:
            Refusal: there is no class of that name (404).
            PhotovisionError: the picture cannot be read, or the method does not suit the model.
        """
        ...

    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """Its tensors in the Open Inference Protocol: name -> (datatype, shape, -1 for any size)."""
        ...

    def tensors(self, outcomes: Sequence[Any]) -> dict[str, Tensor]:
        """The tensors of one answer; N of its own outcomes, 1 or more."""
        ...


M = TypeVar("M")


def through(model: M, session: Session) -> M:
    """The same model, whose graph is called by way of another session."""
    other = copy(model)
    other.__dict__["session"] = session  # where `cached_property` keeps it
    return other


def opened(source: Source, preprocess: Preprocess, limits: Limits) -> Image:
    """The upright picture, uint8 RGB (H, W, 3); raises UnreadableImage."""
    return to_array(preprocess.decode(source, max_pixels=limits.picture_pixels))


def check_windows(count: int, limits: Limits) -> None:
    """Raise UnreadableImage for a picture that would take more calls of the network than one picture may."""
    if count > limits.windows:
        raise UnreadableImage(
            f"the picture: is seen through {count:,} windows, more than the limit of {limits.windows:,}:"
            " send a smaller one, or ask for larger windows"
        )
