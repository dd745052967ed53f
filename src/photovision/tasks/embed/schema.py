"""Embeddings in JSON, for the OpenAPI description."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SimilarTrainingImage(BaseModel):
    """A training image that is similar to the one that was sent."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(description="Its name in the training data.")
    label: str
    similarity: float = Field(description="Cosine of centred embeddings, -1 to 1.")


class EmbeddingPrediction(BaseModel):
    """The prediction of an embedding model for one image."""

    model_config = ConfigDict(extra="forbid")

    file: str | None = Field(description="The name that the file was sent with.")
    embedding: list[float] = Field(description="A vector of unit norm.")
    neighbours: list[SimilarTrainingImage] = Field(description="The most similar training images.")
