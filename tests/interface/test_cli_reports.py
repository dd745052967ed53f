"""evaluate, compare, check, info and weights: reports, JSON, and which pictures a model is judged on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from clicker import clicker_bundle
from colours import colour_bundle, colour_folder, colour_picture
from painter import painter_bundle
from spotter import spotter_bundle

from photovision.app.cli import run
from photovision.core.errors import UsageError
from photovision.data.read import read_dataset
from photovision.engine.holdout import hold_out
from photovision.engine.load import load
from photovision.runtime.bundle import Bundle, read_bundle
from photovision.tasks.classify.recognizer import Recognizer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return colour_bundle(tmp_path / "model")


def test_evaluate_writes_one_json_document_and_the_report(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = colour_folder(tmp_path / "data", ("red", "blue"))  # a subset of the model's classes
    assert run(["evaluate", str(model), str(data), "-o", str(tmp_path / "report"), "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["kind"] == "evaluate"
    assert document["metrics"]["accuracy"]["value"] == 1.0
    assert set(document["metrics"]["accuracy"]) >= {"value", "low", "high", "n"}
    assert "evaluating" in err
    assert json.loads((tmp_path / "report" / "report.json").read_text()) == document
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["report.html", "report.json", "report.md"]


def test_evaluate_tells_people_the_result_and_where_the_report_is(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = colour_folder(tmp_path / "data")
    assert run(["evaluate", str(model), str(data), "-o", str(tmp_path / "report")]) == 0
    out = capsys.readouterr().out
    assert "12 of 12 pictures were named correctly" in out
    first = {line.strip().partition("  ")[0] for line in out.splitlines() if line.startswith("  ")}
    assert {"Balanced accuracy", "Macro F1", "Calibration error", "Log loss"} <= first  # as reports call them
    assert f"Report: {tmp_path / 'report' / 'report.html'}" in out


@pytest.mark.parametrize(("split", "expected"), [(None, 3), ("test", 3), ("train", 6), ("all", 9)])
def test_a_published_test_split_is_judged_unless_told_otherwise(
    tmp_path: Path, split: str | None, expected: int
) -> None:
    colour_folder(tmp_path / "data" / "train", per_class=2)
    colour_folder(tmp_path / "data" / "test", per_class=1)
    model = load(colour_bundle(tmp_path / "model"))
    part = hold_out(read_dataset(tmp_path / "data"), [model], split)
    assert len(part.dataset) == expected


def test_a_model_is_not_judged_on_what_it_learnt_by_heart(tmp_path: Path) -> None:
    dataset = read_dataset(colour_folder(tmp_path / "data", per_class=20))
    made = read_bundle(colour_bundle(tmp_path / "model"))
    facts = {"data": {"fingerprint": dataset.fingerprint}, "training": {"seed": 3}}
    own = [Recognizer(Bundle(made.path, {**made.info, **facts}))]
    judged, learnt = hold_out(dataset, own), hold_out(dataset, own, "train")
    assert 0 < len(judged.dataset) < len(learnt.dataset)
    assert {s.id for s in judged.dataset.samples}.isdisjoint(s.id for s in learnt.dataset.samples)
    assert "the figures flatter it" in hold_out(dataset, own, "all").note
    assert len(hold_out(dataset, [Recognizer(made)]).dataset) == 60


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    model = load(colour_bundle(tmp_path / "model"))
    with pytest.raises(UsageError, match="all, train, val or test, got 'tset'"):
        hold_out(read_dataset(colour_folder(tmp_path / "data")), [model], "tset")


def test_compare_finds_the_better_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = colour_bundle(tmp_path / "good")
    bad = colour_bundle(tmp_path / "bad", called=("green", "blue", "red"))
    data = colour_folder(tmp_path / "data", per_class=6)
    assert run(["compare", str(bad), str(good), str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "b"


def test_check_finds_what_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = colour_folder(tmp_path / "data", per_class=6)
    (data / "red" / "broken.jpg").write_bytes(b"no picture")
    assert run(["check", str(data), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [problem["id"] for problem in document["problems"]] == ["red/broken.jpg"]


def test_info_tells_of_the_model_in_text_and_json(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", str(model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((model / "bundle.json").read_text())
    assert run(["info", str(model)]) == 0
    assert "3 (red, green, blue)" in capsys.readouterr().out


def test_info_tells_what_a_model_of_each_task_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = {
        spotter_bundle(tmp_path / "detector"): ("boxes around objects", "threshold"),
        painter_bundle(tmp_path / "segmenter"): ("the class of every pixel", "whole images"),
        painter_bundle(tmp_path / "objects", instances=True, tile=(32, 48)): (
            "masks of single objects",
            "tiles of 32 x 48 pixels",
            "smallest object",
        ),
        clicker_bundle(tmp_path / "cutter"): ("the mask of what is clicked", "64 x 64 pixels"),
    }
    for folder, told in made.items():
        assert run(["info", str(folder)]) == 0
        out = capsys.readouterr().out
        assert all(text in out for text in told)
        assert "None" not in out


def test_weights_are_listed_with_licences(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["weights", "list", "--json"]) == 0
    entries = {entry["name"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert entries["efficientnet_lite0"]["licence"] == "apache-2.0"
    assert run(["weights", "list"]) == 0
    assert "mobilenet_v2" in capsys.readouterr().out


def test_odd_class_names_come_through_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ('<b>"bold"</b>', "😀 قط", "a|b, 'c'; [red]")
    model = colour_bundle(tmp_path / "model", called=names)
    data = tmp_path / "data"
    rows = ["file_name,label"]
    for number in range(6):
        for colour, name in zip(("red", "green", "blue"), names, strict=True):
            file = f"{colour}{number}.png"
            data.mkdir(exist_ok=True)
            colour_picture(colour, number).save(data / file)
            rows.append(f'{file},"{name.replace(chr(34), chr(34) * 2)}"')
    (data / "metadata.csv").write_text("\n".join(rows), encoding="utf-8")
    assert run(["evaluate", str(model), str(data), "-o", str(tmp_path / "report"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["metrics"]["accuracy"]["value"] == 1.0
    assert document["classes"] == list(names)
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    assert names[1] in page
    assert run(["predict", str(model), str(data)]) == 0
    assert names[0] in capsys.readouterr().out


def test_escape_sequences_in_names_do_not_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = colour_bundle(tmp_path / "model", called=("\x1b[31mred", "green", "blue"))
    colour_picture("red").save(tmp_path / "red.png")
    assert run(["predict", str(model), str(tmp_path / "red.png")]) == 0
    assert "\x1b" not in capsys.readouterr().out
