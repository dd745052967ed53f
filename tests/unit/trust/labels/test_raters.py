"""Raters beside a model: verdicts for planted cases, and no flattering of raters whose majority is the label."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import DataError, UsageError
from photovision.core.page import to_html
from photovision.core.report import Finding, Report
from photovision.trust.labels.annotators import is_rater, raters_finding

CLASSES = ("crow", "finch", "owl")


def guessed(truth: np.ndarray, right: float, seed: int) -> np.ndarray:
    """Answers that are right on about this share of the pictures, else one of the other classes."""
    rng = np.random.default_rng(seed)
    wrong = (truth + rng.integers(1, 3, len(truth))) % 3
    return np.where(rng.random(len(truth)) < right, truth, wrong)


def named(codes: np.ndarray, rated: np.ndarray | None = None) -> list[str]:
    looked = np.ones(len(codes), bool) if rated is None else rated
    return [CLASSES[c] if seen else "" for c, seen in zip(codes, looked, strict=True)]


def birds(n: int = 600) -> np.ndarray:
    return np.random.default_rng(0).integers(3, size=n)


def beside(model: float, people: tuple[float, ...], n: int = 600) -> Finding:
    truth = birds(n)
    ratings = {f"rater_{i}": named(guessed(truth, right, 10 + i)) for i, right in enumerate(people)}
    found = raters_finding(ratings, CLASSES, guessed(truth, model, 1), truth)
    assert found is not None
    return found


def test_names_of_raters() -> None:
    assert all(map(is_rater, ("rater", "rater_1", "Rater-Anna", " RATER2")))
    assert not any(map(is_rater, ("grade", "rating", "first_rater", "")))


@pytest.mark.parametrize(
    ("model", "people", "verdict"),
    [
        (0.95, (0.8, 0.85, 0.75), "above"),
        (0.6, (0.8, 0.85, 0.75), "below"),
        (0.8, (0.7, 0.8, 0.9), "within"),
        (0.9, (0.7, 0.75, 0.9), "within"),  # above the mean, not above the best
        (1 / 3, (1 / 3, 1 / 3), "within"),  # all guess
    ],
)
def test_the_verdict_on_planted_cases(model: float, people: tuple[float, ...], verdict: str) -> None:
    found = beside(model, people)
    assert found.data["raters"]["verdict"] == verdict
    assert found.data["raters"]["against"] == "label"
    assert f"is {verdict} the {len(people)} raters" in found.summary[0]
    difference, expected = found.metrics["model_minus_raters"], model - np.mean(people)
    assert difference.low is not None
    assert difference.high is not None
    assert difference.low - 0.02 < expected < difference.high + 0.02
    assert found.metrics["rater_accuracy"].n == 600


def test_a_mean_that_is_beaten_is_no_verdict_against_the_best() -> None:
    found = beside(0.9, (0.7, 0.75, 0.9))
    assert "more accurate than their mean" in found.summary[1]


def test_equal_models_are_seldom_called_above_or_below() -> None:
    verdicts = []
    for seed in range(60):
        truth = np.random.default_rng(seed).integers(3, size=200)
        ratings = {f"rater {i}": named(guessed(truth, 0.8, 1000 * seed + i)) for i in (1, 2)}
        found = raters_finding(ratings, CLASSES, guessed(truth, 0.8, 1000 * seed), truth)
        assert found is not None
        verdicts.append(found.data["raters"]["verdict"])
    assert verdicts.count("within") >= 57


def test_the_raters_own_majority_does_not_flatter_them() -> None:
    truth = birds(900)
    people = np.stack([guessed(truth, 0.75, seed) for seed in (10, 11, 12)])
    model = guessed(truth, 0.75, 1)
    votes = np.stack([(people == c).sum(0) for c in range(3)], axis=1)
    majority = votes.argmax(1)
    ratings = {f"rater_{i}": named(row) for i, row in enumerate(people)}
    naive_gain = float((people == majority).mean() - (model == majority).mean())
    found = raters_finding(ratings, CLASSES, model, majority)
    assert found is not None
    assert found.data["raters"]["against"] == "majority of the other raters"
    assert found.data["raters"]["verdict"] == "within"
    assert "raters' own majority" in " ".join(found.summary)
    assert naive_gain > 0.1  # what comparing with the label itself would have claimed
    assert abs(found.metrics["model_minus_raters"].value) < 0.05
    without_label = raters_finding(ratings, CLASSES, model, None)
    assert without_label is not None
    assert without_label.metrics == found.metrics
    assert "no label but the raters' own" in " ".join(without_label.summary)


def test_a_better_model_is_found_above_raters_whose_majority_is_the_label() -> None:
    truth = birds(900)
    people = np.stack([guessed(truth, 0.75, seed) for seed in range(10, 15)])
    majority = np.stack([(people == c).sum(0) for c in range(3)], axis=1).argmax(1)
    ratings = {f"rater_{i}": named(row) for i, row in enumerate(people)}
    found = raters_finding(ratings, CLASSES, guessed(truth, 0.97, 1), majority)
    assert found is not None
    assert found.data["raters"]["verdict"] == "above"


def test_a_rater_with_a_system_is_seen_in_the_kappas() -> None:
    truth = birds()
    sound, turned = guessed(truth, 0.9, 1), (truth + 1) % 3
    found = raters_finding({"rater_a": named(sound), "rater_b": named(turned)}, CLASSES, truth, truth)
    assert found is not None
    kappas = {row[0]: row[2] for row in found.tables[1].rows}
    assert kappas["rater_a and the model"].value > 0.8
    assert kappas["rater_b and the model"].value < -0.4
    assert found.metrics["fleiss_kappa"].value < 0


def test_perfect_raters_are_not_beaten_and_are_pointed_out() -> None:
    truth = birds()
    ratings = {"rater_a": named(truth), "rater_b": named(guessed(truth, 0.8, 2))}
    found = raters_finding(ratings, CLASSES, truth, truth)
    assert found is not None
    assert found.data["raters"]["verdict"] == "within"
    if found.data["raters"]["against"] == "label":
        assert "that accuracy means nothing" in " ".join(found.warnings)


def test_missing_ratings_are_counted_where_they_can_be() -> None:
    truth = birds(200)
    half = np.arange(200) < 100
    ratings = {"rater_a": named(truth), "rater_b": named(guessed(truth, 0.7, 3), half), "rater_c": [""] * 200}
    found = raters_finding(ratings, CLASSES, guessed(truth, 0.9, 4), truth)
    assert found is not None
    assert found.data["raters"]["pictures"] == {"rater_a": 200, "rater_b": 100}
    kappas = {row[0]: row[1] for row in found.tables[1].rows}
    assert kappas["rater_a and rater_b"] == 100
    assert kappas["rater_a and the model"] == 200


def test_too_little_is_said_and_nothing_is_nothing() -> None:
    truth = birds(60)
    ten = np.arange(60) < 10
    found = raters_finding({"rater": named(truth, ten)}, CLASSES, truth, truth)
    assert found is not None
    assert found.data["raters"]["verdict"] is None
    assert "Too little" in found.summary[0]
    assert not found.figures
    assert raters_finding({"rater": [""] * 60}, CLASSES, truth, truth) is None
    assert raters_finding({}, CLASSES, truth, truth) is None


def test_ratings_of_other_classes_are_named() -> None:
    truth = birds(3)
    with pytest.raises(DataError, match="'eagle'"):
        raters_finding({"rater": ["crow", "eagle", ""]}, CLASSES, truth, truth)
    with pytest.raises(UsageError):
        raters_finding({"rater": ["crow"]}, CLASSES, truth, truth)


def test_the_page_shows_people_and_model_and_escapes_their_names() -> None:
    truth = birds(100)
    found = raters_finding({"rater <b>": named(guessed(truth, 0.8, 3))}, CLASSES, truth, truth)
    assert found is not None
    page = to_html(Report("audit", "Audit").including(found))
    assert "rater &lt;b&gt;" in page
    assert "the model" in page
    assert "<b>" not in page
