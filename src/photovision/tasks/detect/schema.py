"""Boxes in JSON, for the OpenAPI description."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ScoredBox(BaseModel):
    """An object and its box."""

    model_config = ConfigDict(extra="forbid")

    label: str
    score: float = Field(ge=0, le=1, description="How probable it is.")
    xyxy: list[float] = Field(description="Left, top, right, bottom in pixels of the upright image.")


class BoxPredictions(BaseModel):
    """The prediction of a detector for one image."""

    model_config = ConfigDict(extra="forbid")

    file: str | None = Field(description="The name that the file was sent with.")
    size: list[int] = Field(description="Height and width of the upright image in pixels.")
    boxes: list[ScoredBox] = Field(description="Most probable first.")


class BoxExplanation(ScoredBox):
    """Which places of the image a box rests on."""

    heatmap: list[list[float]] = Field(description="14 x 14, 0 to 1, over the part of the image that is seen.")
    window: list[float] = Field(description="That part: left, top, right, bottom in pixels of the upright image.")
    heat_inside: float = Field(ge=0, le=1, description="Share of the heat in the box and a narrow margin around it.")
    area_inside: float = Field(ge=0, le=1, description="Share of the part that these are.")


class BoxExplanations(BaseModel):
    """The explanation of a detector's most probable boxes, or of a segmenter's largest region."""

    model_config = ConfigDict(extra="forbid")

    id: str
    model: str
    version: str
    method: str = Field(description="The explainer.")
    size: list[int] = Field(description="Height and width of the upright image in pixels.")
    boxes: list[BoxExplanation]
