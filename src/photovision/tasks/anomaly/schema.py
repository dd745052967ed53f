"""Anomalies in JSON, for the OpenAPI description."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class HotBox(BaseModel):
    """A region that departs from good images."""

    model_config = ConfigDict(extra="forbid")

    xyxy: list[float] = Field(description="x1, y1, x2, y2 in pixels of the upright image.")
    score: float = Field(description="Its largest heat in units of what good images reach.")
    area: float = Field(ge=0, le=1, description="Its share of the image.")


class AnomalyPrediction(BaseModel):
    """The prediction of an anomaly detector for one image."""

    model_config = ConfigDict(extra="forbid")

    file: str | None = Field(description="The name that the file was sent with.")
    score: float = Field(description="Higher for more anomalous; comparable between images of one model only.")
    p: float = Field(ge=0, le=1, description="Share of good images with such a score or a higher one.")
    verdict: Literal["good", "anomalous", "unsure"]
    boxes: list[HotBox]


class AnomalyExplanation(BaseModel):
    """Where an image departs from good ones."""

    model_config = ConfigDict(extra="forbid")

    file: str | None = None
    score: float
    p: float
    verdict: Literal["good", "anomalous", "unsure"]
    boxes: list[HotBox]
    method: str
    heatmap: list[list[float]] = Field(description="14 x 14 over the pixels that the network sees, 0 to 1.")
