"""A task of another package: its row, model and wire are enough for Python and for the service with its record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")
pytest.importorskip("sqlalchemy", reason="the extra 'serve' is not installed")

TESTS = Path(__file__).resolve().parents[2]
PACKAGE = """
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict

from photovision.core.option import share
from photovision.core.task import Task, TaskText
from photovision.engine.wire import Facts, Wire
from photovision.runtime.model import OnnxModel

TASK = Task(
    name="oddness",
    text=TaskText("oddness detector", "oddness detectors", "how odd an image is"),
    outputs=("probs",),
    predict_options=(share("false_alarms", "Share of ordinary images that may be called odd."),),
    parts={"model": "stranger:OddModel", "wire": "stranger:OddWire"},
)


@dataclass(frozen=True, eq=False)
class Oddness:
    score: float
    limit: float

    def json_fields(self, size):
        verdict = "anomalous" if self.score > self.limit else "good"
        return {"score": self.score, "p": 1 - self.score, "verdict": verdict, "boxes": []}


class OddModel(OnnxModel[Oddness]):
    task = "oddness"
    limit = 0.5

    def with_options(self, *, false_alarms=None):
        other = super().with_options()
        other.limit = self.limit if false_alarms is None else 1 - false_alarms
        return other

    def decode(self, outputs, size):
        return Oddness(round(float(outputs["probs"][0]), 6), self.limit)


class OddPrediction(BaseModel):
    model_config = ConfigDict(extra="forbid")
    file: str | None
    score: float
    p: float
    verdict: str
    boxes: list[dict]


class OddWire(Wire[Oddness]):
    schema = OddPrediction

    def outputs(self):
        return {"score": ("FP32", [-1])}

    def tensors(self, answers):
        return {"score": ("FP32", np.array([one.value.score for one in answers], np.float32))}

    def facts(self, answer):
        fields = answer.value.json_fields(answer.size)
        return Facts(fields["verdict"], fields["verdict"], fields["score"], found=fields)
"""
USE = """
import json, sys
from pathlib import Path

import photovision as pv
from colours import colour_bundle
from photovision.service.record import Record
from photovision.service.settings import Settings
from served import colour_file, served

folder, JPEG = Path(sys.argv[1]), {"content-type": "image/jpeg"}
model = colour_bundle(folder / "model")
file = model / "bundle.json"
file.write_text(file.read_text().replace('"classify"', '"oddness"'))
red, url, told = colour_file("red"), f"sqlite:///{folder / 'record.db'}", {}
told["python"] = next(pv.load(model).results([red])).to_json()
with served(Settings({"m": model}, watch=0, record=url)) as client:
    def ask(path):
        answer = client.post(path, content=red, headers=JPEG)
        return answer.json() | {"status": answer.status_code}
    told["plain"] = ask("/predict")
    told["option"] = ask("/predict?false_alarms=0")
    told["range"] = ask("/predict?false_alarms=2")
    told["foreign"] = ask("/predict?top=3")
    told["explain"] = ask("/explain")
    data = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [255, 0, 0]}]}
    told["infer"] = client.post("/v2/models/m/infer", json=data).json()
    told["described"] = client.get("/v2/models/m").json()["parameters"]
    told["openapi"] = client.get("/openapi.json").text
with Record.open(url) as record:
    told["rows"] = [(row.label, row.prob, row.found) for row in record.read()]
print(json.dumps(told))
"""


def test_a_task_of_another_package_predicts_and_is_served_and_recorded(tmp_path: Path) -> None:
    (tmp_path / "stranger.py").write_text(PACKAGE)
    about = tmp_path / "stranger-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[photovision.tasks]\noddness = stranger:TASK\n")
    paths = os.pathsep.join([str(tmp_path), str(TESTS), *sys.path])
    run = [sys.executable, "-c", USE, str(tmp_path)]
    done = subprocess.run(run, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths}, timeout=120)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    expected = told["python"]
    assert set(expected) == {"file", "score", "p", "verdict", "boxes"}
    assert expected["verdict"] == "anomalous"
    assert told["plain"]["predictions"] == [expected]
    assert told["option"]["predictions"] == [{**expected, "verdict": "good"}]
    assert told["range"] == {"status": 422, "error": "'false_alarms' should be a number from 0 to 1"}
    wanted = "An oddness detector does not accept 'top'; valid options: false_alarms"
    assert told["foreign"] == {"status": 422, "error": wanted}
    assert told["explain"] == {"status": 409, "error": "'explain' is not available for an oddness detector"}
    (score,) = told["infer"]["outputs"]
    assert (score["name"], score["shape"]) == ("score", [1])
    assert (told["described"]["task"], told["described"]["options"]) == ("oddness", ["false_alarms"])
    assert "OddPrediction" in told["openapi"]
    assert "Oddness detectors: Share of ordinary images" in told["openapi"]
    fields = {name: expected[name] for name in ("score", "p", "verdict", "boxes")}
    assert told["rows"][0] == ["anomalous", expected["score"], fields]
