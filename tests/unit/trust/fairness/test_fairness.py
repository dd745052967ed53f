"""The audit by groups finds a planted bias, nothing where there is none, and blames no group for its classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from photovision.core.errors import UsageError
from photovision.core.report import Finding, Metric, Report, Table
from photovision.trust.fairness.audit import audit_groups

CLASSES = ("cat", "dog", "hen", "owl")


def audited(
    groups: Mapping[str, Sequence[str]],
    truth: np.ndarray,
    right: np.ndarray,
    by: Sequence[str] | None = None,
    **more: Any,
) -> Finding:
    """An audit of single-label answers that are right where `right`, stated at 85%."""
    classes = more.pop("classes", CLASSES)
    named = np.where(right, truth, (truth + 1) % len(classes))
    said = np.arange(len(classes)) == named[:, None]
    probs = np.where(said, 0.85, 0.15 / (len(classes) - 1)).astype(np.float32)
    return audit_groups(
        groups, by or list(groups), classes=classes, probs=probs, truth=truth, right=right, predicted=said, **more
    )


def drawn(seed: int, n: int = 800) -> tuple[dict[str, list[str]], np.ndarray, np.ndarray]:
    """Random groups, random classes of unequal difficulty, and chances of being right that depend on classes alone."""
    rng = np.random.default_rng(seed)
    groups = {
        "sex": list(rng.choice(["f", "m"], n)),
        "age": [str(age) for age in rng.integers(18, 80, n)],
        "site": list(rng.choice(list("abcd"), n, p=[0.4, 0.3, 0.2, 0.1])),
    }
    truth = rng.integers(len(CLASSES), size=n)
    return groups, truth, np.array([0.95, 0.9, 0.8, 0.7])[truth]


def found(finding: Finding) -> list[str]:
    names: list[str] = finding.data["fairness"]["found"]
    return names


def table(finding: Finding, title: str) -> Table:
    return next(table for table in finding.tables if table.title == title)


def test_a_planted_bias_is_found_and_told_with_its_figures() -> None:
    groups, truth, chance = drawn(0)
    rng = np.random.default_rng(100)
    hurt = np.array(groups["site"]) == "c"
    finding = audited(groups, truth, rng.random(800) < chance - 0.3 * hurt)
    assert found(finding) == ["site = c"]
    assert "site = c" in finding.summary[0]
    assert "points" in finding.warnings[0]
    assert f"of {hurt.sum():,} pictures are right" in finding.warnings[0]
    row = next(row for row in table(finding, "Accuracy by group").rows if row[0] == "site = c")
    assert isinstance(row[4], Metric)
    assert row[4].high is not None
    assert row[4].value < row[4].high < 0
    assert row[-1] == "worse"
    assert finding.metrics["worst_group_accuracy"].value <= row[2].value
    assert [figure.title for figure in finding.figures] == ["Accuracy by sex", "Accuracy by age", "Accuracy by site"]


def test_groups_without_a_difference_are_named_at_the_nominal_rate() -> None:
    alarms = 0
    for seed in range(40):
        groups, truth, chance = drawn(seed, 400)
        right = np.random.default_rng((seed, 1)).random(400) < chance
        alarms += bool(found(audited(groups, truth, right, by=["sex", "site"])))
    assert alarms <= 6  # at 5% each, 7 or more of 40 come by chance less than once in 200 times


def test_a_null_audit_says_what_it_would_have_seen() -> None:
    groups, truth, chance = drawn(1)
    finding = audited(groups, truth, np.random.default_rng(5).random(800) < chance)
    assert found(finding) == []
    assert finding.warnings == []
    assert finding.summary[0].startswith("No group of at least 20 pictures was found to be served worse")
    assert "would have been seen in 4 of 5 cases" in finding.summary[0]


def test_a_group_of_hard_classes_is_explained_not_blamed() -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(4, size=1200)
    site = np.where(rng.random(1200) < np.array([0.1, 0.1, 0.8, 0.8])[truth], "b", "a")
    right = rng.random(1200) < np.array([0.98, 0.95, 0.6, 0.5])[truth]
    finding = audited({"site": list(site)}, truth, right)
    assert found(finding) == []
    assert any("site = b" in sentence and "other classes" in sentence for sentence in finding.summary)


def test_a_bias_hidden_in_an_intersection_is_found_there() -> None:
    groups, truth, _ = drawn(3, 1600)
    hurt = (np.array(groups["sex"]) == "f") & (np.array(groups["site"]) == "d")
    right = np.random.default_rng(7).random(1600) < np.where(hurt, 0.35, 0.9)
    finding = audited(groups, truth, right, by=["sex", "site"])
    assert any(name in ("sex = f, site = d", "site = d") for name in found(finding))


def test_small_groups_are_listed_and_not_judged() -> None:
    truth = np.arange(200) % 4
    site = ["a"] * 188 + ["b"] * 12
    finding = audited({"site": site}, truth, np.arange(200) < 188)  # every picture of b is wrong
    assert found(finding) == []
    assert "could be judged" in finding.summary[0]
    assert ("site = b", 12, 188) in table(finding, "Too few to judge").rows
    assert not finding.metrics


def test_coverage_and_confidence_are_judged_by_group() -> None:
    rng = np.random.default_rng(4)
    truth, site = rng.integers(4, size=1000), rng.choice(["a", "b"], 1000)
    right = rng.random(1000) < 0.85
    missed = rng.random(1000) < np.where(site == "b", 0.25, 0.04)
    sets = (np.arange(4) == truth[:, None]) & ~missed[:, None]
    finding = audited({"site": list(site)}, truth, right, sets=sets, coverage=0.95)
    assert found(finding) == ["site = b"]
    assert "prediction sets hold the truth for" in finding.warnings[0]
    assert "95% were asked for" in finding.warnings[0]
    row = next(row for row in table(finding, "Confidence by group").rows if row[0] == "site = b")
    assert row[6].value == pytest.approx(1 - missed[site == "b"].mean())
    assert row[7] == pytest.approx(sets[site == "b"].sum(1).mean())


def test_rates_of_two_classes_are_fairlearns() -> None:
    metrics = pytest.importorskip("fairlearn.metrics")
    rng = np.random.default_rng(5)
    truth, sex = rng.integers(2, size=600), rng.choice(["f", "m", "x"], 600)
    right = rng.random(600) < np.where((sex == "x") & (truth == 1), 0.5, 0.9)
    finding = audited({"sex": list(sex)}, truth, right, classes=("well", "ill"))
    said = np.where(right, truth, 1 - truth)
    rates = {
        "accuracy": lambda true, pred: float((true == pred).mean()),
        "missed": metrics.false_negative_rate,
        "false alarms": metrics.false_positive_rate,
    }
    frame = metrics.MetricFrame(metrics=rates, y_true=truth, y_pred=said, sensitive_features=sex).by_group
    errors = {(row[0], row[2]): row[4].value for row in table(finding, "Errors by group").rows}
    shares = {row[0]: row[2].value for row in table(finding, "Accuracy by group").rows}
    for group in ("f", "m", "x"):
        assert shares[f"sex = {group}"] == pytest.approx(frame.loc[group, "accuracy"])
        for kind in ("missed", "false alarms"):
            assert errors[f"sex = {group}", kind] == pytest.approx(frame.loc[group, kind])
    parity = table(finding, "Parity").rows[0]
    odds = metrics.equalized_odds_difference(truth, said, sensitive_features=sex)
    assert parity[4] == f"{100 * odds:.1f} points"
    assert any("'ill' is overlooked" in warning for warning in finding.warnings)


def test_labels_that_may_be_true_together_are_judged_one_by_one() -> None:
    rng = np.random.default_rng(6)
    truth = (rng.random((900, 3)) < 0.4).astype(np.float32)
    site = rng.choice(["a", "b"], 900)
    wrong = rng.random((900, 3)) < 0.05
    wrong[:, 2] |= (site == "b") & (truth[:, 2] > 0) & (rng.random(900) < 0.4)
    said = (truth > 0) ^ wrong
    probs = np.where(said, 0.9, 0.05).astype(np.float32)
    finding = audit_groups(
        {"site": list(site)},
        ["site"],
        classes=("wet", "dark", "torn"),
        probs=probs,
        truth=truth,
        right=~wrong.any(1),
        predicted=said,
    )
    assert found(finding) == ["site = b"]
    assert any("'torn' is overlooked" in warning for warning in finding.warnings)
    assert not any("'wet'" in warning for warning in finding.warnings)


def test_the_report_is_json_and_page(tmp_path: Any) -> None:
    from photovision.core.page import write_report

    groups, truth, chance = drawn(8, 400)
    right = np.random.default_rng(8).random(400) < chance
    trained = {"sex": {"f": 3, "m": 997}, "age": {str(age): 10 for age in range(20, 80)}}
    finding = audited(groups, truth, right, train_counts=trained)
    assert any("sex = f is nearly absent" in warning for warning in finding.warnings)
    assert any("age were put into" in sentence for sentence in finding.summary)
    write_report(Report("audit", "Groups").including(finding), tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    assert document["fairness"]["min_group"] == 20
    assert (tmp_path / "report.html").stat().st_size > 5000


def test_unknown_attributes_and_uneven_lengths_are_refused() -> None:
    truth = np.zeros(30, int)
    with pytest.raises(UsageError, match="no attribute 'height'"):
        audited({"sex": ["f"] * 30}, truth, np.ones(30, bool), by=["height"])
    with pytest.raises(UsageError, match="one value a picture"):
        audited({"sex": ["f"] * 29}, truth, np.ones(30, bool))
    with pytest.raises(UsageError, match="same pictures"):
        audited({"sex": ["f"] * 30}, truth, np.ones(30, bool), sets=np.ones((3, 4), bool))
