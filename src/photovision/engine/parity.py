"""Parity of two graphs: what the part "parity" of a task returns when an exported or changed graph is compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

Outputs = Mapping[str, np.ndarray]
"""Outputs of a graph by name, for a batch of images."""


class GraphParity(NamedTuple):
    """How closely two graphs agree on the same images.

    Attributes:
        agreement: share of images, pixels, boxes ... on which both decide the same, 0 to 1.
        difference: largest difference of what is measured.
        of: what the share is of, for people: "pictures", "1,200 boxes".
        allowed: the largest difference that is accepted.
        enough: whether they agree closely enough to be the same model.
        measured: what the difference is of, for people.
    """

    agreement: float
    difference: float
    of: str
    allowed: float
    enough: bool
    measured: str = "probability"


class CheckParity(Protocol):
    """The part "parity" of a task."""

    def __call__(
        self,
        model: Any,
        expected: Sequence[Outputs],
        got: Sequence[Outputs],
        *,
        real: bool = True,
        quantized: bool = False,
    ) -> GraphParity:
        """Compare the outputs of two graphs.

        Args:
            model: an opened model of the task, for its thresholds and its size.
            expected: of the first graph, batch by batch.
            got: of the second one, on the same images.
            real: whether the images are real; on generated ones a decision may hang by a hair.
            quantized: whether both compute in 8 bits, in two engines: these round differently, so less is asked.
        """
        ...
