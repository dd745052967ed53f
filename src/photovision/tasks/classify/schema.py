"""Classes in JSON, for the OpenAPI description."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ScoredClass(BaseModel):
    """A class and its calibrated probability."""

    model_config = ConfigDict(extra="forbid")

    label: str
    prob: float = Field(ge=0, le=1)


class ClassPrediction(BaseModel):
    """The prediction of a classifier for one image."""

    model_config = ConfigDict(extra="forbid")

    file: str | None = Field(description="The name that the file was sent with.")
    label: str = Field(description='The most probable class, or "unknown" for an image of something else.')
    prob: float | None = Field(ge=0, le=1, description="Its calibrated probability; null for unknown.")
    top: list[ScoredClass] = Field(description="The most probable classes.")
    known: bool | None = Field(description="Whether the image resembles the training data.")
    novelty: float | None = Field(default=None, description="How unlike the training data it is; usual is about 0.")
    set: list[str] | None = Field(
        default=None, description="The prediction set: it holds the true class with the stated coverage."
    )
    similarity: float | None = Field(
        default=None, description="How similar the nearest training image is: cosine of centred embeddings, -1 to 1."
    )
    elsewhere: bool | None = Field(
        default=None,
        description="Whether it shows known things less like the training images than 19 of 20 held-out images were.",
    )
    confidence: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="The probability that the prediction is right, from prob and similarity together.",
    )
    labels: list[str] | None = Field(default=None, description="Classes that count as true; multi-label models only.")


class SimilarImage(BaseModel):
    """A training image that is similar to the one that is explained."""

    model_config = ConfigDict(extra="forbid")

    label: str
    similarity: float = Field(description="Cosine of the embeddings, -1 to 1.")


class ClassExplanation(BaseModel):
    """The explanation of a classifier's prediction."""

    model_config = ConfigDict(extra="forbid")

    id: str
    model: str
    version: str
    label: str = Field(description="The class that is explained.")
    prob: float = Field(ge=0, le=1)
    known: bool | None
    method: str = Field(description="The explainer.")
    heatmap: list[list[float]] = Field(description="14 x 14, 0 to 1, over the part of the image that is seen.")
    window: list[float] = Field(description="That part: left, top, right, bottom, as shares of the upright image.")
    neighbours: list[SimilarImage]
