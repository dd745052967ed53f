"""The command `explain`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image
from spots import spot_bundle, spot_picture
from typer.testing import CliRunner

from photovision.app.cli.explain import explain

app = typer.Typer()
app.command()(explain)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    spot_bundle(tmp_path / "model")
    (tmp_path / "pictures").mkdir()
    for number, colour in enumerate((0, 2)):
        Image.fromarray(spot_picture(colour, 3, 1 + number)).save(tmp_path / "pictures" / f"{number}.png")
    (tmp_path / "pictures" / "broken.png").write_bytes(b"no picture")
    return tmp_path


def test_a_page_and_a_few_sentences(place: Path) -> None:
    said = CliRunner().invoke(
        app, [str(place / "model"), str(place / "pictures"), "-o", str(place / "out")], catch_exceptions=False
    )
    assert said.exit_code == 0
    assert "This heatmap can be trusted" in said.stdout
    assert "Warning: 1 picture could not be read" in said.stdout
    assert {path.name for path in (place / "out").iterdir()} == {"report.html", "report.json", "report.md"}


def test_json_holds_maps_and_verdicts(place: Path) -> None:
    files = [str(place / "pictures" / f"{number}.png") for number in range(2)]
    options = ["--method", "occlusion", "--class", "red", "--json"]
    said = CliRunner().invoke(app, [str(place / "model"), *files, *options], catch_exceptions=False)
    told = json.loads(said.stdout)
    assert told["methods"] == ["occlusion"]
    red, blue = told["pictures"]
    assert red["maps"][0]["test"]["verdict"] == "holds"
    assert blue["maps"][0]["test"]["verdict"] != "holds", "nothing in it speaks for red"
    assert len(red["maps"][0]["heatmap"]) == 14


def test_importing_the_command_is_cheap() -> None:
    program = (
        "import sys, photovision.app.cli.explain; assert not {'numpy', 'PIL', 'scipy', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
