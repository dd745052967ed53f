"""Schemas: the answers of the service, as its OpenAPI description shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Union

from pydantic import BaseModel, ConfigDict, Field

from photovision.engine.wire import Wire
from photovision.service.options import served_tasks


class Told(BaseModel):
    """Base of all answers: nothing is in them that is not described."""

    model_config = ConfigDict(extra="forbid")


class Error(Told):
    """Why a request was refused: what was expected, what was got, what to do."""

    error: str


class Unreadable(Told):
    """A picture that could not be read, and why."""

    file: str | None
    error: str


def _either(schemas: Iterable[type[BaseModel] | None]) -> Any:
    """Any of the schemas that the tasks declare."""
    return Union[tuple(dict.fromkeys(one for one in schemas if one is not None))]  # noqa: UP007 - made at run time


_WIRES: list[type[Wire[Any]]] = [row.part("wire") for row in served_tasks()]
METHODS = tuple(dict.fromkeys(name for wire in _WIRES for name in wire.methods))
"""Explainers that a request may ask for; "auto" is the one that suits the model."""

AnyPrediction: Any = _either([*(wire.schema for wire in _WIRES), Unreadable])
"""The prediction of a model of any task for one image, or why there is none."""

AnyExplanation: Any = _either(wire.explanation for wire in _WIRES)
"""The explanation of a prediction of a model of any task."""


class Predictions(Told):
    """Answers in the order of the pictures."""

    id: str = Field(description="Name of the request, as in the log and in the record.")
    model: str
    version: str
    predictions: list[AnyPrediction]
    ignored: list[str] | None = Field(
        default=None, description="Fields of the body that are neither a picture nor an option; absent without any."
    )


class PredictionsV1(Told):
    """Answers in the order of the instances."""

    predictions: list[AnyPrediction]


class ModelNames(Told):
    """All models."""

    models: list[str]


class Live(Told):
    """The process answers."""

    live: bool


class Ready(Told):
    """Whether requests should be sent here."""

    ready: bool
    status: str = Field(
        description='"ok", "degraded" (answers are not recorded), "stalled" (nothing moves) or "draining" (it ends).'
    )
    models: list[str]


class Server(Told):
    """Metadata of the server, Open Inference Protocol v2."""

    name: str
    version: str
    extensions: list[str]


class TensorInfo(Told):
    """An input or output; -1 stands for any size."""

    name: str
    datatype: str
    shape: list[int]


class ModelInfo(Told):
    """Metadata of a model, Open Inference Protocol v2."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorInfo]
    outputs: list[TensorInfo]
    parameters: dict[str, Any] = Field(
        description="The version that answers, its task, classes, size of input, and the options of a request."
    )


class ModelReady(Told):
    """Whether a model answers."""

    name: str
    ready: bool


class Updates(Told):
    """The versions of a model, and what became of its updates, the oldest first."""

    name: str
    current: str
    events: list[dict[str, Any]]


class OutputTensor(Told):
    """An output; its data is absent where it follows the JSON in binary form."""

    name: str
    datatype: str
    shape: list[int]
    data: list[float | bool | str | None] | None = None
    parameters: dict[str, Any] | None = None


class InferAnswer(Told):
    """Answer of an inference, Open Inference Protocol v2."""

    model_name: str
    model_version: str
    id: str
    outputs: list[OutputTensor]


class IndexEntry(Told):
    """A version of a model that is loaded."""

    name: str
    version: str
    state: str = Field(description='"READY", or "KEPT" for one that can be rolled back to.')


class Loaded(Told):
    """The version that answers from now on."""

    name: str
    version: str
