"""POST /explain: a heatmap by explainers that need no torch."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from colours import add_doubt, colour_bundle
from PIL import Image
from served import colour_file, file_of, served
from starlette.testclient import TestClient

from photovision.service.settings import Settings

JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    folder = tmp_path_factory.mktemp("models")
    add_doubt(colour_bundle(folder / "colours"))
    with served(Settings({"colours": folder / "colours"}, watch=0)) as client:
        yield client


def half_red() -> bytes:
    """A picture whose left half is red, the right one grey."""
    pixels = np.full((48, 48, 3), 110, np.uint8)
    pixels[:, :24] = 220, 20, 20
    return file_of(Image.fromarray(pixels), "PNG")


def test_the_red_half_speaks_for_red(client: TestClient) -> None:
    answer = client.post("/explain?label=red&method=occlusion", content=half_red(), headers=JPEG)
    assert answer.status_code == 200
    told = answer.json()
    heat = np.array(told["heatmap"])
    assert heat.shape == (14, 14)
    assert heat.min() >= 0
    assert heat.max() <= 1
    assert heat[:, :6].mean() > heat[:, 8:].mean() + 0.3
    assert (told["label"], told["method"], told["window"]) == ("red", "occlusion", [0, 0, 1, 1])
    assert len(told["neighbours"]) == 5
    assert set(told["neighbours"][0]) == {"label", "similarity"}  # names of training pictures stay here


def test_the_map_comes_as_a_picture_in_the_proportions_of_the_upload(client: TestClient) -> None:
    wide = file_of(Image.new("RGB", (300, 100), (200, 30, 30)))
    answer = client.post("/explain?format=png", files={"file": ("a.jpg", wide)})
    assert answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (300, 100)


@pytest.mark.parametrize(
    ("query", "content", "status"),
    [
        ("", b"no picture", 422),
        ("label=purple", colour_file("red"), 404),
        ("method=gradcam", colour_file("red"), 422),  # needs torch
        ("method=cam", colour_file("red"), 409),  # this network keeps no places apart
        ("format=svg", colour_file("red"), 422),
        ("model=other", colour_file("red"), 404),
    ],
)
def test_what_cannot_be_explained_is_refused(client: TestClient, query: str, content: bytes, status: int) -> None:
    answer = client.post(f"/explain?{query}", content=content, headers=JPEG)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


def test_one_picture_is_explained_at_a_time(client: TestClient) -> None:
    files = [("file", (f"{i}.jpg", colour_file("red"))) for i in range(2)]
    assert client.post("/explain", files=files).status_code == 400


def test_a_version_whose_files_were_replaced_is_not_explained_by_others(tmp_path: Path) -> None:
    colour_bundle(tmp_path / "m")
    with served(Settings({"m": tmp_path / "m"}, watch=0)) as client:
        assert client.post("/explain", content=half_red(), headers=JPEG).status_code == 200
        text = (tmp_path / "m" / "bundle.json").read_text()
        (tmp_path / "m" / "bundle.json").write_text(text + "\n")
        assert client.post("/explain", content=half_red(), headers=JPEG).status_code == 409
        assert client.post("/predict", content=half_red(), headers=JPEG).status_code == 200
