"""The report of a training tells the ladder, and is loud where deep learning bought nothing."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from stand_in import answering, labelled

from photovision.core.page import to_html
from photovision.core.report import Metric, Report
from photovision.engine.evaluate import evaluate_on as evaluate
from photovision.tasks.classify.report_text import training_report
from photovision.trust.metrics.statistics import proportion

CLASSES = ("apple", "leek")


def metric(k: int, n: int = 200) -> dict[str, Any]:
    return Metric(*proportion(k, n), n).to_json()


def rung(name: str, val: int, test: int | None, **more: Any) -> dict[str, Any]:
    costs = {"seconds": 12.5, "megabytes": 1.5, "ms_per_picture": None, "macs": 385_000_000, "params": 4_652_008}
    return {
        "name": name,
        "val": metric(val),
        "test": None if test is None else metric(test),
        "note": "",
        "curve": [],
        **costs,
        **more,
    }


def info(*rungs: dict[str, Any], chosen: str = "fine-tuned") -> dict[str, Any]:
    return {
        "classes": list(CLASSES),
        "multilabel": False,
        "backbone": {"name": "tiny", "weights": None, "params": 1, "macs": 1},
        "chosen": chosen,
        "rungs": list(rungs),
        "training": {"seed": 0},
        "data": {
            "fingerprint": "ab12",
            "counts": {"train": 900, "val": 200, "test": 200},
            "notes": ["Near-duplicates were kept on one side."],
            "problems": [{"id": "bad.jpg", "kind": "unreadable", "message": "truncated"}],
        },
        "parity": {"pictures": 128, "max_abs_prob_difference": 1e-4, "agreement": 1.0, "tolerance": 0.01},
        "licences": [{"part": "weights", "name": "tiny", "licence": "MIT", "commercial": None, "note": ""}],
        "provenance": {"cores": 2},
    }


@pytest.fixture(scope="module")
def evaluation() -> Report:
    data = labelled([CLASSES[i % 2] for i in range(100)], CLASSES)
    return evaluate(answering(data, CLASSES, np.arange(100) % 10 != 0), data)


CURVE = [{"epoch": 1, "seconds": 3.0, "loss": 1.0, "val": 0.5}, {"epoch": 2, "seconds": 6.0, "loss": 0.5, "val": 0.8}]


def test_report_joins_evaluation_and_ladder(evaluation: Report) -> None:
    facts = info(rung("handcrafted", 90, 88), rung("frozen", 150, 149), rung("fine-tuned", 180, 178, curve=CURVE))
    report = training_report(facts, evaluation)
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["kind"] == "train"
    assert document["metrics"]["accuracy"]["value"] == pytest.approx(0.9)
    assert [entry["name"] for entry in document["rungs"]] == ["handcrafted", "frozen", "fine-tuned"]
    titles = [table.title for table in report.tables] + [figure.title for figure in report.figures]
    for expected in (
        "The ladder",
        "Class by class",
        "Licences",
        "Files left out of the training",
        "Learning curve: fine-tuned",
    ):
        assert expected in titles
    assert "89.0% with deep learning (fine-tuned) against 44.0% with handcrafted features on test" in report.summary[1]
    assert "+45.0 points" in report.summary[1]
    assert "Near-duplicates were kept on one side." in report.summary
    assert any("128 pictures" in sentence for sentence in report.summary)
    page = to_html(report)
    for expected in ("385 M", "4.65 M", "unsettled", "fine-tuned (chosen)"):
        assert expected in page


def test_a_baseline_that_is_as_good_is_said_first(evaluation: Report) -> None:
    report = training_report(
        info(rung("handcrafted", 180, 180), rung("frozen", 170, 171), chosen="handcrafted"), evaluation
    )
    assert report.warnings[0].startswith("Deep learning bought nothing")


def test_a_gain_within_the_noise_is_not_sold_as_one(evaluation: Report) -> None:
    report = training_report(
        info(rung("handcrafted", 170, None), rung("frozen", 174, None), chosen="frozen"), evaluation
    )
    assert not any("baseline" in warning for warning in report.warnings)  # a note, no alarm
    assert "we cannot tell whether deep learning beats the simple baseline" in report.summary[1]
    assert "validation" in report.summary[1]


def test_a_clear_gain_raises_no_alarm(evaluation: Report) -> None:
    report = training_report(info(rung("handcrafted", 60, 60), rung("frozen", 190, 190), chosen="frozen"), evaluation)
    assert not any("baseline" in warning for warning in report.warnings)


def test_a_ladder_of_one_rung_and_sparse_facts_still_make_a_report(evaluation: Report) -> None:
    report = training_report({"classes": list(CLASSES), "rungs": [rung("from scratch", 150, None)]}, evaluation)
    assert "The ladder" in [figure.title for figure in report.figures]
    to_html(report)
    to_html(training_report({"classes": list(CLASSES)}, evaluation))


def test_validation_that_is_easier_than_test_is_told() -> None:
    from photovision.tasks.classify.report_text import _apart

    def rung(test: float) -> dict[str, object]:
        val = {"value": 0.99, "low": 0.97, "high": 1.0, "n": 300}
        return {
            "name": "frozen",
            "val": val,
            "test": {"value": test, "low": test - 0.03, "high": test + 0.02, "n": 300},
        }

    assert "resemble the training pictures" in _apart([rung(0.8)], "frozen")[0]
    assert _apart([rung(0.98)], "frozen") == []
