"""The Open Inference Protocol v2, as a client of it sees it."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import add_doubt, colour_bundle, colour_picture
from served import colour_file, served
from starlette.testclient import TestClient

from photovision.core.types import Image
from photovision.engine.load import load
from photovision.service.settings import Limits, Settings

HEADER = "Inference-Header-Content-Length"
INFER = "/v2/models/colours/infer"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_doubt(colour_bundle(tmp_path_factory.mktemp("models") / "colours"))


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[TestClient]:
    settings = Settings({"colours": bundle, "again": bundle}, limits=Limits(files=4, picture_pixels=10_000))
    with served(settings) as client:
        yield client


def pictures(*names: str) -> Image:
    return np.stack([np.asarray(colour_picture(name)) for name in names])


def tensor(images: Image, **more: Any) -> dict[str, Any]:
    entry = {"name": "images", "datatype": "UINT8", "shape": list(images.shape), "data": images.ravel().tolist()}
    return {"inputs": [entry], **more}


def outputs(told: dict[str, Any]) -> dict[str, Any]:
    return {one["name"]: np.array(one["data"]).reshape(one["shape"]) for one in told["outputs"]}


def test_server_and_models_describe_themselves(client: TestClient) -> None:
    assert client.get("/v2").json()["name"] == "photovision"
    assert client.get("/v2/health/live").json() == {"live": True}
    assert client.get("/v2/health/ready").json() == {"ready": True, "status": "ok", "models": ["colours", "again"]}
    told = client.get("/v2/models/colours").json()
    assert [one["name"] for one in told["inputs"]] == ["images", "pictures"]
    assert told["parameters"]["classes"] == ["red", "green", "blue"]
    (version,) = told["versions"]
    assert client.get(f"/v2/models/colours/versions/{version}").json() == told
    assert client.get("/v2/models/again/ready").json() == {"name": "again", "ready": True}
    assert client.get(f"/v2/models/again/versions/{version}/ready").status_code == 200
    assert client.get("/v2/models/other").status_code == 404
    assert client.get("/v2/models/colours/versions/1/ready").status_code == 404


@pytest.mark.parametrize("nested", [False, True])
def test_tensors_are_answered_as_the_recognizer_answers_arrays(client: TestClient, bundle: Path, nested: bool) -> None:
    images = pictures("red", "blue")
    asked = tensor(images, id="mine")
    if nested:
        asked["inputs"][0]["data"] = images.tolist()
    told = client.post(INFER, json=asked).json()
    assert (told["id"], told["model_name"]) == ("mine", "colours")
    found = outputs(told)
    expected = load(bundle).predict(images)
    assert isinstance(expected, list)
    assert found["label"].tolist() == [one.label for one in expected]
    assert np.allclose(found["probs"], [one.probs for one in expected], atol=1e-6)
    assert np.allclose(found["novelty"], [one.novelty for one in expected], atol=1e-6)
    assert found["embedding"].shape == (2, 3)
    assert found["known"].tolist() == [True, True]


def test_binary_tensors_give_what_json_gives(client: TestClient) -> None:
    images = pictures("green", "red")
    plain = outputs(client.post(INFER, json=tensor(images)).json())
    entry = {"name": "images", "datatype": "UINT8", "shape": list(images.shape)}
    entry["parameters"] = {"binary_data_size": images.nbytes}  # type: ignore[assignment]
    wanted = [{"name": "probs", "parameters": {"binary_data": True}}, {"name": "label"}]
    head = json.dumps({"inputs": [entry], "outputs": wanted}).encode()
    answer = client.post(INFER, content=head + images.tobytes(), headers={HEADER: str(len(head))})
    assert answer.status_code == 200
    size = int(answer.headers[HEADER])
    probs, label = json.loads(answer.content[:size])["outputs"]
    data = answer.content[size:]
    assert probs["parameters"]["binary_data_size"] == len(data)
    assert np.allclose(np.frombuffer(data, "<f4").reshape(probs["shape"]), plain["probs"])
    assert label["data"] == ["green", "red"]


def test_files_come_in_base64_or_in_binary_form(client: TestClient) -> None:
    files = [colour_file("red"), colour_file("blue")]
    entry: dict[str, Any] = {"name": "pictures", "datatype": "BYTES", "shape": [2]}
    texts = [base64.b64encode(file).decode() for file in files]
    told = client.post(INFER, json={"inputs": [{**entry, "data": texts}]}).json()
    assert outputs(told)["label"].tolist() == ["red", "blue"]
    data = b"".join(struct.pack("<I", len(file)) + file for file in files)
    head = json.dumps({"inputs": [{**entry, "parameters": {"binary_data_size": len(data)}}],
                       "parameters": {"binary_data_output": True}}).encode()  # fmt: skip
    answer = client.post(INFER, content=head + data, headers={HEADER: str(len(head))})
    size = int(answer.headers[HEADER])
    told = json.loads(answer.content[:size])
    first = told["outputs"][0]
    assert first["name"] == "label"
    assert answer.content[size : size + first["parameters"]["binary_data_size"]] == b"\x03\0\0\0red\x04\0\0\0blue"


def test_an_unreadable_file_is_named_by_its_place(client: TestClient) -> None:
    texts = [base64.b64encode(content).decode() for content in (colour_file("red"), b"no picture")]
    asked = {"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [2], "data": texts}]}
    answer = client.post(INFER, json=asked)
    assert answer.status_code == 422
    assert answer.json()["error"].startswith("pictures[1]: ")


def changed(**more: Any) -> dict[str, Any]:
    asked = tensor(pictures("red")[:, :2, :2])
    asked["inputs"][0] |= more
    return asked


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ([], 400),
        ({"inputs": []}, 400),
        ({"inputs": [1]}, 400),
        (changed(name="x"), 400),
        (changed(datatype="FP32"), 400),
        (changed(shape=[1, 2, 2]), 400),
        (changed(shape=[1, 2, 2, 4]), 400),
        (changed(shape=[1, -2, 2, 3]), 400),
        (changed(shape=[1, 2, 2, True]), 400),
        (changed(shape=[1, 200, 200, 3]), 413),
        (changed(shape=[5, 2, 2, 3]), 413),
        (changed(data=[1] * 11), 400),
        (changed(data=[256] * 12), 400),
        (changed(data=[-1] * 12), 400),
        (changed(data=[0.5] * 12), 400),
        (changed(data=[10**30] * 12), 400),
        (changed(data=["1"] * 12), 400),
        (changed(data=[[1], [2, 3]]), 400),
        (changed(data="abc"), 400),
        (changed(parameters=3), 400),
        (changed(parameters={"binary_data_size": 12}), 400),
        ({**changed(), "id": 5}, 400),
        ({**changed(), "parameters": []}, 400),
        ({**changed(), "outputs": ["probs"]}, 400),
        ({**changed(), "outputs": [{"name": "other"}]}, 400),
        ({"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], "data": ["%%"]}]}, 400),
        ({"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [2], "data": [""]}]}, 400),
    ],
)
def test_what_is_no_question_is_refused(client: TestClient, asked: object, status: int) -> None:
    answer = client.post(INFER, json=asked)
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b'{"inputs": NaN}'])
def test_what_is_no_json_is_refused(client: TestClient, body: bytes) -> None:
    assert client.post(INFER, content=body).status_code == 400


@pytest.mark.parametrize("length", ["0", "-1", "x", "9" * 30, "1000"])
def test_a_wrong_length_of_json_is_refused(client: TestClient, length: str) -> None:
    body = json.dumps(changed()).encode()
    assert client.post(INFER, content=body, headers={HEADER: length}).status_code == 400


@pytest.mark.parametrize("data", [b"\x05\0\0", b"\xff\xff\xff\xffab", b"\0\0\0\0" * 3])
def test_binary_files_that_do_not_fit_are_refused(client: TestClient, data: bytes) -> None:
    entry = {"name": "pictures", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [entry]}).encode()
    answer = client.post(INFER, content=head + data, headers={HEADER: str(len(head))})
    assert answer.status_code == 400


def test_loading_needs_leave(client: TestClient) -> None:
    assert client.post("/v2/repository/models/colours/load").status_code == 403
    index = client.post("/v2/repository/index").json()
    assert [(one["name"], one["state"]) for one in index] == [("colours", "READY"), ("again", "READY")]
