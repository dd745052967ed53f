"""The cards and data sheets of detectors and segmenters say what was measured, and the Hub can read them."""

from __future__ import annotations

from typing import Any

import pytest
from bundles import full, metric
from test_card import hub, sections

from photovision.core.report import Metric, Report, Table
from photovision.engine.card_text import card_text_of
from photovision.engine.datasheet import datasheet
from photovision.engine.model_card import model_card

DETECT = {"map": metric(0.5612), "map50": metric(0.8565), "f1": metric(0.7807), "d_ece": metric(0.0371)}
SEGMENT = {"miou": metric(0.9321), "dice": metric(0.9362), "instance_f1": metric(0.8852)}


def bundle(task: str) -> dict[str, Any]:
    """What bundle.json of a detector or a segmenter holds."""
    info = {**full(), "task": task, "metrics": DETECT if task == "detect" else SEGMENT}
    del info["doubt"], info["temperature"]
    if task == "detect":
        calibration = {"slope": [1.1, 1.2, 1.3], "shift": [0.1, 0.2, 0.3]}
        info |= {"thresholds": [0.31, 0.44, 0.52], "calibration": calibration, "iou": 0.5}
    return info


def report(kind: str, first: str) -> dict[str, Any]:
    value = Metric(0.381, 0.32, 0.44, 39)
    column = "average precision" if first == "map50" else "IoU"
    return Report(
        kind,
        "A report",
        summary=("It overlooks small ones.",),
        metrics={
            f"corrupted_{first}": Metric(0.7261, 0.7, 0.75, 25),
            "worst_group_recall": Metric(0.617, 0.5, 0.7, 44),
        },
        tables=[
            Table("By class", ("class", "objects", column), (("cat", 69, value), ("dog", 805, Metric(0.547)))),
            Table("By size", ("size", column), (("small", Metric(0.2495)),)),
            Table("By group", ("group", "pictures", "recall"), (("camera = old", 44, Metric(0.6172)),)),
            Table("In other conditions", ("condition", "severity 3"), (("fog", Metric(0.891)),)),
            Table("Scores against truth", ("boxes", "stated"), (("all boxes", Metric(0.444)),)),
            Table("Suspicious annotations", ("what it may be", "how many"), (("overlooked", 37),)),
        ],
    ).to_json()


@pytest.mark.parametrize(
    ("task", "pipeline", "lead"),
    [("detect", "object-detection", "56.1%"), ("segment", "image-segmentation", "93.2%")],
)
def test_a_card_speaks_of_its_task(task: str, pipeline: str, lead: str) -> None:
    first = "map50" if task == "detect" else "dice"
    card = model_card(bundle(task), report("audit", first))
    data, found = hub(card), sections(card)
    assert data.pipeline_tag == pipeline
    assert data.library_name == "photovision"
    assert {one.metric_type for one in data.eval_results or ()} == {
        card_text_of(bundle(task)).figures[name][0]
        for name in (DETECT if task == "detect" else SEGMENT)
        if name != "d_ece"
    }
    assert lead in card.split("## ")[0]
    assert "classifier" not in card.split("---\n", 2)[2]
    assert all(text.strip() for text in found.values())
    assert "38.1% (32.0 to 44.0, n = 39)" in found["Quantitative analyses"]
    assert "### By size" in found["Quantitative analyses"]
    assert "camera = old" in found["Quantitative analyses"].split("### Groups")[1]
    assert "**Groups measured:** camera" in found["Factors"]
    assert "fog" in found["In what conditions it fails"]
    assert "overlooked" in found["Labels and look-alikes"]
    assert "0.48 Wh" in found["How it was made"]
    assert "cc-by-nc-4.0" in found["Licences"]


def test_a_detector_tells_its_thresholds_and_how_true_its_scores_are() -> None:
    found = sections(model_card(bundle("detect"), report("train", "map50")))
    assert "between 0.31 and 0.52" in found["When it does not know"]
    assert "44.4%" in found["When it does not know"]
    assert "3.7%" in found["When it does not know"]
    assert "calibrated by a slope and a shift" in found["Metrics"]
    assert "found.boxes" in found["Use"]
    ready = {**bundle("detect"), "calibration": None, "metrics": {}, "training": {}, "data": {}}
    card = model_card(ready)
    assert "calibrated" not in card
    assert "Not measured." in sections(card)["Metrics"]


def test_a_segmenter_is_used_as_one() -> None:
    found = sections(model_card(bundle("segment")))
    assert "answer.labels  # the class of every pixel" in found["Use"]
    assert "without novelty detection" in found["When it does not know"]
    missing = found["Not measured, not recorded"].splitlines()
    assert any("shortcuts" in line and "photovision" not in line for line in missing)  # no audit of segmenters does


@pytest.mark.parametrize(
    ("task", "noun", "instance"),
    [("detect", "detector", "boxes around its objects"), ("segment", "segmenter", "a class for every pixel")],
)
def test_the_data_sheet_tells_what_a_picture_comes_with(task: str, noun: str, instance: str) -> None:
    text = datasheet(bundle(task))
    assert f"judge a {noun} of 3 classes" in text
    assert instance in text
