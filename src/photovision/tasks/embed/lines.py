"""How predictions of an embedding model are printed: the most similar training images, and the vector in tables."""

from __future__ import annotations

from typing import Any

from photovision.core.result import Size
from photovision.core.text import printable
from photovision.tasks.embed.model import EmbeddingModel
from photovision.tasks.embed.prediction import ImageEmbedding


class NeighbourLines:
    """Lines and cells that name the `top` most similar training images."""

    frames = False

    def __init__(self, model: EmbeddingModel, top: int) -> None:
        self._top = top
        near = [f"{name}_{place}" for place in range(1, top + 1) for name in ("label", "similarity", "file")]
        self.columns = [*near, "embedding"]

    def text(self, file: str, value: ImageEmbedding) -> str:
        """One line; `file` is printable."""
        near = [f"{printable(one.label)} {one.similarity:.2f}" for one in value.neighbours[: self._top]]
        return f"{file}  {', '.join(near) or f'a vector of {len(value.vector)} numbers'}"

    def rows(self, value: ImageEmbedding, size: Size) -> list[list[Any]]:
        """Cells of `columns`, one row; the numbers of the vector are separated by blanks."""
        near = [[one.label, f"{one.similarity:.4f}", one.id] for one in value.neighbours[: self._top]]
        near += [["", "", ""]] * (self._top - len(near))
        vector = " ".join(f"{number:.6f}" for number in value.vector.tolist())
        return [[*(cell for one in near for cell in one), vector]]
