"""Requests as web clients write them: base64 in JSON, packed bodies, forms of browsers, the inference protocol v1."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_bundle, colour_picture
from served import colour_file, file_of, served
from starlette.testclient import TestClient

from photovision.service.routes_predict import in_thread
from photovision.service.settings import Limits, Settings
from photovision.service.state import Service

MB = 2**20


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    bundle = colour_bundle(tmp_path_factory.mktemp("models") / "colours")
    limits = Limits(request_bytes=2 * MB, files=4, queue=8, picture_pixels=10_000, memory_bytes=16 * MB)
    with served(Settings({"colours": bundle}, limits=limits)) as client:
        yield client


@pytest.fixture(autouse=True)
def _everything_is_given_back(client: TestClient) -> Iterator[None]:
    yield
    assert client.app.state.service.budget.held == 0  # type: ignore[attr-defined]


def text(name: str) -> str:
    return base64.b64encode(colour_file(name)).decode()


def labels(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["label"] for one in answer.json()["predictions"]]


def error(answer: Any, status: int) -> str:
    assert answer.status_code == status, answer.text
    said: str = answer.json()["error"]
    return said


@pytest.mark.parametrize(
    "form",
    [
        lambda plain: plain,
        lambda plain: f"data:image/jpeg;base64,{plain}",
        lambda plain: f"data:image/jpeg;charset=utf-8;base64,{plain}",
        lambda plain: "\n".join(plain[i : i + 76] for i in range(0, len(plain), 76)) + "\n",
        lambda plain: "\r\n".join(plain[i : i + 64] for i in range(0, len(plain), 64)),
        lambda plain: plain.replace("+", "-").replace("/", "_"),
        lambda plain: plain.rstrip("="),
        lambda plain: {"b64": plain},
        lambda plain: {"image_bytes": {"b64": plain}},
        lambda plain: [plain],
    ],
    ids=["plain", "data URL", "with charset", "MIME lines", "PEM lines", "URL-safe", "no padding", "b64", "TF", "list"],
)
def test_a_picture_may_come_as_base64_in_json(client: TestClient, form: Any) -> None:
    assert labels(client.post("/predict", json={"image": form(text("green"))})) == ["green"]


def test_json_escapes_of_slashes_are_understood(client: TestClient) -> None:
    body = json.dumps({"image": text("red")}).replace("/", "\\/")
    assert labels(client.post("/predict", content=body, headers={"content-type": "application/json"})) == ["red"]


def test_several_pictures_in_json_are_answered_in_order_and_options_are_obeyed(client: TestClient) -> None:
    told = client.post("/predict", json={"images": [text("blue"), text("red")], "top": 1, "model": "colours"})
    assert labels(told) == ["blue", "red"]
    assert [len(one["top"]) for one in told.json()["predictions"]] == [1, 1]


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"image": "not base64!"}, 400, "base64"),
        ({"image": text("red"), "confidence": 0.5}, 400, "'confidence' is not understood"),
        ({"image": text("red"), "top": 0}, 422, "'top'"),
        ({"image": text("red"), "model": "none"}, 404, "no model"),
        ({"image": None}, 400, "expected JSON"),
        ({"images": []}, 400, "at least one picture"),
        ({"images": [text("red")] * 5}, 413, "4 pictures"),
        ({"image": "https://example.org/a.jpg"}, 403, "by address"),
        ([text("red")], 400, "expected JSON"),
        ({"image": base64.b64encode(b"no picture").decode()}, 422, "not a picture"),
        ({"image": {"b64": {"b64": {"b64": {"b64": "AAAA"}}}}}, 400, "expected JSON"),
    ],
)
def test_json_that_holds_no_picture_is_refused_with_the_reason(
    client: TestClient, body: Any, status: int, word: str
) -> None:
    assert word in error(client.post("/predict", json=body), status)


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("GZIP", gzip.compress), ("deflate", zlib.compress)],
)
def test_packed_bodies_are_unpacked(client: TestClient, encoding: str, pack: Any) -> None:
    headers = {"content-type": "image/jpeg", "content-encoding": encoding}
    assert labels(client.post("/predict", content=pack(colour_file("blue")), headers=headers)) == ["blue"]
    headers["content-type"] = "application/json"
    body = json.dumps({"inputs": [{"name": "pictures", "datatype": "BYTES", "shape": [1], "data": [text("blue")]}]})
    assert client.post("/v2/models/colours/infer", content=pack(body.encode()), headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "content", "status"),
    [
        ("br", b"x", 415),
        ("gzip, gzip", gzip.compress(gzip.compress(b"x", mtime=0), mtime=0), 415),
        ("gzip", b"junk", 400),
        ("gzip", gzip.compress(b"x" * 1000, mtime=0)[:-9], 400),
        ("gzip", gzip.compress(b"a", mtime=0) + gzip.compress(b"b", mtime=0), 400),
        ("gzip", b"", 400),
        ("gzip", gzip.compress(bytes(3 * MB), mtime=0), 413),
        ("deflate", zlib.compress(bytes(40 * MB), 9), 413),
    ],
)
def test_packed_bodies_that_cannot_be_taken(client: TestClient, encoding: str, content: bytes, status: int) -> None:
    headers = {"content-type": "image/jpeg", "content-encoding": encoding}
    error(client.post("/predict", content=content, headers=headers), status)


def form_of(*parts: tuple[str, bytes]) -> tuple[bytes, dict[str, str]]:
    body = b"".join(
        b"--b\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return body + b"--b--\r\n", {"content-type": "multipart/form-data; boundary=b"}


def sent(client: TestClient, *parts: tuple[str, bytes], address: str = "/predict") -> Any:
    body, headers = form_of(*parts)
    return client.post(address, content=body, headers=headers)


def test_inputs_that_a_browser_sends_empty_do_not_count(client: TestClient) -> None:
    empty, filled = ('name="a"; filename=""', b""), ('name="b"; filename="x.jpg"', colour_file("red"))
    assert labels(sent(client, empty, filled)) == ["red"]
    assert "none" in error(sent(client, empty, empty), 400)


def test_a_file_that_is_empty_is_an_error_of_its_own(client: TestClient) -> None:
    told = sent(client, ('name="a"; filename="no.jpg"', b""), ('name="b"; filename="x.jpg"', colour_file("red")))
    assert ["error" in one for one in told.json()["predictions"]] == [True, False]


@pytest.mark.parametrize("name", ["image", "picture", "images[]", "File"])
def test_a_text_field_may_hold_a_picture(client: TestClient, name: str) -> None:
    url = f"data:image/jpeg;base64,{text('green')}".encode()
    assert labels(sent(client, (f'name="{name}"', url))) == ["green"]
    assert labels(sent(client, (f"name={name}", colour_file("green")))) == ["green"]


def test_options_in_a_form_are_obeyed_and_other_fields_are_named(client: TestClient) -> None:
    picture = ('name="photo"; filename="x.jpg"', colour_file("red"))
    told = sent(client, ('name="top"', b"2"), picture, ('name="csrf_token"', b"xyz"))
    assert (len(told.json()["predictions"][0]["top"]), told.json()["ignored"]) == (2, ["csrf_token"])
    assert "'top'" in error(sent(client, ('name="top"', b"many"), picture), 422)
    assert "'top'" in error(sent(client, ('name="top"', b"2"), picture, address="/predict?top=3"), 400)
    assert "top" in error(sent(client, ('name="top"', b"2"), picture, address="/explain"), 400)


def test_a_form_without_a_picture_is_told_what_it_holds(client: TestClient) -> None:
    assert "'submit'" in error(sent(client, ('name="submit"', b"Send")), 400)


def test_the_number_of_fields_is_bounded(client: TestClient) -> None:
    parts = [(f'name="f{i}"', b"") for i in range(25)]
    assert "fields" in error(sent(client, *parts, ('name="x"; filename="x.jpg"', colour_file("red"))), 413)


def test_a_picture_in_letters_is_not_base64(client: TestClient) -> None:
    body = b"P3\n2 1\n255\n255 0 0 255 0 0\n"
    assert client.post("/predict", content=body).status_code in (200, 422)
    assert "base64" not in sent(client, ('name="image"', body)).text


def test_what_curl_sends_by_default_is_told_what_to_say(client: TestClient) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert "Content-Type" in error(client.post("/predict", content=colour_file("red"), headers=headers), 415)
    assert labels(client.post("/predict", content=colour_file("red"), headers={"content-type": ""})) == ["red"]


def test_the_protocol_v1(client: TestClient) -> None:
    pixels = np.asarray(colour_picture("blue")).tolist()
    instances = [{"b64": text("red")}, {"image": {"b64": text("green")}}, pixels, text("red")]
    assert labels(client.post("/v1/models/colours:predict", json={"instances": instances})) == [
        "red", "green", "blue", "red",
    ]  # fmt: skip
    assert client.get("/v1/models").json() == {"models": ["colours"]}
    assert client.get("/v1/models/colours").json() == {"name": "colours", "ready": True}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"instances": []}, 400),
        ({"inputs": [[1]]}, 400),
        ({"instances": [[1, 2, 3]]}, 400),
        ({"instances": [[[[0, 0, 300]]]]}, 400),
        ({"instances": [[[[0, 0, "a"]]]]}, 400),
        ({"instances": [[[[0, 0]]]]}, 400),
        ({"instances": [{"x": 1}]}, 400),
        ({"instances": [{"b64": "AAAA"}]}, 422),
        ({"instances": [{"b64": "AAAA"}] * 5}, 413),
        ({"instances": [[[[0] * 3] * 200] * 200]}, 413),
    ],
)
def test_instances_that_cannot_be_answered(client: TestClient, body: Any, status: int) -> None:
    error(client.post("/v1/models/colours:predict", json=body), status)
    assert client.post("/v1/models/none:predict", json=body).status_code == 404


def test_pictures_of_the_protocol_v2_may_have_line_breaks_and_another_shape(client: TestClient) -> None:
    lines = base64.encodebytes(colour_file("red")).decode()
    for data, shape in (([lines], [1]), ([[lines]], [1, 1]), ([f"data:;base64,{text('red')}"], [1])):
        entry = {"name": "pictures", "datatype": "BYTES", "shape": shape, "data": data}
        told = client.post("/v2/models/colours/infer", json={"inputs": [entry]})
        assert told.status_code == 200, told.text


@pytest.mark.parametrize(
    "data",
    [
        ["x" * 1_500_000, *["a"] * 200],
        [[["a"] * 3] * 4] * 4,
        [1e308] * 48,
        [10**400] * 48,
        [True] * 48,
        [None] * 48,
        [[[[0]] * 3] * 4] * 4,
        [[[0, 0, 0]] * 4] * 3 + [[[0, 0, 0]] * 3],
        [256] * 48,
        [-1] * 48,
        [],
    ],
)
def test_tensors_of_anything_else_are_refused_without_taking_memory(client: TestClient, data: list[Any]) -> None:
    entry = {"name": "images", "datatype": "UINT8", "shape": [1, 4, 4, 3], "data": data}
    assert "whole numbers" in error(client.post("/v2/models/colours/infer", json={"inputs": [entry]}), 400)


@pytest.mark.parametrize(
    "body", [b"[" * 1_000_000, b'{"inputs":' * 100_000, b'["",' * 400_000, b'{"a":[' + b"[]," * 600_000, b"\xff\xfe["]
)
def test_json_of_too_many_parts_is_refused_before_it_is_parsed(client: TestClient, body: bytes) -> None:
    for address in ("/predict", "/v1/models/colours:predict", "/v2/models/colours/infer"):
        answer = client.post(address, content=body[: 2 * MB], headers={"content-type": "application/json"})
        assert answer.status_code in (400, 413)


HOME = {"host": "127.0.0.1:8000", "content-type": "image/jpeg"}


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8000"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "[::2]:80"},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_pages_of_strangers_get_no_answer(client: TestClient, headers: dict[str, str]) -> None:
    picture = colour_file("red")
    assert client.post("/predict", content=picture, headers=HOME).status_code == 200
    assert client.post("/predict", content=picture, headers=HOME | headers).status_code == 403
    assert client.get("/v2/models/colours", headers=HOME | headers).status_code == 403


def test_its_own_page_and_links_to_it_are_answered(client: TestClient) -> None:
    picture = colour_file("red")
    own = {"origin": "http://127.0.0.1:8000", "sec-fetch-site": "same-origin"}
    assert client.post("/predict", content=picture, headers=HOME | own).status_code == 200
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client.get("/docs", headers=HOME | link).status_code == 200
    assert client.post("/predict", content=picture, headers=HOME | link).status_code == 403


def test_names_that_are_listed_may_ask_and_manage(tmp_path: Path) -> None:
    bundle = colour_bundle(tmp_path / "m")
    with served(Settings({"m": bundle}, manage=True, allow_hosts=("Vision.example.",))) as client:
        for name in ("vision.example", "VISION.example:8443"):
            named = {"host": name, "origin": "https://vision.example"}
            assert client.post("/v2/repository/models/m/load", headers=named).status_code == 200
        foreign = {"origin": "https://evil.example", "content-type": "text/plain"}
        assert client.post("/v2/repository/models/m/load", headers=foreign).status_code == 403
    with served(Settings({"m": bundle}, host="0.0.0.0")) as client:
        assert client.get("/v2/models/m", headers={"host": "pod-17.cluster"}).status_code == 200
        assert client.get("/v2/models/m", headers={"origin": "https://evil.example"}).status_code == 403


def test_a_grey_png_in_json(client: TestClient) -> None:
    content = base64.b64encode(file_of(colour_picture("red").convert("L"), "PNG")).decode()
    assert client.post("/predict", json={"image": content}).status_code == 200


def test_large_bodies_are_parsed_one_after_the_other(tmp_path: Path) -> None:
    service = Service(Settings({"m": tmp_path}))
    service.parsers = ThreadPoolExecutor(1)
    at_once: list[int] = []
    most: list[int] = []

    def work(number: int) -> int:
        at_once.append(number)
        most.append(len(at_once))
        time.sleep(0.01)
        at_once.remove(number)
        return number

    async def several() -> list[int]:
        return await asyncio.gather(*(in_thread(service, MB, work, number) for number in range(5)))

    assert asyncio.run(several()) == [0, 1, 2, 3, 4]
    assert max(most) == 1
