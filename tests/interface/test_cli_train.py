"""train on the command line: what is printed, what goes where, and interruption."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pictures import make_folder

from photovision.app.cli import run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("data"), ("circle", "stripes"), per_class=12, size=32)


@pytest.mark.slow
def test_train_shows_the_ladder_and_where_the_proof_is(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    options = ["--minutes", "0.05", "--weights", "none", "--epochs", "1"]
    assert run(["train", str(data), "-o", str(model), *options]) == 0
    out, err = capsys.readouterr()
    assert "24 pictures of 2 classes" in err
    assert re.search(r"^ +stage +val +test +seconds$", out, re.MULTILINE)
    assert re.search(r"^ +handcrafted ", out, re.MULTILINE)
    assert re.search(r"^ +\* +from scratch ", out, re.MULTILINE)
    assert f"Report: {model / 'report.html'}" in out
    assert (model / "report.html").is_file()
    assert run(["predict", str(model), str(data / "circle"), "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 12
    assert run(["evaluate", str(model), str(data), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    counts = json.loads((model / "bundle.json").read_text())["data"]["counts"]
    assert again["metrics"]["accuracy"]["n"] == counts["test"]
    assert again["metrics"]["accuracy"] == json.loads((model / "report.json").read_text())["metrics"]["accuracy"]


def test_an_interrupted_training_says_how_to_go_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("photovision.engine.train.run", interrupt)
    assert run(["train", str(data), "-o", str(tmp_path / "model")]) == 130
    assert capsys.readouterr().err.splitlines()[-1] == ("photovision: interrupted; the same command resumes")
