"""audit --privacy: what a model gives away about the pictures that it learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from photovision.core.progress import Listener, visible
from photovision.core.report import Report
from photovision.data.dataset import Dataset
from photovision.engine.load import opened
from photovision.engine.progress import narrated
from photovision.engine.read import data_for


@narrated
def audit_privacy(model: Any, data: Dataset | str | Path, *, seed: int = 0, listener: Listener = visible) -> Report:
    """Attack a model: which pictures did it learn from?

    Args:
        model: an opened classifier, or its folder.
        data: the data of its training with its test pictures, or those and others of the same kind.
        seed: random seed.
        listener: of progress.

    Returns:
        A report of kind "audit": how many training pictures an attacker finds who accuses 1% and .1% of the others
        wrongly, with intervals; for a private model beside the bound of its epsilon, and what canaries prove.

    Raises:
        UsageError: models of its task cannot be attacked.
        DataError: too few pictures that it learned from, or too few others.
    """
    own = opened(model, "audit --privacy", "privacy_audit")
    report: Report = own.bundle.row.part("privacy_audit")(own, data_for(own, data, None), seed, listener)
    return report
