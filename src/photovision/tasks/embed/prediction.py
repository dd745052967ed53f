"""ImageEmbedding: the vector of an image, and the training images that are nearest to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from photovision.core.pictured import Pictured
from photovision.core.result import Size
from photovision.core.types import Floats
from photovision.runtime.neighbours import Neighbour


@dataclass(frozen=True, eq=False)
class ImageEmbedding(Pictured):
    """The prediction of an embedding model for one image.

    Attributes:
        vector: float32 (K,) of unit norm; the inner product of two is the cosine of their images, -1 to 1.
        neighbours: training images, the nearest first; none where the model remembers none.
    """

    vector: Floats
    neighbours: tuple[Neighbour, ...] = ()

    @property
    def label(self) -> str:
        """The class of the nearest training image, "" where the model remembers none."""
        return self.neighbours[0].label if self.neighbours else ""

    def json_fields(self, size: Size) -> dict[str, Any]:
        """`{"embedding": [K numbers], "neighbours": [{"id", "label", "similarity"}]}`."""
        near = [{"id": one.id, "label": one.label, "similarity": round(one.similarity, 4)} for one in self.neighbours]
        return {"embedding": [round(float(value), 6) for value in self.vector], "neighbours": near}

    def html_facts(self) -> str:
        """The most similar training images."""
        from photovision.core.notebook import paragraph

        return "".join(paragraph(f"{one.label} ({one.similarity:.2f}): {one.id}") for one in self.neighbours)
