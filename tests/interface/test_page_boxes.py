"""The local page in a real browser with boxes, masks and videos: recognise, browse, live, cut out, compare, train."""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotated import dataset as boxed_dataset
from annotated import objects
from boxed import boxed_set
from clips import write
from local_page import served
from painter import painter_bundle
from PIL import Image
from scenes import write_scenes
from spotter import scene, spotter_bundle
from test_ui_page import CHOOSE, check_access, until

from photovision.data.formats import coco

Page = Any
Visit = Callable[..., Page]
SHAPES = ".stage .boxes rect.box"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Two detectors, a segmenter, pictures with boxes, pictures with masks, a video, and a file that is none."""
    home = tmp_path_factory.mktemp("boxes") / "work"
    home.mkdir()
    spotter_bundle(home / "spotter")
    spotter_bundle(home / "strict", thresholds=[0.999, 0.999])
    painter_bundle(home / "painter", instances=True)
    some = [objects([(5, 5, 25, 25), (30, 10, 50, 30)], [0, 1]), objects([(50, 30, 75, 60)], [0])] * 4
    coco.write(boxed_dataset(home.parent / "raw", some), home / "bolts")
    write_scenes(home / "scenes", 4)
    frames = [scene((128, 128), [("red", (32, 2 * i, 48, 2 * i + 16))], seed=i) for i in range(50)]
    (home / "clips").mkdir()
    write(home / "clips" / "falls.mp4", frames)
    (home / "clips" / "broken.mp4").write_bytes(b"no video at all" * 50)
    return home


@pytest.fixture(scope="module")
def address(folder: Path, chromium: object) -> Iterator[str]:
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pictures")
    boxes = [("red", (16, 32, 32, 48)), ("red", (64, 64, 80, 80)), ("green", (96, 16, 112, 32))]
    Image.fromarray(scene((128, 128), boxes)).save(folder / "three.png")
    Image.fromarray(scene((128, 128), [])).save(folder / "none.png")
    red = np.zeros((64, 64, 3), np.uint8)
    red[8:24, 8:24] = red[40:56, 32:56] = (255, 0, 255)
    Image.fromarray(red).save(folder / "things.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    return {path.stem: str(path) for path in folder.iterdir()}


def recognise(visit: Visit, address: str, model: str, files: list[str], **more: Any) -> Page:
    page = visit(f"{address}/#/recognise", **more)
    page.get_by_label("Model").select_option(model)
    page.locator(CHOOSE).set_input_files(files)
    page.locator(".found .label").wait_for()
    return page


def watch_threads() -> int:
    return sum(thread.name == "watch" for thread in threading.enumerate())


def test_boxes_lie_over_the_picture_and_a_slider_filters_them(
    visit: Visit, address: str, pictures: dict[str, str]
) -> None:
    page = recognise(visit, address, "spotter", [pictures["three"]])
    assert page.locator(".found .label").inner_text() == "3 objects"
    assert page.locator(".legend-class").all_inner_texts() == ["red\n2", "green\n1"]
    shapes = page.locator(SHAPES)
    assert shapes.count() == 3
    # On the screen a box lies where it lies in the picture.
    stage, box = page.locator(".stage").bounding_box(), page.locator(f"{SHAPES}[x='96']").bounding_box()
    assert (box["x"] - stage["x"]) / stage["width"] == pytest.approx(96 / 128, abs=0.01)
    assert (box["y"] - stage["y"]) / stage["height"] == pytest.approx(16 / 128, abs=0.01)
    rows = page.locator(".boxes-table tbody tr")
    assert rows.filter(has_text="green").inner_text().split()[-4:] == ["96", "16", "16", "16"]
    rows.filter(has_text="green").hover()
    assert page.locator(f"{SHAPES}.lit").get_attribute("x") == "96"
    page.locator(f"{SHAPES}[x='64']").hover()
    assert page.locator(".boxes-table tr.lit").inner_text().split()[-4:] == ["64", "64", "16", "16"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_label("Confidence").fill("5")
    assert shapes.count() >= 3
    page.get_by_label("Confidence").fill("95")
    sure = shapes.count()
    page.get_by_role("button", name="As the model decides").click()
    assert (sure <= 3, shapes.count(), asked) == (True, 3, [])
    page.get_by_role("button", name=re.compile("^red")).click()
    assert shapes.count() == 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Save boxes as JSON").click()
    told = json.loads(Path(download.value.path()).read_text())
    assert (told["file"], told["size"], [box["label"] for box in told["boxes"]]) == ("three.png", [128, 128], ["green"])
    with page.expect_download() as download:
        page.get_by_role("button", name="Save picture").click()
    with Image.open(download.value.path()) as drawn:
        assert drawn.size == (128, 128)
        assert (
            np.asarray(drawn.convert("RGB"))[24, 96].tolist()
            != np.asarray(Image.open(pictures["three"]))[24, 96].tolist()
        )


def test_boxes_are_walked_through_by_keys(visit: Visit, address: str, pictures: dict[str, str]) -> None:
    page = recognise(visit, address, "spotter", [pictures["three"]])
    page.locator(".boxes-table tbody tr").first.focus()
    first = page.locator(f"{SHAPES}.lit").get_attribute("data-index")
    page.keyboard.press("ArrowDown")
    assert page.locator(f"{SHAPES}.lit").get_attribute("data-index") != first
    page.keyboard.press("h")
    assert not page.locator(".stage .boxes").is_visible()


def test_pictures_with_and_without_objects_are_told_apart(visit: Visit, address: str, pictures: dict[str, str]) -> None:
    page = recognise(visit, address, "spotter", [pictures[name] for name in ("none", "three", "broken")])
    page.get_by_role("button", name="With objects 1").wait_for()
    page.get_by_role("button", name="Unreadable 1").wait_for()
    rows = page.locator(".rows").get_by_role("option")
    page.get_by_role("combobox", name="Order").select_option("most")
    assert "3 objects" in rows.first.inner_text()
    assert "not a picture" in page.locator(".rows li.broken").text_content()
    page.get_by_role("button", name="Nothing found 1").click()
    assert rows.count() == 1
    check_access(page)
    # A model of another kind asks its own questions.
    page.get_by_label("Model").select_option("painter")
    page.locator(".found .areas").wait_for()
    assert page.get_by_role("button", name=re.compile("^With objects")).count() == 0


def test_masks_lie_over_the_picture(visit: Visit, address: str, pictures: dict[str, str]) -> None:
    page = recognise(visit, address, "painter", [pictures["things"]])
    assert page.locator(".found .label").inner_text() == "2 objects"
    pixel = """([x, y]) => {
        const canvas = document.querySelector('.stage canvas.layer');
        return [...canvas.getContext('2d').getImageData(x * canvas.width, y * canvas.height, 1, 1).data];
    }"""
    until(page, "document.querySelector('.stage canvas.layer').width === 64")
    assert page.evaluate(pixel, [0.25, 0.25])[3] > 0
    assert page.evaluate(pixel, [0.9, 0.1])[3] == 0, "the background is not covered"
    assert page.locator(".boxes-table tbody tr").count() == 2
    page.get_by_label("Masks").fill("0")
    assert page.evaluate(pixel, [0.25, 0.25])[3] == 0
    page.get_by_label("Masks").fill("80")
    page.get_by_role("button", name=re.compile("^thing")).click()
    assert page.evaluate(pixel, [0.25, 0.25])[3] == 0
    with page.expect_download() as download:
        page.get_by_role("button", name="Save mask").click()
    with Image.open(download.value.path()) as mask:
        assert (mask.mode, mask.size, sorted(set(mask.get_flattened_data()))) == ("P", (64, 64), [0, 1])
    check_access(page)


def test_the_camera_shows_boxes_live(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/recognise")
    page.get_by_label("Model").select_option("spotter")
    page.get_by_role("button", name="Camera").click()
    page.locator(".live-answer strong").wait_for()
    assert page.locator(".screen .boxes svg").get_attribute("viewBox") != "0 0 1 1"


def test_data_with_boxes_are_seen_and_not_edited(visit: Visit, address: str, folder: Path) -> None:
    page = visit(f"{address}/#/browse?data=bolts")
    page.locator(".tile img.there").first.wait_for()
    assert page.locator(".tile .what").first.inner_text() == "1 bolt, 1 nut"
    page.get_by_text("Boxes and masks are shown here, not edited").wait_for()
    page.locator(".grid").focus()
    page.keyboard.press("2")
    page.keyboard.press("x")
    assert page.locator(".tile.decided").count() == 0
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="Picture")
    viewer.locator("rect.box").first.wait_for(state="attached")
    assert viewer.locator("rect.box").count() == 2
    check_access(page)
    picture, box = viewer.locator(".over").bounding_box(), viewer.locator("rect.box[x='5']").bounding_box()
    assert (box["x"] - picture["x"]) / picture["width"] == pytest.approx(5 / 60, abs=0.02)
    page.keyboard.press("Escape")
    page.get_by_role("checkbox", name="Boxes and masks").uncheck()
    until(page, "[...document.querySelectorAll('.tile img')].every(image => !image.src.includes('drawn'))")


@pytest.mark.slow
def test_faulty_boxes_are_found_and_come_first(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/browse?data=bolts")
    page.locator(".tile img.there").first.wait_for()
    assert page.get_by_role("button", name=re.compile("wrong labels")).count() == 0
    page.get_by_role("button", name="Look for problems").click()
    page.get_by_text(re.compile("should be looked at; they come first")).wait_for(timeout=60_000)
    page.get_by_role("button", name=re.compile("^box outside the picture 4")).click()
    page.locator("#total", has_text="4 of 8 pictures").wait_for()
    page.locator(".tile").first.click()
    page.get_by_role("dialog").get_by_text("An object reaches outside the picture").wait_for()


def test_data_with_masks_are_seen(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/browse?data=scenes")
    page.locator(".tile img.there").first.wait_for()
    page.locator(".grid").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog", name="Picture").locator(".over canvas").wait_for()
    until(page, "document.querySelector('.over canvas').width === 64")


def test_a_video_is_watched_with_a_zone_that_was_drawn(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/live")
    page.get_by_label("Detector").select_option("spotter")
    page.get_by_label("File").select_option("clips/falls.mp4")
    page.locator("img.frame[alt='First frame']").wait_for()
    page.get_by_text("128 × 128 pixels").wait_for()
    page.get_by_role("button", name="Draw a line").click()
    frame = page.locator(".live-stage").bounding_box()
    at = lambda x, y: (frame["x"] + x * frame["width"], frame["y"] + y * frame["height"])  # noqa: E731
    page.mouse.move(*at(0.1, 0.5))
    page.mouse.down()
    page.mouse.move(*at(0.9, 0.5), steps=4)
    page.mouse.up()
    assert page.get_by_label("line 1, end, x in percent").input_value() == "90"
    page.get_by_role("button", name="Draw a zone").click()
    page.get_by_role("button", name="Place it in the middle").click()
    page.get_by_label("Name of zone 1").fill("low")
    page.keyboard.press("Tab")
    for corner, (x, y) in enumerate(((0, 60), (100, 60), (100, 100), (0, 100)), 1):
        page.get_by_label(f"low, corner {corner}, x in percent").fill(str(x))
        page.get_by_label(f"low, corner {corner}, y in percent").fill(str(y))
    check_access(page)
    page.get_by_role("button", name="Watch", exact=True).click()
    page.locator(".counts tr", has_text="low").wait_for()
    page.locator(".live-state", has_text="ended · 50 of 50 frames").wait_for()
    zone = page.locator(".counts tr", has_text="low").locator("td").all_inner_texts()
    assert int(zone[1]) >= 2, "entered"
    page.locator(".event-log li", has_text="enters low").first.wait_for()
    assert page.locator(".event-log li", has_text="leaves low").count() == int(zone[1])
    check_access(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as JSON Lines").click()
    events = [json.loads(line) for line in Path(download.value.path()).read_text().splitlines()]
    assert {event["event"] for event in events} == {"enter", "leave"}
    assert watch_threads() == 0


def test_watching_ends_by_a_button_and_when_nobody_looks(
    visit: Visit, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("photovision.app.web.watcher.ALONE", 0.5)
    page = visit(f"{address}/#/live")
    page.get_by_label("Detector").select_option("spotter")
    page.get_by_label("File").select_option("clips/falls.mp4")
    page.locator("img.frame[alt='First frame']").wait_for()
    page.get_by_role("button", name="Watch", exact=True).click()
    page.locator(".counts").get_by_text("in view").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.locator(".live-state", has_text="ended").wait_for()
    assert int(page.locator(".live-state").inner_text().split()[2]) < 50
    page.get_by_role("button", name="Watch", exact=True).click()
    page.locator(".counts").get_by_text("in view").wait_for()
    began = time.monotonic()
    page.close()
    while watch_threads():
        assert time.monotonic() - began < 1.9, "the video itself would end after two seconds"
        time.sleep(0.05)


def test_what_cannot_be_watched_says_so_in_one_line(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/live")
    page.get_by_label("File").select_option("clips/falls.mp4")
    page.locator("img.frame[alt='First frame']").wait_for()
    page.get_by_role("button", name="Camera").click()
    page.get_by_label("Camera number").fill("97")
    page.get_by_role("button", name="Watch", exact=True).click()
    page.get_by_role("alert").get_by_text("check that the camera is there").wait_for()
    assert page.get_by_role("button", name="Watch", exact=True).is_visible()


def test_two_detectors_are_seen_side_by_side(visit: Visit, address: str, pictures: dict[str, str]) -> None:
    page = visit(f"{address}/#/compare")
    page.get_by_role("combobox", name="Model B").select_option("painter")
    page.get_by_text("These two are of different kinds").wait_for()
    page.get_by_role("combobox", name="Model B").select_option("strict")
    page.get_by_role("combobox", name="Model A").select_option("spotter")
    page.get_by_role("combobox", name="Pictures").select_option("")
    page.get_by_text("Both detectors draw what they find").wait_for()
    page.locator(CHOOSE).set_input_files(pictures["three"])
    sides = page.locator(".both figure")
    sides.nth(1).wait_for()
    assert sides.first.locator("rect.box").count() == 3
    assert sides.first.locator("figcaption").inner_text().split("\n")[-1] == "2 red, 1 green"
    check_access(page)


def test_cutting_out_says_how_to_get_the_network(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/cutout")
    page.get_by_role("button", name="Fetch mobilesam (38 MB)").wait_for()
    page.get_by_text("Licence: apache-2.0").wait_for()
    check_access(page)


def test_what_is_clicked_is_cut_out(
    visit: Visit, folder: Path, cache: Path, pictures: dict[str, str], tmp_path: Path
) -> None:
    from clicker import clicker_bundle

    from photovision.tasks.cut.prompted_segmenter import READY

    place = clicker_bundle(cache / "models" / READY)
    try:
        with served(folder) as address:
            page = visit(f"{address}/#/cutout")
            page.locator(CHOOSE).set_input_files(pictures["things"])
            page.get_by_role("heading", name="Click an object").wait_for()
            assert page.get_by_role("button", name="Save mask").is_disabled()
            page.locator(".cut-stage").click(position=spot(page, 0.25, 0.25))
            page.get_by_role("heading", name="Cut out", exact=True).last.wait_for()
            check_access(page)
            with page.expect_download() as download:
                page.get_by_role("button", name="Save mask").click()
            with Image.open(download.value.path()) as mask:
                assert (mask.size, mask.getpixel((16, 16)), mask.getpixel((60, 4))) == ((64, 64), 255, 0)
            with page.expect_download() as download:
                page.get_by_role("button", name="Save cut-out").click()
            with Image.open(download.value.path()) as piece:
                assert (piece.mode, piece.getpixel((4, 4))) == ("RGBA", (255, 0, 255, 255))
            page.locator(".cut-stage").click(position=spot(page, 0.9, 0.1), modifiers=["Shift"])
            assert page.locator(".cut-point").all_inner_texts() == ["+", "−"]
            page.keyboard.press("u")
            page.keyboard.press("u")
            page.get_by_role("heading", name="Click an object").wait_for()
            # The same with the keyboard alone.
            page.locator(".cut-stage").focus()
            page.keyboard.press("ArrowDown")
            page.keyboard.press("Enter")
            page.locator(".cut-point").wait_for()
            page.keyboard.press("x")
            assert page.locator(".cut-point").count() == 0
    finally:
        shutil.rmtree(place)


def spot(page: Page, x: float, y: float) -> dict[str, float]:
    box = page.locator(".cut-stage").bounding_box()
    return {"x": x * box["width"], "y": y * box["height"]}


def test_a_training_of_boxes_says_what_it_will_be(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/train?data=bolts")
    page.get_by_text("This becomes a detector: it predicts boxes around objects.").wait_for()
    page.get_by_text("Options").click()
    assert not page.get_by_text("Make it robust to").is_visible()
    page.get_by_label("Pictures").select_option("scenes")
    page.get_by_text("This becomes a segmenter: it predicts the class of every pixel.").wait_for()


@pytest.mark.slow
def test_boxes_train_a_detector_from_the_page(visit: Visit, cache: Path, tmp_path: Path) -> None:
    coco.write(boxed_set(24, 8, 8), tmp_path / "shapes")
    with served(tmp_path) as address:
        page = visit(f"{address}/#/train?data=shapes")
        page.get_by_text("This becomes a detector").wait_for()
        page.get_by_label("Minutes").fill("0.3")
        page.get_by_label("Name of the model").fill("first")
        page.get_by_role("button", name="Start").click()
        page.get_by_text(re.compile("^Mean average precision on validation")).wait_for(timeout=240_000)
        check_access(page)
        page.get_by_role("link", name="Read the report").wait_for(timeout=400_000)
        page.get_by_role("link", name="Read the report").click()
        page.frame_locator("iframe").get_by_text("A detector of circle, square").first.wait_for()
        page.go_back()
        page.get_by_role("link", name="Try it on pictures").click()
        page.locator(CHOOSE).set_input_files(str(next((tmp_path / "shapes").rglob("*.png"))))
        page.locator(".found .label").wait_for()
        assert "Mean average precision" in page.locator(".facts").inner_text()


@pytest.mark.parametrize(("width", "scheme"), [pytest.param(1280, "light", marks=pytest.mark.slow), (390, "dark")])
def test_everybody_can_use_boxes_and_videos(
    visit: Visit, address: str, pictures: dict[str, str], width: int, scheme: str
) -> None:
    page = recognise(visit, address, "spotter", [pictures["three"]], width=width, scheme=scheme)
    check_access(page)
    for place, wanted in (("live", ".place-side"), ("browse?data=bolts", ".tile img.there"), ("cutout", ".fetch")):
        page.goto(f"{address}/#/{place}")
        page.locator(wanted).first.wait_for()
        check_access(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
