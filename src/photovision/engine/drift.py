"""What the comparison of images in use with images of the past needs of a task: its part "drift"."""

from __future__ import annotations

from typing import Protocol

from photovision.core.progress import ProgressCallback
from photovision.data.dataset import Dataset
from photovision.runtime.held_out import HeldOut


class DriftModel(Protocol):
    """What the part "drift" of a task makes from a model; recorded predictions are compared by their `Facts`.

    Attributes:
        classes: that `HeldOut.best` counts through; the `best` of recorded predictions is one of them, "" where
            nothing was found.
        limit: the novelty above which an image counts as unknown; None for a model without novelty detection.
        false_alarms: share of familiar images above that limit; None likewise.
        has_found: whether recorded predictions of such models have `found`, by which those of other tasks are noticed.
    """

    classes: tuple[str, ...]
    limit: float | None
    false_alarms: float | None
    has_found: bool

    def predict(self, dataset: Dataset, progress: ProgressCallback | None = None) -> HeldOut:
        """Predictions on the readable ones of N images."""
        ...
