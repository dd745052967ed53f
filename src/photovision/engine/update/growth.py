"""Growth: what the verb `update` asks of a task, and what the task answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from photovision.core.progress import ProgressCallback
from photovision.core.types import Ints
from photovision.data.dataset import Dataset
from photovision.engine.bundle_writer import BundleDraft
from photovision.trust.promotion import Condition, Promotion, PromotionLimits

GOLDEN_FILE = "golden.safetensors"
"""What a task keeps of the golden set, in the folder of versions."""


@dataclass(frozen=True, eq=False)
class UpdateRequest:
    """What the part "update" of a task is asked: `(UpdateRequest) -> Growth`.

    Attributes:
        model: the opened version in use.
        state: file of what that version keeps; None for the first version.
        golden: file of the golden set, written by the part "golden": `(model, dataset, file, progress)`.
        dataset: N new labelled pictures, none of which any version learned from.
        held: bool (N,), pictures that are held out to judge.
        unit: int64 (N,), equal for pictures that belong together.
        work: folder where finished parts of the work may lie.
        limits: what the change may cost.
        seed: random seed.
        progress: called with (pictures done, N).
    """

    model: Any
    state: Path | None
    golden: Path
    dataset: Dataset
    held: np.ndarray
    unit: Ints
    work: Path
    limits: PromotionLimits
    seed: int = 0
    progress: ProgressCallback | None = None


class Growth(Protocol):
    """A next version in the making."""

    def check_labels(self) -> Condition:
        """Whether the labels of the new pictures seem right, before anything is learned from them."""
        ...

    def judge(self, alpha: float) -> Promotion:
        """Learn from the new pictures and judge the next version; `alpha`: level of the test that it is better."""
        ...

    def write(self, draft: BundleDraft, state: Path) -> None:
        """Write the judged version: its bundle, and the file of what it keeps."""
        ...
