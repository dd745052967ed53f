"""Evaluation: a model's predictions beside the truth of N samples; what every verb that judges a model works on.

The part "evaluate" of a task makes one: `(model, dataset, *, progress=None, embeddings=False, ...) -> Evaluation`; the
dots are options of the verb that the task accepts, and embeddings are kept where its models have them. What it means in
words, tables and figures is the part "findings": `(evaluation) -> Finding`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, Self

from photovision.core.report import Finding, Metric
from photovision.core.types import Ints, Sample
from photovision.data.dataset import Problem
from photovision.runtime.held_out import HeldOut
from photovision.trust.metrics.paired_tests import Gains
from photovision.trust.metrics.rates import Rate
from photovision.trust.metrics.statistics import Vector


class Evaluation(Protocol):
    """Predictions beside the truth of N samples."""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """The N samples that could be read and whose truth is known."""
        ...

    @property
    def positions(self) -> Ints:
        """int64 (N,): where they stand in the data set, ascending."""
        ...

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Samples with a known truth that could not be evaluated."""
        ...

    @property
    def answers(self) -> HeldOut:
        """What was predicted, as other images are compared with it; embeddings where they were kept."""
        ...

    @property
    def score_name(self) -> str:
        """What the score of a sample is called, such as "F1"."""
        ...

    def metrics(self) -> dict[str, Metric]:
        """The figures of the task with intervals, the leading one first."""
        ...

    def score(self) -> Vector:
        """float64 (N,), 0 to 1: how good each prediction is, for the worst images and failure slices."""
        ...

    def rates(self) -> list[Rate]:
        """What each sample adds above and below the line, for groups and paired tests."""
        ...

    def gains(self, other: Self) -> Gains:
        """How much better another model does on the same samples, paired; the figure that decides first."""
        ...

    def at(self, rows: Ints) -> Self:
        """The same for the samples at some rows, int64 (M,)."""
        ...


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two evaluations of the same samples, A and B; what the part "compare" of a task makes of them.

    Attributes:
        gains: B less A, see `Evaluation.gains`.
        p: of the paired test that decides; None where the interval of the first gain does.
        detectable: the smallest difference that would have been seen in 4 of 5 cases; None where the interval tells.
        finding: what is particular to the task.
    """

    gains: Gains
    p: float | None = None
    detectable: float | None = None
    finding: Finding = field(default_factory=Finding)
