"""POST /predict: pictures in, answers out, and a reason for whatever is not one."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle
from PIL import Image
from served import colour_file, file_of, served
from starlette.testclient import TestClient

from photovision.engine.load import load
from photovision.service.settings import Limits, Settings

NAMESPACE = "http%3A//www.w3.org/2000/svg"  # of the icon, which is nothing that is asked for

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return add_doubt(colour_bundle(tmp_path_factory.mktemp("models") / "colours"))


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[TestClient]:
    limits = Limits(request_bytes=200_000, files=4, queue=8, picture_pixels=1_000_000)
    with served(Settings({"colours": bundle}, limits=limits)) as client:
        yield client


def test_a_picture_is_answered_as_the_command_answers_it(client: TestClient, bundle: Path) -> None:
    content = colour_file("green")
    answer = client.post("/predict", content=content, headers=JPEG)
    assert answer.status_code == 200
    told = answer.json()
    expected = load(bundle).predict(content).to_json()  # type: ignore[union-attr]
    assert told["predictions"] == [{"file": None, **expected}]
    assert told["model"] == "colours"
    assert told["id"] == answer.headers["x-request-id"]


def test_files_of_a_form_are_answered_in_order(client: TestClient) -> None:
    names = ["blue", "red", "green"]
    files = [("file", (f"{name}.jpg", colour_file(name))) for name in names]
    told = client.post("/predict?top=1", files=files).json()["predictions"]
    assert [one["label"] for one in told] == names
    assert [one["file"] for one in told] == ["blue.jpg", "red.jpg", "green.jpg"]
    assert [len(one["top"]) for one in told] == [1, 1, 1]


def test_a_picture_of_something_else_is_unknown(client: TestClient) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8) // 8 + 200
    told = client.post("/predict", content=file_of(Image.fromarray(noise)), headers=JPEG).json()["predictions"][0]
    assert (told["label"], told["prob"], told["known"]) == ("unknown", None, False)


def test_a_broken_file_has_its_reason_beside_the_answers_of_the_others(client: TestClient) -> None:
    whole = colour_file("red")
    files = [("file", ("ok.jpg", whole)), ("file", ("half.jpg", whole[: len(whole) // 2])), ("file", ("a.jpg", b"no"))]
    answer = client.post("/predict", files=files)
    assert answer.status_code == 200
    first, second, third = answer.json()["predictions"]
    assert first["label"] == "red"
    assert set(second) == set(third) == {"file", "error"}
    assert "not a picture" in third["error"]


@pytest.mark.parametrize(
    "content",
    [
        b"\x00",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n(/etc/passwd) run",
        b"GIF89a" + b"\xff" * 64,
        file_of(Image.new("RGB", (30, 30)), "TIFF")[:80],
        file_of(Image.new("L", (1001, 1001)), "PNG"),
    ],
    ids=["byte", "svg", "postscript", "gif", "tiff", "too many pixels"],
)
def test_what_is_no_picture_is_refused_with_a_reason(client: TestClient, content: bytes) -> None:
    answer = client.post("/predict", content=content, headers=JPEG)
    assert answer.status_code == 422
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"].startswith(("cannot be", "is a ", "has "))


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "image/jpeg", 400),
        (b"{}", "application/json", 400),
        (b"text", "text/plain", 415),
        (b"text", "", 422),
        (b"--x\r\n", "multipart/form-data; boundary=x", 400),
        (b"junk", "multipart/form-data; boundary=x", 400),
        (b"junk", "multipart/form-data", 400),
        (b"junk", f"multipart/form-data; boundary={'x' * 100}", 400),
        (bytes(200_001), "image/jpeg", 413),
    ],
)
def test_what_cannot_hold_a_picture_is_refused(client: TestClient, content: bytes, kind: str, status: int) -> None:
    answer = client.post("/predict", content=content, headers={"content-type": kind})
    assert answer.status_code == status
    assert len(answer.json()["error"]) > 10


def test_a_body_without_a_stated_length_has_the_same_limit(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(30):
            yield bytes(10_000)

    assert client.post("/predict", content=chunks(), headers=JPEG).status_code == 413


def test_a_request_holds_so_many_files_at_most(client: TestClient) -> None:
    files = [("file", (f"{i}.jpg", colour_file("red"))) for i in range(5)]
    assert client.post("/predict", files=files).status_code == 413
    assert client.post("/predict", files=files[:4]).status_code == 200


@pytest.mark.parametrize(("query", "status"), [("top=0", 422), ("top=x", 422), ("model=other", 404)])
def test_parameters_out_of_range_are_refused(client: TestClient, query: str, status: int) -> None:
    answer = client.post(f"/predict?{query}", content=colour_file("red"), headers=JPEG)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_other_addresses_and_methods_are_told_in_the_same_form(client: TestClient) -> None:
    assert set(client.get("/nothing").json()) == {"error"}
    refused = client.get("/predict")
    assert refused.status_code == 405
    assert set(refused.json()) == {"error"}


def test_the_log_tells_of_requests_and_of_nobody(bundle: Path) -> None:
    log = io.StringIO()
    with served(Settings({"colours": bundle}), log) as client:
        files = [("file", ("jane-doe.jpg", colour_file("red"))), ("file", ("john.jpg", b"broken"))]
        client.post("/predict", files=files, headers={"X-Request-ID": "trace-1", "User-Agent": "secret"})
        client.get("/v2/models/jane")
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    requests = [line for line in lines if "status" in line]
    assert [(line["route"], line["status"]) for line in requests] == [("/predict", 200), ("/v2/models/{model}", 404)]
    assert requests[0]["pictures"] == 2
    assert not any(word in log.getvalue() for word in ("jane", "john", "testclient", "secret"))


def test_the_metrics_count_pictures_batches_and_refusals(bundle: Path) -> None:
    with served(Settings({"colours": bundle})) as client:
        files = [("file", ("a.jpg", colour_file("red"))), ("file", ("b.jpg", b"broken"))]
        client.post("/predict", files=files)
        client.post("/predict", content=b"x", headers={"content-type": "text/plain"})
        text = client.get("/metrics").text
    assert 'photovision_pictures_total{model="colours"} 1.0' in text
    assert 'photovision_unreadable_total{model="colours"} 1.0' in text
    assert 'photovision_rejected_total{reason="type"} 1.0' in text
    assert 'photovision_requests_total{route="/predict",status="200"} 1.0' in text
    assert 'photovision_queue_pictures{model="colours"} 0.0' in text


def test_the_page_and_the_description_ask_nothing_outside(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "http" not in page.text.replace("http://HOST", "").replace("http-equiv", "").replace(NAMESPACE, "")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "/predict" in client.get("/openapi.json").json()["paths"]


def test_a_parameter_that_is_none_is_refused(client: TestClient) -> None:
    answer = client.post("/predict?coverage=0.9", content=colour_file("red"), headers=JPEG)
    assert answer.status_code == 422
    assert "'coverage' is no parameter" in answer.json()["error"]
