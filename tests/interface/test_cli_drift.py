"""photovision drift and record: what they print, their exit codes, and mistakes in one line."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle, colour_picture

pytest.importorskip("sqlalchemy", reason="needs the extra 'serve'")

from photovision.app.cli import run
from photovision.engine.load import load
from photovision.service.record import Record, Row

NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a record of bright pictures and one of dark pictures."""
    folder = tmp_path_factory.mktemp("place")
    model = load(add_doubt(colour_bundle(folder / "model")))
    for name, light in (("bright", 1.0), ("dark", 0.5)):
        images = [np.asarray(colour_picture(NAMES[i % 3], 9000 + i)) * light for i in range(90)]
        with Record.open(str(folder / f"{name}.db")) as record:
            answers = model.predict([image.astype(np.uint8) for image in images])
            record.write(
                [
                    Row(
                        id=str(i),
                        at=datetime.now(UTC) - timedelta(days=2, minutes=i),
                        model="model",
                        version="1",
                        label=answer.label,
                        best=answer.best,
                        prob=answer.prob,
                        novelty=answer.novelty,
                        known=answer.known,
                    )
                    for i, answer in enumerate(answers)  # type: ignore[arg-type]
                ]
            )
    return folder


def test_the_verdict_is_printed_and_the_report_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drift", str(place / "model"), str(place / "dark.db"), "-o", str(place / "report")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("model in use: a change")
    assert "share called unknown" in said
    assert (place / "report" / "report.html").is_file()
    assert json.loads((place / "report" / "report.json").read_text())["drift"] is True


def test_json_is_one_document(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["drift", str(place / "model"), str(place / "bright.db"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["drift"], found["changed"]) == ("drift", False, [])


@pytest.mark.parametrize(("name", "code"), [("dark", 1), ("bright", 0)])
def test_a_scheduled_job_can_fail_on_drift(place: Path, name: str, code: int) -> None:
    assert run(["drift", str(place / "model"), str(place / f"{name}.db"), "--fail-on-drift"]) == code


def test_pictures_without_labels_can_be_the_measure(place: Path, tmp_path: Path) -> None:
    for i in range(40):
        colour_picture(NAMES[i % 3], 4000 + i).save(tmp_path / f"{i}.png")
    base = ["drift", str(place / "model"), str(place / "dark.db"), "--fail-on-drift"]
    assert run([*base, "--against", str(tmp_path)]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.db"], "there is no record"),
        (["bright.db", "--since", "yesterday"], "--since should be a moment"),
        (["bright.db", "--since", "2099-01-01"], "holds 0 predictions"),
        (["bright.db", "--false-alarms", "2"], "above 0 and below 1"),
        (["bright.db", "--served-as", "fruit"], "no such predictions"),
        (["mysql://host/x"], "does not lie in 'mysql'"),
    ],
)
def test_mistakes_are_told_in_one_line(
    place: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    where = arguments[0] if "://" in arguments[0] else str(place / arguments[0])
    assert run(["drift", str(place / "model"), where, *arguments[1:]]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("photovision:")]
    assert len(told) == 1
    assert said in told[0]


def test_a_record_is_looked_at_and_pruned(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite:///{place / 'own.db'}"
    with Record.open(url) as record:
        for days in (1, 10, 20):
            record.write([Row(str(days), datetime.now(UTC) - timedelta(days=days), "m", "1", "a", "a", 0.5)])
    assert run(["record", "stats", url]) == 0
    assert "3 predictions, 0 with their picture" in capsys.readouterr().out
    assert run(["record", "prune", url, "--days", "15", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["deleted"] == 1
    assert run(["record", "stats", url, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], found["models"]) == (2, [{"model": "m", "version": "1", "rows": 2}])
    assert run(["record", "stats", str(place / "missing.db")]) == 2
