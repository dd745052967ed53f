"""A service answers for detectors as for classifiers: the same numbers as the command's, through the same routes."""

from __future__ import annotations

import io
import json
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_bundle
from PIL import Image
from served import colour_file, file_of, process, served
from spotter import scene, spotter_bundle
from starlette.testclient import TestClient

from photovision.app.cli import run
from photovision.core.errors import ModelError
from photovision.runtime.bundle import read_bundle
from photovision.service.settings import Limits, Settings
from photovision.tasks.detect.detector import Detector

JPEG = {"content-type": "image/jpeg"}
SCENES = {
    "street.jpg": ((200, 300), [("red", (20, 30, 80, 90)), ("green", (150, 100, 220, 180))]),
    "tall.png": ((320, 120), [("green", (0, 200, 100, 300))]),
    "tiny.png": ((9, 7), [("red", (0, 0, 7, 9))]),
    "empty.jpg": ((128, 128), []),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spotter_bundle(tmp_path_factory.mktemp("models") / "spots")


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[TestClient]:
    with served(Settings({"spots": bundle}, limits=Limits(files=8, windows=20), watch=0)) as client:
        yield client


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of several sizes and formats, one on its side as phones write them, and one that is broken."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, (name, (size, boxes)) in enumerate(SCENES.items()):
        Image.fromarray(scene(size, boxes, number)).save(folder / name)  # type: ignore[arg-type]
    turned = Image.Exif()
    turned[0x0112] = 6
    size, boxes = SCENES["street.jpg"]
    Image.fromarray(scene(size, boxes)).save(folder / "turned.jpg", exif=turned)  # type: ignore[arg-type]
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    return folder


def street() -> bytes:
    size, boxes = SCENES["street.jpg"]
    return file_of(Image.fromarray(scene(size, boxes)), "PNG")  # type: ignore[arg-type]


def ask(client: TestClient, content: bytes, query: str = "") -> dict[str, Any]:
    answer = client.post(f"/predict{query}", content=content, headers=JPEG)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["predictions"][0]
    return told


def test_boxes_are_those_of_the_command(
    client: TestClient, bundle: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(pictures.iterdir())
    assert run(["detect", str(bundle), *map(str, files), "--json"]) == 2  # one is broken
    expected = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    told = client.post("/predict", files=[("file", (str(file), file.read_bytes())) for file in files]).json()
    assert told["model"] == "spots"
    assert told["predictions"] == expected
    assert [one.get("size") for one in expected] == [None, [128, 128], [200, 300], [320, 120], [9, 7], [300, 200]]
    assert sum(len(one.get("boxes", ())) for one in expected) > 20


def test_a_request_may_ask_for_another_threshold(client: TestClient, bundle: Path) -> None:
    counts = {}
    for threshold in (0.01, 0.5, 0.98):
        told = ask(client, street(), f"?threshold={threshold}")
        seen = next(Detector(read_bundle(bundle), threshold=threshold).results([street()]))
        assert told == seen.to_json()
        counts[threshold] = len(told["boxes"])
    assert counts[0.01] > counts[0.5] > counts[0.98] > 0
    assert ask(client, street()) == ask(client, street(), "?threshold=0.5")  # others are not touched by it


def test_a_request_may_ask_for_tiles(client: TestClient, bundle: Path) -> None:
    told = ask(client, street(), "?tile=100x120")
    assert told == next(Detector(read_bundle(bundle)).with_options(tile=(100, 120)).results([street()])).to_json()
    assert told != ask(client, street())
    refused = client.post("/predict?tile=32", content=street(), headers=JPEG)
    assert refused.status_code == 422
    assert "windows, more than the limit of 20" in refused.json()["error"]
    huge = file_of(Image.new("1", (20_000, 10_000)), "PNG")
    assert client.post("/predict?tile=32", content=huge, headers=JPEG).status_code == 422


@pytest.mark.parametrize(
    "query",
    ["threshold=2", "threshold=nan", "threshold=-1", "threshold=x", "tile=0", "tile=9", "tile=9x9x9", "tile=99999",
     "tile=640x", "tile=%D9%A6%D9%A4%D9%A0", "top=3", "masks=png"],
)  # fmt: skip
def test_options_out_of_range_and_of_other_tasks_are_refused(client: TestClient, query: str) -> None:
    answer = client.post(f"/predict?{query}", content=street(), headers=JPEG)
    assert answer.status_code == 422
    assert f"'{query.partition('=')[0]}'" in answer.json()["error"]


def test_the_protocol_describes_and_gives_padded_tensors(client: TestClient, bundle: Path) -> None:
    described = client.get("/v2/models/spots").json()
    assert (described["parameters"]["task"], described["parameters"]["options"]) == ("detect", ["threshold", "tile"])
    pictures = np.stack([scene((64, 64), [("red", (0, 0, 32, 32))]), scene((64, 64), [])])
    entry = {"name": "images", "datatype": "UINT8", "shape": list(pictures.shape)}
    asked = {"inputs": [{**entry, "data": pictures.ravel().tolist()}]}
    told = client.post("/v2/models/spots/infer", json=asked).json()["outputs"]
    assert [(one["name"], one["datatype"]) for one in told] == [
        (one["name"], one["datatype"]) for one in described["outputs"]
    ]
    found = {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in told}
    expected = Detector(read_bundle(bundle)).predict(pictures)
    assert isinstance(expected, list)
    assert found["count"].tolist() == [len(one) for one in expected] == [16, 0]
    assert np.allclose(found["boxes"][0], expected[0].boxes)
    assert np.allclose(found["scores"][0], expected[0].scores, atol=1e-6)
    assert found["labels"].tolist() == [list(expected[0].names), [""] * 16]
    assert found["classes"].tolist() == [expected[0].labels.tolist(), [-1] * 16]
    assert found["size"].tolist() == [[64, 64]] * 2

    head = {"inputs": [{**entry, "parameters": {"binary_data_size": pictures.nbytes}}], "parameters": {"threshold": 1}}
    wanted = [{"name": "labels", "parameters": {"binary_data": True}}, {"name": "boxes"}]
    text = json.dumps({**head, "outputs": wanted}).encode()
    length = {"Inference-Header-Content-Length": str(len(text))}
    answer = client.post("/v2/models/spots/infer", content=text + pictures.tobytes(), headers=length)
    assert [one["shape"] for one in answer.json()["outputs"]] == [[2, 0], [2, 0, 4]]  # nothing is that sure
    del head["parameters"]
    text = json.dumps({**head, "outputs": wanted}).encode()
    length = {"Inference-Header-Content-Length": str(len(text))}
    answer = client.post("/v2/models/spots/infer", content=text + pictures.tobytes(), headers=length)
    size = int(answer.headers["Inference-Header-Content-Length"])
    assert answer.content[size:] == 16 * (struct.pack("<I", 3) + b"red") + 16 * struct.pack("<I", 0)


def test_options_in_the_protocol_are_checked_too(client: TestClient) -> None:
    asked = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 1, 1, 3], "data": [0, 0, 0]}]}
    for parameters in ({"threshold": [1]}, {"threshold": 7}, {"masks": "png"}):
        answer = client.post("/v2/models/spots/infer", json={**asked, "parameters": parameters})
        assert answer.status_code == 422
    assert client.post("/v2/models/spots/infer", json={**asked, "parameters": {"other": 1}}).status_code == 200


