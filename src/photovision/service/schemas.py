"""Schemas: the answers of the service, as its OpenAPI description shows them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Told(BaseModel):
    """Base of all answers: nothing is in them that is not described."""

    model_config = ConfigDict(extra="forbid")


class Error(Told):
    """Why a request was refused: what was expected, what was got, what to do."""

    error: str


class Choice(Told):
    """A class and its calibrated probability."""

    label: str
    prob: float = Field(ge=0, le=1)


class Prediction(Told):
    """What a classifier says of one picture."""

    file: str | None = Field(description="The name that the file was sent with.")
    label: str = Field(description='The most probable class, or "unknown" for a picture of something else.')
    prob: float | None = Field(ge=0, le=1, description="Its calibrated probability; null for unknown.")
    top: list[Choice] = Field(description="The most probable classes.")
    known: bool | None = Field(description="Whether the picture resembles the training data.")
    novelty: float | None = Field(default=None, description="How unlike the training data it is; usual is about 0.")
    set: list[str] | None = Field(
        default=None, description="Classes that the truth is among, with the stated coverage."
    )
    labels: list[str] | None = Field(default=None, description="Classes that count as true; multi-label models only.")


class Box(Told):
    """An object and where it is."""

    label: str
    score: float = Field(ge=0, le=1, description="How probable it is.")
    xyxy: list[float] = Field(description="Left, top, right, bottom in pixels of the upright picture.")


class Boxes(Told):
    """What a detector says of one picture."""

    file: str | None = Field(description="The name that the file was sent with.")
    size: list[int] = Field(description="Height and width of the upright picture in pixels.")
    boxes: list[Box] = Field(description="Most probable first.")


class Runs(Told):
    """A mask as COCO's compressed run lengths."""

    size: list[int] = Field(description="Height and width in pixels.")
    counts: str


class Mask(Told):
    """The pixels of a class, or of an object, which has a score and a box."""

    label: str
    segmentation: Runs
    area: int = Field(description="Pixels.")
    score: float | None = Field(default=None, ge=0, le=1)
    xyxy: list[float] | None = None


class Areas(Told):
    """What a segmenter says of one picture."""

    file: str | None = Field(description="The name that the file was sent with.")
    size: list[int] = Field(description="Height and width of the upright picture in pixels.")
    areas: dict[str, float] = Field(description="Class -> its share of the picture, of the classes that occur.")
    objects: int | None = Field(default=None, description="How many there are; of models that tell them apart.")
    mask: str | None = Field(default=None, description="masks=png: classes as an indexed PNG file, in base64.")
    object_mask: str | None = Field(default=None, description="masks=png: objects as a PNG file of 16 bits, in base64.")
    masks: list[Mask] | None = Field(default=None, description="masks=rle: one a class that occurs, or one an object.")


class Unreadable(Told):
    """A picture that could not be read, and why."""

    file: str | None
    error: str


class Predictions(Told):
    """Answers in the order of the pictures."""

    id: str = Field(description="Name of the request, as in the log and in the record.")
    model: str
    version: str
    predictions: list[Prediction | Boxes | Areas | Unreadable]
    ignored: list[str] | None = Field(
        default=None, description="Fields of the body that are neither a picture nor an option; absent without any."
    )


class PredictionsV1(Told):
    """Answers in the order of the instances."""

    predictions: list[Prediction | Boxes | Areas | Unreadable]


class ModelNames(Told):
    """All models."""

    models: list[str]


class Neighbour(Told):
    """A training picture that the model was reminded of."""

    label: str
    similarity: float = Field(description="Cosine of the embeddings, -1 to 1.")


class PlaceExplanation(Box):
    """Why the model says that something is there."""

    heatmap: list[list[float]] = Field(description="14 x 14, 0 to 1, over the part of the picture that is seen.")
    window: list[float] = Field(description="That part: left, top, right, bottom in pixels of the upright picture.")
    heat_inside: float = Field(ge=0, le=1, description="Share of the heat in the box and a narrow margin around it.")
    area_inside: float = Field(ge=0, le=1, description="Share of the part that these are.")


class PlaceExplanations(Told):
    """Why a detector, or a segmenter, said what it said: its most probable boxes, its largest region."""

    id: str
    model: str
    version: str
    method: str = Field(description="The explainer.")
    size: list[int] = Field(description="Height and width of the upright picture in pixels.")
    boxes: list[PlaceExplanation]


class Explanation(Told):
    """Why a classifier said what it said."""

    id: str
    model: str
    version: str
    label: str = Field(description="The class that is explained.")
    prob: float = Field(ge=0, le=1)
    known: bool | None
    method: str = Field(description="The explainer.")
    heatmap: list[list[float]] = Field(description="14 x 14, 0 to 1, over the part of the picture that is seen.")
    window: list[float] = Field(description="That part: left, top, right, bottom, as shares of the upright picture.")
    neighbours: list[Neighbour]


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
