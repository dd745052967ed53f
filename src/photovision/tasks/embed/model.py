"""EmbeddingModel: a network that puts similar images near each other, ready to predict. It runs without torch."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np

from photovision.core.errors import ModelError
from photovision.core.progress import ProgressCallback
from photovision.core.result import Size
from photovision.core.types import Floats
from photovision.data.dataset import Dataset, Problem
from photovision.runtime.model import OnnxModel, Outputs
from photovision.runtime.neighbours import NeighbourIndex, read_references
from photovision.runtime.stream import loader, stream
from photovision.tasks.embed.prediction import ImageEmbedding


class EmbeddingModel(OnnxModel[ImageEmbedding]):
    """A trained embedding model.

    Args:
        bundle: where it lives on disk, already checked.
        engine: which library runs the graph.
        precision: arithmetic; None takes what the bundle's parity check allows on this machine.

    Raises:
        ModelError: the bundle is another task's, or damaged.

    Example: `photovision.load("shelf-embedding").predict("biscuits.jpg").vector`.
    """

    task: ClassVar[str] = "embed"
    batch_size = 32
    sized = False
    top = 5

    def with_options(self, *, top: int | None = None) -> EmbeddingModel:
        """The same model, whose predictions name `top` training images; the loaded graph is shared."""
        other = self.with_session(self.session)
        other.top = self.top if top is None else top
        return other

    @cached_property
    def references(self) -> NeighbourIndex | None:
        """Training images that the bundle remembers; None for bundles that were made without."""
        return self.bundle.still(read_references(self.bundle.path))

    def decode(self, outputs: Outputs, size: Size = (0, 0)) -> ImageEmbedding:
        """The prediction that the graph's output for one image means: "embedding" float (K,)."""
        vector, known = self._checked(outputs), self.references
        if known is None or not known.ids:
            return ImageEmbedding(vector)
        return ImageEmbedding(vector, tuple(known.nearest(vector, self.top)))

    def vectors(self, dataset: Dataset, progress: ProgressCallback | None = None) -> tuple[Floats, list[Problem]]:
        """float32 (N, K) of unit norm, of N images, NaN in the rows of unreadable ones; and what is wrong with these.

        Args:
            dataset: N images.
            progress: called with (images done, N).
        """
        rows: list[Floats | None] = []
        problems = []
        answers = stream((sample.image for sample in dataset.samples), loader(self.preprocess), self.session)
        for done, (sample, answer) in enumerate(zip(dataset.samples, answers, strict=True), 1):
            rows.append(None if answer.error else self._checked(answer.outputs))
            if answer.error is not None:
                problems.append(Problem(sample.id, "unreadable", str(answer.error)))
            if progress and (done % 32 == 0 or done == len(dataset)):
                progress(done, len(dataset))
        width = next((len(row) for row in rows if row is not None), 0)
        blank = np.full(width, np.nan, np.float32)
        found = [blank if row is None else row for row in rows]
        return np.stack(found) if found else np.zeros((0, 0), np.float32), problems

    def _checked(self, outputs: Outputs) -> Floats:
        """float32 (K,), of unit norm; raises ModelError where the graph gives something else."""
        vector = outputs.get("embedding")
        length = 0.0 if vector is None or vector.ndim != 1 else float(np.linalg.norm(vector.astype(np.float32)))
        if vector is None or not 0 < length < np.inf:
            raise ModelError(
                f"{self.bundle.graph} should give an embedding (N, K), but does not: copy or train the bundle again"
            )
        return np.asarray(vector, np.float32) / np.float32(length)
