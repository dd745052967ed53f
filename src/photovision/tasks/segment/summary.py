"""A summary of a whole image by a segmenter: by which images are compared with each other, without their masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from photovision.core.types import Floats


@dataclass(frozen=True, eq=False)
class ImageSummary:
    """What the network predicts for a whole image, over all of its windows.

    Attributes:
        best: the number of the class that covers most.
        confidence: the mean probability of the predicted classes, 0 to 1.
        embedding: float32 (D,), the mean of the windows' embeddings, of unit norm; None for graphs that give none.
    """

    best: int
    confidence: float
    embedding: Floats | None


class SummaryBuilder:
    """Takes in the windows of an image one after the other.

    Args:
        classes: C, the number of classes.

    Example:
        >>> windows = SummaryBuilder(2)
        >>> windows.add({"classes": np.float32([[[0.25, 0.5]], [[0.75, 0.5]]])})
        >>> found = windows.summary()
        >>> found.best, found.confidence
        (0, 0.625)
    """

    def __init__(self, classes: int) -> None:
        self._areas = np.zeros(classes, dtype=np.int64)
        self._sure = 0.0
        self._embedding: Floats | None = None

    def add(self, outputs: Mapping[str, np.ndarray]) -> None:
        """The graph's outputs for one window: `classes` float32 (C, h, w), and `embedding` (D,) where there is one."""
        probs = outputs["classes"]
        self._areas += np.bincount(probs.argmax(0).ravel(), minlength=len(self._areas))
        self._sure += float(probs.max(0).sum(dtype=np.float64))
        if "embedding" in outputs:
            own = outputs["embedding"].astype(np.float32)
            self._embedding = own if self._embedding is None else self._embedding + own

    def summary(self) -> ImageSummary:
        """Of all windows so far, at least one."""
        embedding = self._embedding
        if embedding is not None:
            embedding = embedding / max(float(np.linalg.norm(embedding)), 1e-12)
        confidence = min(self._sure / int(self._areas.sum()), 1.0)
        return ImageSummary(int(self._areas.argmax()), confidence, embedding)
