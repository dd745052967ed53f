"""A service answers for segmenters: shares as the command prints them, and masks in the form that is asked for."""

from __future__ import annotations

import base64
import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from painter import painter_bundle
from PIL import Image
from served import file_of, served
from starlette.testclient import TestClient

from photovision.app.cli import run
from photovision.core.regions import Segmentation
from photovision.core.result import Result
from photovision.core.shapes import Rle
from photovision.runtime.bundle import read_bundle
from photovision.service.settings import Limits, Settings
from photovision.tasks.segment.segmenter import Segmenter

JPEG = {"content-type": "image/jpeg"}


def picture(size: tuple[int, int] = (90, 130)) -> np.ndarray:
    """Three red discs, deepest (bluest) in their middles, two of which touch."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    found = np.zeros((*size, 3), np.uint8)
    for y, x in ((25, 30), (25, 58), (65, 100)):
        depth = np.clip(1 - np.hypot(rows - y, columns - x) / 15, 0, 1)
        found[..., 0] = np.where(depth > 0, 255, found[..., 0])
        found[..., 2] = np.maximum(found[..., 2], (255 * depth).astype(np.uint8))
    return found


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "whole": painter_bundle(folder / "whole"),
        "cells": painter_bundle(folder / "cells", instances=True, tile=(32, 32)),
    }


@pytest.fixture(scope="module")
def client(bundles: dict[str, Path]) -> Iterator[TestClient]:
    limits = Limits(windows=100, picture_pixels=2_000_000)
    with served(Settings(bundles, limits=limits, watch=0)) as client:
        yield client


def expected(bundle: Path) -> Result[Segmentation]:
    return next(Segmenter(read_bundle(bundle)).results([picture()]))


def ask(client: TestClient, query: str) -> dict[str, Any]:
    answer = client.post(f"/predict?{query}", content=file_of(Image.fromarray(picture()), "PNG"), headers=JPEG)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["predictions"][0]
    return told


def decoded(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))))


@pytest.mark.parametrize("name", ["whole", "cells"])
def test_shares_are_those_of_the_command(
    client: TestClient, bundles: dict[str, Path], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, size in enumerate([(90, 130), (33, 20), (1, 1)]):
        Image.fromarray(picture(size)).save(tmp_path / f"{number}.png")
    (tmp_path / "3.png").write_bytes(b"no picture")
    files = sorted(tmp_path.iterdir())
    assert run(["predict", str(bundles[name]), *map(str, files), "--json"]) == 2
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sent = [("file", (str(file), file.read_bytes())) for file in files]
    told = client.post(f"/predict?model={name}", files=sent).json()
    assert told["predictions"] == lines
    assert len(lines) == 4


def test_masks_come_as_png_files(client: TestClient, bundles: dict[str, Path]) -> None:
    scene = expected(bundles["cells"])
    assert scene.value is not None
    told = ask(client, "model=cells&masks=png")
    assert told["objects"] == 3
    assert np.array_equal(decoded(told["mask"]), scene.value.labels)
    assert np.array_equal(decoded(told["object_mask"]), scene.value.instance_map)
    assert set(ask(client, "model=whole&masks=png")) == {"file", "size", "areas", "mask"}


def test_masks_come_as_run_lengths(client: TestClient, bundles: dict[str, Path]) -> None:
    scene = expected(bundles["cells"])
    assert scene.value.objects is not None
    told = ask(client, "model=cells&masks=rle")["masks"]
    assert [{name: one[name] for name in ("label", "score", "xyxy")} for one in told] == scene.value.objects.to_json()
    for number, one in enumerate(told, 1):
        runs = one["segmentation"]
        mask = Rle.read(tuple(runs["size"]), runs["counts"]).bitmap()
        assert np.array_equal(mask, scene.value.instance_map == number)
        assert one["area"] == mask.sum()
    whole = ask(client, "model=whole&masks=rle")["masks"]
    assert [one["label"] for one in whole] == ["background", "thing"]
    assert sum(one["area"] for one in whole) == 90 * 130


def test_the_protocol_gives_shares_and_masks(client: TestClient, bundles: dict[str, Path]) -> None:
    scene = expected(bundles["cells"])
    assert scene.value is not None
    described = client.get("/v2/models/cells").json()
    assert [one["name"] for one in described["outputs"]] == ["size", "areas", "mask", "objects", "object_mask"]
    pixels = picture()
    entry = {"name": "images", "datatype": "UINT8", "shape": [1, *pixels.shape], "data": pixels.ravel().tolist()}
    told = {
        one["name"]: one for one in client.post("/v2/models/cells/infer", json={"inputs": [entry]}).json()["outputs"]
    }
    assert (told["size"]["data"], told["objects"]["data"]) == ([90, 130], [3])
    assert np.array_equal(decoded(told["mask"]["data"][0]), scene.value.labels)
    assert told["areas"]["data"][1] == pytest.approx((scene.value.labels == 1).mean(), abs=1e-5)
    asked = {"inputs": [entry], "outputs": [{"name": "mask", "parameters": {"binary_data": True}}]}
    answer = client.post("/v2/models/cells/infer", json=asked)
    data = answer.content[int(answer.headers["Inference-Header-Content-Length"]) :]
    assert struct.unpack("<I", data[:4]) == (len(data) - 4,)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data[4:]))), scene.value.labels)


def test_pictures_of_too_many_windows_are_refused_beside_the_others(client: TestClient) -> None:
    files = [
        ("file", ("big.png", file_of(Image.new("RGB", (1000, 1000)), "PNG"))),
        ("file", ("bomb.png", file_of(Image.new("1", (4000, 4000)), "PNG"))),
        ("file", ("small.png", file_of(Image.fromarray(picture()), "PNG"))),
    ]
    big, bomb, small = client.post("/predict?model=cells", files=files).json()["predictions"]
    assert "windows, more than the limit of 100" in big["error"]
    assert "pixels, more than the limit of 2,000,000" in bomb["error"]
    assert small["objects"] == 3
    larger = client.post("/predict?model=cells&tile=256", files=files[:1]).json()["predictions"][0]
    assert larger["areas"] == {"background": 1.0}


@pytest.mark.parametrize("query", ["masks=gif", "tile=a", "threshold=0.5", "top=5"])
def test_what_no_segmenter_takes_is_refused(client: TestClient, query: str) -> None:
    answer = client.post(f"/predict?{query}", content=b"", headers=JPEG)
    assert answer.status_code == 422


def test_regions_are_explained(client: TestClient) -> None:
    content = file_of(Image.fromarray(picture()), "PNG")
    told = client.post("/explain?model=cells", content=content, headers=JPEG).json()
    assert told["size"] == [90, 130]
    assert [one["label"] for one in told["boxes"]] == ["thing"]
    assert told["boxes"][0]["heat_inside"] > told["boxes"][0]["area_inside"]
