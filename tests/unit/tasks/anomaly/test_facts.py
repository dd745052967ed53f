"""The facts of an anomaly detector in bundle.json: those that no training writes are refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from photovision.core.errors import ModelError, UsageError
from photovision.runtime.bundle import Bundle
from photovision.tasks.anomaly.detector import _checked, facts_of
from photovision.tasks.anomaly.threshold import GoodScores, promise

SCORES = GoodScores.of(np.linspace(0, 1, 30))


def _bundle(facts: object) -> Bundle:
    return Bundle(Path("model"), {"anomaly": facts})


def test_facts_that_were_just_written_are_accepted() -> None:
    facts = facts_of(SCORES, np.linspace(1, 2, 30), 0.05)
    assert _checked(_bundle(facts)) == facts


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("good_scores", None),
        ("good_scores", {}),
        ("good_scores", {"": []}),
        ("good_scores", {"": ["1"] * 30}),
        ("good_scores", {"": [True] * 30}),
        ("good_scores", {"": [10**400] * 30}),  # too large for a float
        ("good_scores", {"": [float("nan")] * 30}),
        ("independent", None),
        ("independent", {}),
        ("independent", {"": True}),
        ("independent", {"": 31}),
        ("independent", {"": 18}),  # too few for 5%
        ("heat", []),
        ("heat", [1.0, float("inf")]),
        ("false_alarms", 0.0),
        ("false_alarms", 1),
        ("false_alarms", "0.05"),
        ("false_alarms", 0.001),
        ("good_class", 5),
        ("group_by", {}),
        ("statistic", []),
        ("suspects", 5),
        ("suspects", [1]),
    ],
)
def test_other_facts_are_refused(name: str, value: Any) -> None:
    facts = {**facts_of(SCORES, np.linspace(1, 2, 30), 0.05), name: value}
    with pytest.raises(ModelError, match="should hold scores of good images"):
        _checked(_bundle(facts))


def test_no_facts_are_refused() -> None:
    for facts in (None, [], "anomaly"):
        with pytest.raises(ModelError, match="should hold scores of good images"):
            _checked(_bundle(facts))


def test_a_rate_that_is_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match=r"above 0 and below 1, got .0\.05."):
        promise(SCORES, "0.05")  # type: ignore[arg-type]
