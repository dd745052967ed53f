"""refer: cases decided by a real model, in Python and by the command, and mistakes in one line."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle, colour_picture

import photovision as pv
from photovision.app.cli import run
from photovision.runtime.validation import ValidationOutputs, write_validation

COLUMNS = ("file_name", "label", "patient", "eye", "rater_1", "rater_2")
COSTS = "class,urgent,soon,observe\nred,0,3,9\ngreen,2,0,2\nblue,3,1,0\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of colours; two pictures of each eye of 15 patients, with two readers; and costs."""
    top = tmp_path_factory.mktemp("place")
    add_doubt(colour_bundle(top / "model"))
    (top / "eyes").mkdir()
    rows: list[Sequence[str]] = []
    for number in range(60):
        patient, eye = number // 4, (number // 2) % 2
        colour = ("red", "green", "blue")[(patient + eye) % 3]
        colour_picture(colour, number).save(top / "eyes" / f"{number}.png")
        rows.append((f"{number}.png", colour, f"p{patient}", "LR"[eye], colour, "blue" if patient % 2 else colour))
    for name, kept in (("table.csv", slice(None)), ("plain.csv", slice(0, None))):
        with (top / "eyes" / name).open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(c for c in COLUMNS if name == "table.csv" or c != "label")
            table.writerows([c for i, c in enumerate(row) if name == "table.csv" or i != 1] for row in rows[kept])
    (top / "costs.csv").write_text(COSTS)
    return top


def test_cases_are_decided_and_measured_by_eye(place: Path) -> None:
    report = pv.refer(place / "model", place / "eyes" / "table.csv", costs=place / "costs.csv", base_rates=[0.02])
    cases = report.data["cases"]
    assert len(cases) == 30
    assert report.data["by"] == ["patient", "eye"]
    assert {one["pictures"] for one in cases} == {2}
    assert report.data["referrals"] == {"urgent": 10, "soon": 10, "observe": 10}
    assert report.metrics["right_referral"].value == 1
    assert report.data["patients"] == 15
    assert report.metrics["sensitivity"].n == 10
    assert report.data["readers"] == ["rater_1", "rater_2"]
    assert report.metrics["sensitivity_minus_readers"].value > 0  # rater_2 calls every second patient blue
    assert any(line.startswith("Where 2.0% need 'urgent'") for line in report.summary)
    assert any("not a medical device" in line for line in report.summary)
    assert {figure.title for figure in report.figures} == {"Referral curve", "ROC curve with readers"}


def test_unlabelled_pictures_are_decided_without_figures(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["refer", str(place / "model"), str(place / "eyes" / "plain.csv"), "--costs", str(place / "costs.csv")]
    assert run([*line, "--unlabelled", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"] == {}
    assert len(found["cases"]) == 30
    assert found["cases"][0]["referral"] == "urgent"


def test_an_operating_point_is_chosen_on_validation(place: Path, tmp_path: Path) -> None:
    model = colour_bundle(tmp_path / "model")
    with pytest.raises(pv.DataError, match="keeps no predictions for validation pictures"):
        pv.refer(model, place / "eyes" / "table.csv", positive=["red"])
    rng = np.random.default_rng(0)
    truth = np.arange(90) % 3
    logits = (3 * np.eye(3)[truth] + rng.normal(0, 1, (90, 3))).astype(np.float32)
    write_validation(ValidationOutputs(logits, truth, logits, np.arange(90)), model)
    reports = [
        pv.refer(model, place / "eyes" / "table.csv", positive=["red"], sensitivity=wanted) for wanted in (0.8, 1.0)
    ]
    thresholds = [report.data["rule"]["threshold"] for report in reports]
    assert thresholds[0] > thresholds[1]
    assert reports[0].data["rule"]["referrals"] == ["refer", "observe"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("", "--costs) or the classes"),
        ("--costs costs.csv --positive red", "either a table of costs"),
        ("--costs costs.csv --sensitivity 0.9", "with --positive"),
        ("--positive red --sensitivity 2", "at most 1"),
        ("--positive red --prevalence 3", "base rate"),
        ("--positive red --prevalence a", "shares with commas"),
        ("--positive purple", "red, green, blue"),
        ("--costs missing.csv", "check the path"),
        ("--costs short.csv", "none for 'blue'"),
        ("--costs word.csv", "should be a number, got 'much'"),
        ("--costs costs.csv --by eyes", "no picture has the attribute 'eyes'"),
        ("--costs costs.csv --unlabelled --split test", "have no labels"),
    ],
)
def test_mistakes_are_one_line(
    place: Path, words: str, why: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    (place / "short.csv").write_text("class,urgent,observe\nred,0,1\ngreen,1,0\n")
    (place / "word.csv").write_text("class,urgent,observe\nred,0,much\ngreen,1,0\nblue,1,0\n")
    assert run(["refer", "model", "eyes/table.csv", *words.split()]) == 2
    last = capfd.readouterr().err.strip().splitlines()[-1]
    assert last.startswith("photovision: ")
    assert why in last


def test_several_labels_a_picture_are_refused(place: Path, tmp_path: Path) -> None:
    model = colour_bundle(tmp_path / "several", multilabel=True)
    with pytest.raises(pv.UsageError, match="one class a picture"):
        pv.refer(model, place / "eyes" / "table.csv", positive=["red"])
