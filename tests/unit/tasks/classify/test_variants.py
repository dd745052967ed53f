"""What is told of fair and robust training: gains only where they are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from photovision.core.page import to_html
from photovision.core.report import Report
from photovision.data.augment.image import Augment
from photovision.tasks.classify import fair, robust
from photovision.tasks.classify.variants import Variant, fair_variants, finding
from photovision.trust.fairness.group_accuracy import Served

GROUPS, LABELS = np.repeat([0, 1], 100), np.arange(200) % 2
JUDGES = Served.of(GROUPS, ("a", "<b>"), LABELS)
ROWS = np.arange(200)


def answers(seed: int, a: float, b: float) -> np.ndarray:
    return np.random.default_rng(seed).random(200) < np.where(GROUPS == 0, a, b)


def fairly(kept: str, gain: float) -> dict[str, Any]:
    rights = {"fine-tuned": answers(0, 0.9, 0.5), "GroupDRO": answers(0, 0.9, 0.5 + gain)}
    plain = rights["fine-tuned"]
    return {
        "attribute": "site",
        "kept": kept,
        "reason": f"'{kept}' is kept.",
        "worst": "<b>",
        "balanced": True,
        "sizes": {name: {"train": 100, "val": 100, "test": 100} for name in ("a", "<b>", "not given")},
        "rungs": [
            {
                "name": name,
                "val": fair.measured(JUDGES, right),
                "test": fair.measured(JUDGES, right),
                "gain": None if right is plain else fair.gains(JUDGES, "<b>", plain, right),
            }
            for name, right in rights.items()
        ],
    }


def robustly(kept: str, gain: float) -> dict[str, Any]:
    clean = answers(0, 0.9, 0.9)
    rungs = {"fine-tuned": (clean, answers(1, 0.5, 0.5)), "robust": (clean, answers(1, 0.5 + gain, 0.5 + gain))}
    return {
        "corruptions": ["fog", "snow"],
        "severity": 3,
        "seen": True,
        "kept": kept,
        "reason": f"'{kept}' is kept.",
        "rungs": [
            {
                "name": name,
                "val": robust.measured(*parts, ROWS),
                "test": robust.measured(*parts, ROWS),
                "gain": None if name == "fine-tuned" else robust.gains(rungs["fine-tuned"], parts, ROWS),
            }
            for name, parts in rungs.items()
        ],
    }


def test_shown_gains_are_told_with_their_intervals() -> None:
    found = finding({"fair": fairly("GroupDRO", 0.3), "robust": robustly("robust", 0.3)})
    told = " ".join(found.summary)
    assert "'<b>', which validation had found to be served worst, is served better by 'GroupDRO'" in told
    assert "wins back" in told
    assert not found.warnings
    assert found.metrics["fair_gain"].low > 0  # type: ignore[operator]
    assert found.metrics["robust_gain"].unit == "points"
    assert [figure.title for figure in found.figures] == ["Robust training", "Fair by site"]
    page = to_html(Report("train", "x").including(found))
    assert "GroupDRO *" in page
    assert "<b>'" not in page  # names come from strangers


def test_gains_within_chance_are_not_claimed() -> None:
    found = finding({"fair": fairly("GroupDRO", 0.01), "robust": robustly("robust", 0.01)})
    assert ["is not shown" in warning for warning in found.warnings] == [True, True]


def test_kept_without_change_is_said_plainly() -> None:
    found = finding({"fair": fairly("fine-tuned", 0.0), "robust": robustly("fine-tuned", 0.0)})
    assert ["brought nothing" in warning for warning in found.warnings] == [True, True]
    assert "fair_gain" not in found.metrics
    assert "gain" not in " ".join(found.summary)


def test_too_few_pictures_are_not_measured() -> None:
    few = {"attribute": "site", "kept": "frozen", "reason": "Fewer than two groups ...", "sizes": {}, "rungs": []}
    assert "not measured" in finding({"fair": few}).warnings[0]


@pytest.mark.parametrize("found", [None, {}])
def test_nothing_asked_nothing_told(found: dict[str, Any] | None) -> None:
    told = finding(found)
    assert not told.summary
    assert not told.tables
    assert not told.data


def test_a_variant_adds_to_the_augmentation_only_what_it_is_for() -> None:
    assert Variant("GroupDRO", fair="GroupDRO").of(Augment(flip=False)) == Augment(flip=False)
    disturbed = Variant("robust", corruptions=("fog",)).of(Augment(flip=False))
    assert disturbed == Augment(flip=False, corruptions=("fog",))
    base = Variant("robust", corruptions=("fog",))
    assert [one.corruptions for one in fair_variants(False, base)] == [("fog",)] * 3
    assert [one.name for one in fair_variants(True)] == ["reweighted"]
