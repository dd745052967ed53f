"""Rules, cases and what decisions are worth."""

from __future__ import annotations

import numpy as np
import pytest

from photovision.core.errors import DataError, UsageError
from photovision.core.types import Image, Sample
from photovision.trust.referral.cases import Cases
from photovision.trust.referral.outcomes import Outcomes
from photovision.trust.referral.rules import CostMatrix, OperatingPoint, positive_classes

PICTURE: Image = np.zeros((2, 2, 3), np.uint8)
CLASSES = ("bleeding", "drusen", "healthy")
COSTS = CostMatrix(("urgent", "soon", "observe"), np.array([[0.0, 4, 10], [2, 0, 3], [3, 1, 0]]))
NONE = np.zeros(0, bool)


def _samples(groups: list[dict[str, str]]) -> list[Sample]:
    return [Sample(f"{number}.png", PICTURE, ("healthy",), one) for number, one in enumerate(groups)]


def _cases(probs: np.ndarray, groups: list[dict[str, str]] | None = None, **asked: object) -> Cases:
    samples = _samples(groups or [{}] * len(probs))
    return Cases.of(samples, probs.astype(np.float32), np.zeros(len(probs), bool), **asked)  # type: ignore[arg-type]


def test_the_referral_of_least_expected_cost_is_taken() -> None:
    probs = np.array([[0.4, 0.1, 0.5], [0.1, 0.8, 0.1], [0.01, 0.04, 0.95]], np.float32)
    assert COSTS.decide(probs).tolist() == [0, 1, 2]  # a risk of 40% of a bleeding is urgent
    assert COSTS.best.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("names", "costs"),
    [
        (("only",), [[0.0], [1.0]]),
        (("a", "a"), [[0.0, 1.0], [1.0, 0.0]]),
        (("a", "b"), [[0.0, -1.0], [1.0, 0.0]]),
        (("a", "b"), [[0.0, np.nan], [1.0, 0.0]]),
        (("a", "b"), [[1.0, 0.0], [1.0, 0.0]]),  # the most urgent never costs least
    ],
)
def test_costs_that_decide_nothing_are_refused(names: tuple[str, ...], costs: list[list[float]]) -> None:
    with pytest.raises(DataError):
        CostMatrix(names, np.array(costs))


def test_an_operating_point_reaches_its_sensitivity_with_as_few_alarms_as_possible() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    score = np.clip(0.5 + 0.25 * (1 - 2 * truth) + rng.normal(0, 0.25, 400), 0, 1)
    probs = np.stack([score, 1 - score], axis=1).astype(np.float32)
    positive = np.array([True, False])
    found = [OperatingPoint.chosen(positive, probs, truth, wanted) for wanted in (0.8, 0.95, 1.0)]
    for point, wanted in zip(found, (0.8, 0.95, 1.0), strict=True):
        reached = (point.decide(probs) == 0)[truth == 0].mean()
        assert wanted <= reached < wanted + 0.02
    assert found[0].threshold > found[1].threshold > found[2].threshold
    balanced = OperatingPoint.chosen(positive, probs, truth, None)

    def balance(threshold: float) -> float:
        decided = OperatingPoint(positive, threshold).decide(probs)
        return float(((decided == 0)[truth == 0].mean() + (decided == 1)[truth == 1].mean()) / 2)

    assert balance(balanced.threshold) == pytest.approx(max(balance(t) for t in np.linspace(0, 1, 501)), abs=0.002)


def test_positive_classes_are_checked() -> None:
    assert positive_classes(["drusen"], CLASSES).tolist() == [False, True, False]
    for names in (["cat"], [], list(CLASSES)):
        with pytest.raises(UsageError, match="--positive"):
            positive_classes(names, CLASSES)


