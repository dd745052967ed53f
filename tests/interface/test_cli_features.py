"""features: the page, the JSON document, and mistakes in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import save_file

from photovision.app.cli.features import features
from photovision.core.errors import DataError, ModelError, PhotovisionError, UsageError
from photovision.core.preprocess import Preprocess
from photovision.learned_features import report as atlas
from photovision.models.small import small_resnet


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network with random weights, and few steps: what is found in it is not asked here."""
    monkeypatch.setattr(atlas, "_STEPS", (3, 3))
    folder = tmp_path / "model"
    folder.mkdir()
    save_file(small_resnet(2).state_dict(), folder / "model.safetensors")
    info = {
        "format": "photovision",
        "version": 1,
        "task": "classify",
        "multilabel": False,
        "classes": ["dark", "light"],
        "preprocess": Preprocess((28, 28)).to_json(),
        "backbone": {"name": "small_resnet", "weights": "none"},
        "temperature": 1.5,
        "training": {},
        "licences": [],
    }
    (folder / "bundle.json").write_text(json.dumps(info), encoding="utf-8")
    return folder


def pictures(root: Path, count: int = 12) -> Path:
    """Grainy pictures, dark and light, in a folder each."""
    rng = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 190)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.clip(rng.normal(level, 25, (32, 40, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def test_the_report_is_written_and_one_json_document_printed(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features(model, pictures(tmp_path / "data"), output=tmp_path / "out", units=1, stages="1, 3", as_json=True)
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["kind"] == "features"
    assert [stage["number"] for stage in document["stages"]] == [1, 3]
    assert document["stages"][0]["units"][0]["exciting"]["n"] == 24
    assert document["classes_by"] == "label"
    assert "looking inside" in err
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == document
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'class="lead"' in page
    assert "<script" not in page


def test_a_folder_of_pictures_without_labels_will_do(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loose = pictures(tmp_path / "data", 20) / "light"
    features(model, loose, units=1, stages="1", as_json=True)
    assert json.loads(capsys.readouterr().out)["classes_by"] == "answer"


def test_without_pictures_it_says_so(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features(model, units=1, stages="2")
    assert "No pictures were given" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "stages", "error", "message"),
    [
        (None, "first", UsageError, "all or numbers"),
        (None, "7", UsageError, "from 1 to 4"),
        ("nowhere", "all", DataError, "does not exist"),
    ],
)
def test_mistakes_are_told_in_one_line(
    model: Path, data: str | None, stages: str, error: type[PhotovisionError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught:
        features(model, None if data is None else Path(data), stages=stages)
    assert "\n" not in str(caught.value)


def test_a_bundle_without_its_network_is_told(model: Path) -> None:
    (model / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="no network with its weights"):
        features(model)