def test_models_of_several_tasks_are_served_at_once(bundle: Path, tmp_path: Path) -> None:
    with served(Settings({"spots": bundle, "colours": colour_bundle(tmp_path / "c")}, watch=0)) as client:
        threads: list[threading.Thread] = []
        said: list[tuple[str, dict[str, Any]]] = []
        for number in range(8):
            name = ("spots", "colours")[number % 2]
            content = street() if name == "spots" else colour_file("red")
            work = lambda n=name, c=content: said.append((n, ask(client, c, f"?model={n}")))  # type: ignore[misc] # noqa: E731
            threads.append(threading.Thread(target=work))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(said) == 8
        assert all(("boxes" in told) == (name == "spots") for name, told in said)
        assert ask(client, colour_file("red"), "?model=colours&top=1")["label"] == "red"
        text = client.get("/metrics").text
        assert 'photovision_pictures_total{model="spots"} 4.0' in text
        assert 'photovision_pictures_total{model="colours"} 5.0' in text


def test_boxes_are_explained(client: TestClient) -> None:
    answer = client.post("/explain?label=red", content=street(), headers=JPEG)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert {one["label"] for one in told["boxes"]} == {"red"}
    first = told["boxes"][0]
    heat = np.array(first["heatmap"])
    assert heat.shape == (14, 14)
    left, top, right, bottom = (np.array(first["xyxy"]) / (300, 200, 300, 200) * 14).astype(int)
    assert heat[top : bottom + 1, left : right + 1].max() == heat.max()  # this network looks at the box itself
    assert first["heat_inside"] > 2 * first["area_inside"]
    picture = client.post("/explain?label=red&format=png", content=street(), headers=JPEG)
    assert Image.open(io.BytesIO(picture.content)).size == (300, 200)


@pytest.mark.parametrize(
    ("query", "status"), [("label=blue", 404), ("method=cam", 409), ("method=hirescam", 422), ("format=png", 409)]
)
def test_what_cannot_be_explained_is_refused(client: TestClient, query: str, status: int) -> None:
    blank = file_of(Image.new("RGB", (50, 40)), "PNG")
    answer = client.post(f"/explain?{query}", content=blank, headers=JPEG)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_a_graph_of_other_outputs_is_refused_when_it_is_loaded(bundle: Path, tmp_path: Path) -> None:
    broken = spotter_bundle(tmp_path / "m")
    (broken / "model.onnx").write_bytes((colour_bundle(tmp_path / "c") / "model.onnx").read_bytes())
    info = json.loads((broken / "bundle.json").read_text())
    info["preprocess"] = json.loads((tmp_path / "c" / "bundle.json").read_text())["preprocess"]
    (broken / "bundle.json").write_text(json.dumps(info))
    with pytest.raises(ModelError, match="should give boxes"), served(Settings({"m": broken}, watch=0)):
        pass


def test_a_load_test_measures_it(bundle: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with process([f"spots={bundle}"]) as service:
        arguments = [service.address, str(pictures / "street.jpg"), str(pictures / "tall.png"), "--seconds", "1"]
        assert run(["loadtest", *arguments, "--concurrency", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert set(told["statuses"]) == {"200"}
    assert told["metrics"]["answers_per_second"]["value"] > 10
