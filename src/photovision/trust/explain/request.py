"""Explain request: which predictions are to be explained, and how; the same for every task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from photovision.core.errors import UsageError
from photovision.core.inputs import Source
from photovision.core.regions import Detections
from photovision.core.report import Report
from photovision.core.suggest import did_you_mean
from photovision.core.types import Attribution
from photovision.data.dataset import Dataset

AUTO = "auto"
"""The method that suits the model."""


@dataclass(frozen=True)
class ExplainRequest:
    """What is to be explained, and how.

    Attributes:
        methods: names of explainers, or "auto".
        target: the class to explain; None for what the model predicts.
        boxes: how many boxes or regions of an image are explained, or their positions in the prediction; None: 3.
        truth: the ground truth of the one image, to explain what the model missed, too.
        data: labelled images, of which a task shows what it can.
        files: names of the images that will be explained, "" for those that came from no file.
        tests: whether each map is tested; a map without its test should not be relied on.
        seed: of the random orders and shuffled weights of the tests.
    """

    methods: tuple[str, ...] = (AUTO,)
    target: str | None = None
    boxes: int | tuple[int, ...] | None = None
    truth: Detections | None = None
    data: Dataset | None = None
    files: tuple[str, ...] = ()
    tests: bool = True
    seed: int = 0

    def class_index(self, classes: Sequence[str]) -> int | None:
        """The index of the class to explain, None where none was asked for; raises UsageError for an unknown one."""
        if self.target is None:
            return None
        if self.target in classes:
            return list(classes).index(self.target)
        meant = did_you_mean(self.target, classes, f"; it knows {', '.join(classes[:5])}{', ...' * (len(classes) > 5)}")
        raise UsageError(f"the model knows no class '{self.target}'{meant}")


class ExplainedImage(Protocol):
    """One image with its explanations."""

    @property
    def maps(self) -> Sequence[Attribution]:
        """The heatmaps, that of the leading prediction first; none where the model found nothing to explain."""
        ...


class ImageExplainer(Protocol):
    """What the part `explain` of a task makes from (model, request); it refuses what it cannot do with UsageError."""

    def explain(self, source: Source, name: str) -> ExplainedImage:
        """Explain one image, called `name` in the report; raises UnreadableImage."""
        ...

    def report(self, images: Sequence[ExplainedImage], unreadable: Sequence[str]) -> Report:
        """The report of kind "explain".

        Args:
            images: what `explain` gave, at least one.
            unreadable: messages about the images that could not be read.
        """
        ...
