"""Fit, fit with care, not fit: one careful rule on what was measured."""

from __future__ import annotations

import pytest

from photovision.core.report import Assessment, Finding, Metric
from photovision.core.task import task
from photovision.engine.assessment import concerns_of, expected_fitness, fitness, with_concerns

CLASSIFY = task("classify")


def accuracy(value: float, low: float, n: int = 500) -> dict[str, Metric]:
    return {"accuracy": Metric(value, low, min(1.0, 2 * value - low), n)}


@pytest.mark.parametrize(
    ("metrics", "level", "word"),
    [
        (accuracy(0.97, 0.95), "good", "at least 95.0%"),
        (accuracy(0.97, 0.85, 30), "care", "too few to be sure"),
        (accuracy(0.80, 0.77), "care", "good for suggestions"),
        (accuracy(0.5, 0.45), "bad", "Look at the wrong pictures"),
        (accuracy(0.97, 0.95) | {"balanced_accuracy": Metric(0.5, 0.4, 0.6, 500)}, "bad", "Balanced accuracy"),
        (accuracy(0.99, 0.98) | {"accuracy_leak_free": Metric(0.6, 0.5, 0.7, 40)}, "bad", "60.0%"),
        (accuracy(0.97, 0.95) | {"ece": Metric(0.2, 0.15, 0.25, 500)}, "care", "off by 20 points"),
    ],
)
def test_the_lower_bound_decides_and_the_weakest_metric_counts(
    metrics: dict[str, Metric], level: str, word: str
) -> None:
    found = fitness(CLASSIFY, metrics)
    assert found is not None
    assert found.level == level
    assert word in found.text


@pytest.mark.parametrize(
    ("name", "metrics"),
    [
        ("classify", accuracy(0.95, 0.93) | {"auroc": Metric(0.55, 0.48, 0.62, 500)}),
        ("detect", {"map50": Metric(0.004, 0.0, 0.01, 72), "recall_shown": Metric(0.0, 0.0, 0.1, 72)}),
        ("segment", {"dice": Metric(0.01, 0.0, 0.03, 15)}),
        ("anomaly", {"auroc": Metric(0.5, 0.3, 0.7, 40)}),
    ],
)
def test_what_has_learned_nothing_is_called_that_with_what_to_do(name: str, metrics: dict[str, Metric]) -> None:
    found = fitness(task(name), metrics)
    assert found is not None
    assert found.level == "bad"
    assert str(found).startswith("Has learned nothing: no better than chance.")
    assert "--minutes" in found.text


def test_few_pictures_alone_are_no_reason_to_call_a_model_ignorant() -> None:
    found = fitness(CLASSIFY, {"accuracy": Metric(1.0, 0.34, 1.0, 2), "auroc": Metric(1.0, 0.34, 1.0, 2)})
    assert found is not None
    assert "nothing" not in found.label


def test_every_task_that_is_evaluated_says_from_where_it_is_fit() -> None:
    for name in ("classify", "detect", "segment", "anomaly"):
        row = task(name)
        assert row.fit, name
        assert all(0 < care < fit <= 1 for fit, care in row.fit.values()), name


def test_an_anomaly_detector_is_judged_by_what_its_threshold_finds() -> None:
    ranked = {"auroc": Metric(0.995, 0.954, 0.999, 54), "recall_at_1": Metric(0.925, 0.84, 1.0, 40)}
    few = fitness(task("anomaly"), ranked | {"recall": Metric(0.175, 0.087, 0.319, 40, title="Recall")})
    assert few is not None
    assert few.level == "bad"
    assert few.text.startswith("Recall is 17.5% on 40 pictures.")
    assert "--false-alarms" in few.text
    all_found = fitness(task("anomaly"), ranked | {"recall": Metric(1.0, 0.912, 1.0, 40)})
    assert all_found is not None
    assert all_found.level == "good"


def test_what_a_detector_is_unsure_of_counts_as_found_by_the_person_who_checks() -> None:
    alone = {"auroc": Metric(0.995, 0.954, 0.999, 54), "recall": Metric(0.175, 0.087, 0.319, 40, title="Recall")}
    found = fitness(task("anomaly"), alone | {"recall_checked": Metric(1.0, 0.912, 1.0, 40)})
    assert found is not None
    assert found.level == "care"
    assert found.text.startswith("Recall is 17.5% on 40 pictures, and 100.0% with those that it is unsure of")
    missed = fitness(task("anomaly"), alone | {"recall_checked": Metric(0.4, 0.26, 0.55, 40)})
    assert missed is not None
    assert missed.level == "bad"


def test_nothing_is_said_of_what_was_not_measured() -> None:
    assert fitness(CLASSIFY, {"log_loss": Metric(0.3, unit="")}) is None


def test_what_checks_found_turns_fit_into_fit_with_care_and_is_named() -> None:
    fit = Assessment("good", "Fit for use on its own", "On pictures like these.")
    snow = Finding(assessment=Assessment("care", "Needs care in some conditions", "snow costs 40 points."))
    fine = Finding(assessment=Assessment("good", "Bears these conditions", "None."), warnings=("told elsewhere",))
    groups = Finding(warnings=("Old cameras do worse.", "And more."))
    concerns = concerns_of([fine, groups, snow])
    assert concerns == ["snow costs 40 points.", "Old cameras do worse."]
    found = with_concerns(fit, concerns)
    assert found.level == "care"
    assert "snow costs 40 points (1 more finding below)." in found.text
    assert with_concerns(fit, []) is fit
    assert with_concerns(Assessment("bad", "Not fit for use yet", "x."), concerns).level == "bad"


def test_an_estimate_that_cannot_be_relied_on_is_no_fitness() -> None:
    sure = expected_fitness(CLASSIFY, "accuracy", Metric(0.97, 0.95, 0.99, 80), reliable=True)
    unsure = expected_fitness(CLASSIFY, "accuracy", Metric(0.97, 0.95, 0.99, 80), reliable=False)
    assert (sure.level, unsure.level) == ("good", "bad")
    assert "photovision evaluate" in unsure.text


def test_an_estimate_of_a_kind_that_was_never_tested_does_not_call_a_model_fit() -> None:
    found = expected_fitness(CLASSIFY, "accuracy", Metric(0.97, 0.95, 0.99, 80), reliable=True, tested=False)
    assert found.level == "care"
    assert "Too few pictures were held out to test such estimates." in found.text
