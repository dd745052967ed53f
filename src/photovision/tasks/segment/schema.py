"""Masks in JSON, for the OpenAPI description."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RunLengths(BaseModel):
    """A mask as COCO's compressed run lengths."""

    model_config = ConfigDict(extra="forbid")

    size: list[int] = Field(description="Height and width in pixels.")
    counts: str


class LabelledMask(BaseModel):
    """The pixels of a class, or of an object, which has a score and a box."""

    model_config = ConfigDict(extra="forbid")

    label: str
    segmentation: RunLengths
    area: int = Field(description="Pixels.")
    score: float | None = Field(default=None, ge=0, le=1)
    xyxy: list[float] | None = None


class MaskPrediction(BaseModel):
    """The prediction of a segmenter for one image."""

    model_config = ConfigDict(extra="forbid")

    file: str | None = Field(description="The name that the file was sent with.")
    size: list[int] = Field(description="Height and width of the upright image in pixels.")
    areas: dict[str, float] = Field(description="Class -> its share of the image, of the classes that occur.")
    areas_mm2: dict[str, float] | None = Field(
        default=None,
        description="Class -> its area in mm2, where the file states physical spacing, as DICOM does.",
    )
    objects: int | None = Field(default=None, description="How many there are; of models that separate objects.")
    mask: str | None = Field(default=None, description="masks=png: classes as an indexed PNG file, in base64.")
    object_mask: str | None = Field(default=None, description="masks=png: objects as a PNG file of 16 bits, in base64.")
    masks: list[LabelledMask] | None = Field(
        default=None, description="masks=rle: one for each class that occurs, or for each object."
    )