def test_pictures_of_one_eye_are_one_case() -> None:
    groups = [{"patient": p, "eye": e} for p, e in (("1", "L"), ("1", "L"), ("1", "R"), ("2", "L"))]
    probs = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, 0, 1]])
    cases = _cases(probs, groups)
    assert cases.by == ("patient", "eye")
    assert cases.names == ("1 L", "1 R", "2 L")
    assert cases.probs[0].tolist() == [0.5, 0, 0.5]
    assert cases.patients.tolist() == [0, 0, 1]
    assert cases.patient == "patient"
    assert _cases(probs, groups, by=("patient",)).names == ("1", "2")
    assert _cases(probs).names == ("0.png", "1.png", "2.png", "3.png")
    with pytest.raises(UsageError, match="no picture has the attribute 'ey'"):
        _cases(probs, groups, by=("ey",))


def test_a_study_comes_before_the_patient_and_a_picture_without_one_is_alone() -> None:
    groups = [{"patient": "1", "study": "a"}, {"patient": "1", "study": "b"}, {"patient": "2"}]
    cases = _cases(np.eye(3), groups)
    assert cases.by == ("study",)
    assert cases.names == ("a", "b", "2.png")
    assert cases.patients.tolist() == [0, 0, 1]


def test_readers_decide_in_classes_or_in_referrals() -> None:
    groups = [{"study": "a", "rater_1": "healthy"}, {"study": "a", "rater_1": "urgent"}, {"study": "b", "rater_1": ""}]
    cases = _cases(np.eye(3), groups)
    assert cases.readers(_samples(groups), ["rater_1"], COSTS, CLASSES).tolist() == [[0, -1]]
    with pytest.raises(UsageError, match="used 'dunno'"):
        cases.readers(_samples([{**groups[0], "rater_1": "dunno"}, *groups[1:]]), ["rater_1"], COSTS, CLASSES)


def _outcomes(n: int = 400, patients: int = 400) -> Outcomes:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, n)
    probs = np.full((n, 3), 0.1) + 0.7 * np.eye(3)[np.where(rng.random(n) < 0.8, truth, rng.integers(0, 3, n))]
    cases = _cases(probs, [{"patient": str(i % patients), "study": str(i)} for i in range(n)])
    return Outcomes.of(COSTS, cases, truth)


def test_figures_are_those_of_the_decisions_with_intervals_by_patient() -> None:
    many, few = _outcomes(), _outcomes(patients=20)
    metrics = many.metrics()
    urgent, needed = many.decided == 0, many.right == 0
    assert metrics["sensitivity"].value == pytest.approx(urgent[needed].mean())
    assert metrics["specificity"].value == pytest.approx(1 - urgent[~needed].mean())
    assert metrics["cost_per_case"].value == pytest.approx(many.cost.mean())
    assert metrics["sensitivity"].n == needed.sum()
    assert few.metrics()["sensitivity"].value == metrics["sensitivity"].value
    for metric in metrics.values():
        assert metric.low is not None
        assert metric.high is not None
        assert metric.low <= metric.value <= metric.high


def test_predictive_values_follow_the_base_rate() -> None:
    outcomes = _outcomes()
    found = {rate: outcomes.predictive_values(rate) for rate in (0.01, 0.2, outcomes.base_rate)}
    ppv = {rate: pair[0].value for rate, pair in found.items() if pair[0]}
    assert ppv[0.01] < ppv[0.2] < ppv[outcomes.base_rate]
    own = outcomes.right[outcomes.decided == 0] == 0
    assert ppv[outcomes.base_rate] == pytest.approx(own.mean())


def test_nothing_that_is_called_urgent_has_no_predictive_value() -> None:
    cases = _cases(np.array([[0.0, 0, 1]] * 30))
    outcomes = Outcomes.of(COSTS, cases, np.array([0, 2] * 15))
    ppv, npv = outcomes.predictive_values(0.1)
    assert ppv is None
    assert npv is not None
    assert npv.value == pytest.approx(0.9)
    assert outcomes.metrics()["sensitivity"].value == 0


def test_the_referral_curve_falls_where_the_least_sure_are_wrong() -> None:
    rng = np.random.default_rng(0)
    first = rng.random(600)
    truth = np.where(rng.random(600) < first, 0, 2)
    cases = _cases(np.stack([first, np.zeros(600), 1 - first], axis=1))
    shares, wrong, cost = Outcomes.of(COSTS, cases, truth).referral_curve()
    assert shares[0] == 0
    assert wrong[-1] < wrong[0]
    assert cost[-1] < cost[0]
