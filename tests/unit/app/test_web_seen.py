"""What detectors, segmenters and data with boxes or masks say, as the page gets it."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import blob, dataset, objects
from fastapi.testclient import TestClient
from painter import painter_bundle
from PIL import Image
from scenes import write_scenes
from spotter import scene, spotter_bundle

from photovision.app.check import check
from photovision.app.web.check_results import folder_of
from photovision.app.web.discovery import find
from photovision.app.web.server import create_app
from photovision.app.web.workspace import State
from photovision.core import page_layers
from photovision.core.page import write_report
from photovision.core.regions import IGNORE, Detections, Segmentation
from photovision.core.shapes import Polygons
from photovision.core.types import Sample
from photovision.data.dataset import Dataset
from photovision.data.formats import coco, voc, yolo
from photovision.runtime.bundle import read_bundle
from photovision.tasks.detect.detector import Detector
from photovision.tasks.detect.page import answer


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))


def client_of(folder: Path) -> TestClient:
    return TestClient(create_app(State(folder)), base_url="http://127.0.0.1")


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def opened(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


def test_a_detector_tells_of_all_boxes_that_the_page_may_show(tmp_path: Path) -> None:
    spotter_bundle(tmp_path / "spotter", thresholds=[0.999, 0.999])
    client = client_of(tmp_path)
    model = client.get("/api/recognise/overview").json()["models"][0]
    assert (model["task"], model["thresholds"], len(model["colours"])) == ("detect", [0.999, 0.999], 2)
    picture = png(scene((128, 128), [("red", (16, 32, 32, 48)), ("green", (96, 16, 112, 32))]))
    told = client.post("/api/recognise/answer?model=spotter", content=picture).json()
    assert (told["task"], told["size"]) == ("detect", [128, 128])
    sure = [box for box in told["boxes"] if box["score"] > 0.5]
    assert {(box["label"], box["class"], *box["xyxy"]) for box in sure} == {
        ("red", 0, 16, 32, 32, 48),
        ("green", 1, 96, 16, 112, 32),
    }
    assert all(box["score"] >= 0.05 for box in told["boxes"])
    assert "not a picture" in client.post("/api/recognise/answer?model=spotter", content=b"x" * 99).json()["error"]
    why = client.post("/api/recognise/why?model=spotter", content=picture)
    assert (why.status_code, "'why' is not available for a detector" in why.json()["error"]) == (400, True)


def test_a_segmenter_tells_of_classes_and_objects_exactly(tmp_path: Path) -> None:
    painter_bundle(tmp_path / "painter", instances=True)
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[4:12, 4:12] = picture[20:28, 16:28] = (255, 0, 255)
    client = client_of(tmp_path)
    told = client.post("/api/recognise/answer?model=painter", content=png(picture)).json()
    assert (told["task"], told["count"], {one["label"] for one in told["areas"]}) == (
        "segment",
        2,
        {"background", "thing"},
    )
    layer = opened(told["layer"])
    thing, number = layer[..., 0] == 2, layer[..., 1].astype(int) * 256 + layer[..., 2]
    assert (thing == (number > 0)).all()
    assert [int((number == row + 1).sum()) for row in range(2)] == [one["pixels"] for one in told["objects"]]
    assert {one["class"] for one in told["objects"]} == {1}
    mask = Image.open(io.BytesIO(client.post("/api/recognise/mask?model=painter", content=png(picture)).content))
    assert mask.mode == "P"
    assert (np.asarray(mask) == thing).all()


def test_layers_are_no_larger_than_a_screen_and_leave_out_what_nobody_judged() -> None:
    labels = np.zeros((4000, 10), np.int32)
    labels[:2000] = IGNORE
    layer = np.asarray(Image.open(io.BytesIO(page_layers.layer(labels))))
    assert max(layer.shape) <= page_layers.LARGEST
    assert layer[0, 0].tolist() == [0, 0, 0]
    assert layer[-1, 0].tolist() == [1, 0, 0]


def test_masks_of_the_data_become_a_layer() -> None:
    shapes = [blob((40, 60), (5, 5, 25, 25)), Polygons((np.float32([[30, 5], [50, 5], [50, 30], [30, 30]]),)), None]
    found = objects([(5, 5, 25, 25), (30, 5, 50, 30), (1, 1, 3, 3)], [0, 1, 0], shapes)
    content = page_layers.layer_of(found, (40, 60))
    assert content is not None
    layer = np.asarray(Image.open(io.BytesIO(content)))
    assert layer.shape == (40, 60, 3)
    assert (layer[15, 15].tolist(), layer[15, 40].tolist(), layer[2, 2].tolist()) == ([1, 0, 1], [2, 0, 2], [0, 0, 0])
    assert page_layers.layer_of(objects([(5, 5, 25, 25)], [0]), (40, 60)) is None
    assert page_layers.layer_of(None, (40, 60)) is None
    assert page_layers.layer_of(Segmentation(np.ones((4, 4), np.int32), ("a", "b")), (4, 4)) is not None


def test_many_objects_are_listed_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_layers, "MAX_OBJECTS", 3)
    found = Detections(np.zeros((5, 4), np.float32), np.zeros(5, np.int64), ("a",), np.ones(5, np.float32))
    told = answer(Detector(read_bundle(spotter_bundle(tmp_path / "spotter"))), found, (1, 1))
    assert (len(told["boxes"]), told["left_out"]) == (3, 2)


@pytest.mark.parametrize("write", [coco.write, voc.write, yolo.write])
def test_data_with_boxes_are_found_and_shown(tmp_path: Path, write: Any) -> None:
    home = tmp_path / "home"
    write(dataset(tmp_path / "raw", [objects([(5, 5, 25, 25)], [1]), objects([], [])]), home / "parts")
    write_scenes(home / "scenes", 3)
    (home / "plain" / "deep").mkdir(parents=True)
    assert list(find(home)[1]) == ["parts", "scenes"]
    client = client_of(home)
    tasks = [(one["name"], one["task"]) for one in client.get("/api/recognise/overview").json()["data"]]
    assert tasks == [("parts", "detect"), ("scenes", "segment")]
    rows = client.get("/api/browse/pictures?data=parts").json()["rows"]
    assert sorted(str(row["objects"]) for row in rows) == ["{'nut': 1}", "{}"]
    i = next(row["i"] for row in rows if row["objects"])
    facts = client.get(f"/api/browse/facts?data=parts&i={i}").json()
    assert [box["label"] for box in facts["boxes"]] == ["nut"]
    assert facts["boxes"][0]["xyxy"] == pytest.approx([5, 5, 25, 25], abs=1)
    bare, drawn = (client.get(f"/api/browse/thumbnail?data=parts&i={i}{more}").content for more in ("", "&drawn=1"))
    assert bare != drawn
    assert client.get(f"/api/browse/layer?data=parts&i={i}").status_code == 204
    assert client.get("/api/browse/layer?data=scenes&i=0").headers["content-type"] == "image/png"


def test_boxes_are_not_edited_here(tmp_path: Path) -> None:
    coco.write(dataset(tmp_path / "raw", [objects([(5, 5, 25, 25)], [1])] * 2), tmp_path / "home" / "parts")
    client = client_of(tmp_path / "home")
    row = client.get("/api/browse/pictures?data=parts").json()["rows"][0]
    change = {"data": "parts", "i": row["i"], "name": row["name"], "decision": "right"}
    refused = client.post("/api/browse/labels", json=change)
    assert refused.status_code == 400
    assert "Label Studio or CVAT" in refused.json()["error"]
    robust = client.post("/api/training/start", json={"data": "parts", "name": "m", "robust": ["fog"]})
    assert "does not accept 'robust'" in robust.json()["error"]


def test_faulty_boxes_are_marked_and_come_first(tmp_path: Path) -> None:
    found = [objects([(5, 5, 25, 25)], [1]), objects([(50, 30, 75, 60)], [0]), objects([(9, 9, 9, 20)], [0])] * 2
    coco.write(dataset(tmp_path / "raw", found), tmp_path / "home" / "parts")
    source = tmp_path / "home" / "parts"
    write_report(check(source), folder_of(source))
    client = client_of(tmp_path / "home")
    summary = client.get("/api/browse/summary?data=parts").json()
    assert {kind: summary["examined"]["kinds"].get(kind) for kind in ("outside", "nothing")} == {
        "outside": 2,
        "nothing": 2,
    }
    rows = client.get("/api/browse/pictures?data=parts&worst=true").json()["rows"]
    assert [row["marks"][:1] for row in rows[:4]] == [["outside"], ["outside"], ["nothing"], ["nothing"]]
    told = client.get(f"/api/browse/facts?data=parts&i={rows[0]['i']}").json()["found"][0]["text"]
    assert told.startswith("An object reaches outside the picture: bolt at")


@pytest.mark.parametrize(("first", "second"), [("sure", "doubtful"), ("paint", "paint too")])
def test_detectors_and_segmenters_are_compared_on_data(tmp_path: Path, first: str, second: str) -> None:
    from photovision.app.web.background import BackgroundJob
    from photovision.app.web.comparing import compared

    spotter_bundle(tmp_path / "sure")
    spotter_bundle(tmp_path / "doubtful", thresholds=[0.9999, 0.9999])
    painter_bundle(tmp_path / "paint")
    painter_bundle(tmp_path / "paint too")
    if first == "sure":
        data = spotted(tmp_path)
    else:
        data = painted(tmp_path / "painted")
    job = BackgroundJob()
    told = compared(job, tmp_path / first, tmp_path / second, data)
    assert (told["rows"], told["pictures"]) == ([], 4)
    assert told["tables"]
    assert job.done == job.total
    assert all(one["picture"].startswith("data:image/jpeg;base64,/9j/") for one in told["apart"])


def test_models_of_different_kinds_are_not_compared(tmp_path: Path) -> None:
    from photovision.app.web.background import BackgroundJob
    from photovision.app.web.comparing import compared
    from photovision.core.errors import PhotovisionError

    with pytest.raises(PhotovisionError):
        compared(BackgroundJob(), spotter_bundle(tmp_path / "a"), painter_bundle(tmp_path / "b"), tmp_path)


def spotted(folder: Path) -> Path:
    """Pictures of squares with their boxes."""
    boxes = [(16, 32, 32, 48), (64, 64, 80, 80)]
    samples = []
    for number in range(4):
        file = folder / "raw" / f"{number}.png"
        file.parent.mkdir(exist_ok=True)
        Image.fromarray(scene((128, 128), [("red", boxes[0]), ("green", boxes[1])], number)).save(file)
        found = Detections(np.float32(boxes), np.array([0, 1]), ("red", "green"))
        samples.append(Sample(file.name, file, ("red", "green"), {}, found))
    coco.write(Dataset(tuple(samples), ("red", "green"), multilabel=True, annotation_type="boxes"), folder / "squares")
    return folder / "squares"


def painted(folder: Path) -> Path:
    """Pictures of red things with the class of every pixel."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for number in range(4):
        inside = np.zeros((32, 32), bool)
        inside[4 + number : 20, 6:20] = True
        Image.fromarray(np.where(inside[..., None], np.uint8([255, 0, 0]), np.uint8(0))).save(
            folder / "images" / f"{number}.png"
        )
        Image.fromarray(inside.astype(np.uint8)).save(folder / "masks" / f"{number}.png")
    (folder / "classes.txt").write_text("background\nthing\n", encoding="utf-8")
    return folder
