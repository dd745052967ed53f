"""The local page in a real browser: recognise, compare, keyboard, light and dark, phone, and who can use it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from colours import colour_picture
from local_page import served
from PIL import Image
from workspace import make_workspace

Page = Any
Visit = Callable[..., Page]
CHOOSE = "input[type=file][accept]"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_workspace(tmp_path_factory.mktemp("page") / "work")


@pytest.fixture(scope="module")
def address(folder: Path, chromium: object) -> Iterator[str]:
    with served(folder) as address:
        yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("pictures")
    for name in ("red", "green", "blue"):
        colour_picture(name, 77).save(folder / f"{name}.png")
    Image.fromarray(np.full((40, 40, 3), 255, np.uint8)).save(folder / "white.png")
    (folder / "broken.png").write_bytes(b"not a picture")
    colour_picture("blue", 7).save(folder / "scan.tif")
    return {path.stem: str(path) for path in folder.iterdir()}


def check_access(page: Page) -> None:
    """Nothing that axe-core finds: names, roles, contrast, order of headings."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    assert not [(one["id"], [node["html"][:120] for node in one["nodes"]]) for one in found]


def until(page: Page, condition: str) -> None:
    """Wait for a condition in JavaScript; Playwright's own way needs `eval`, which the page's policy forbids."""
    deadline = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def answered(page: Page, name: str) -> None:
    page.locator(".label", has_text=re.compile(rf"^{name}")).wait_for()


def test_a_dropped_picture_is_answered_with_its_reasons(visit: Visit, address: str, pictures: dict[str, str]) -> None:
    page = visit(f"{address}/#/recognise")
    page.locator(".drop").wait_for()
    content = list(Path(pictures["green"]).read_bytes())
    page.evaluate(
        """(content) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(content)], "leaf.png", {type: "image/png"}));
            dispatchEvent(new DragEvent("dragover", {dataTransfer: transfer, cancelable: true}));
            dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, cancelable: true}));
        }""",
        content,
    )
    answered(page, "green")
    assert page.locator(".said .kind").inner_text() == "leaf.png"
    assert re.search(r"\d+\.\d%", page.locator(".label .confidence").inner_text())
    heat = page.locator("img.heat")
    heat.wait_for()
    assert heat.evaluate("image => image.naturalWidth") == 320
    slider = page.get_by_label("Heatmap")
    slider.fill("90")
    assert heat.evaluate("image => getComputedStyle(image).opacity") == "0.9"
    page.keyboard.press("h")
    assert heat.evaluate("image => getComputedStyle(image).opacity") == "0"
    page.locator(".strip img").first.wait_for()
    assert page.locator(".strip .near-label").all_inner_texts() == ["green"] * 5
    assert page.locator(".strip img").first.evaluate("image => image.complete && image.naturalWidth") == 40
    page.locator(".verdict.holds, .verdict.fails, .verdict.untestable").wait_for()
    page.get_by_role("button", name=re.compile("^red")).click()
    page.locator(".speaks strong", has_text="red").wait_for()


def test_many_pictures_are_listed_filtered_and_ordered(visit: Visit, address: str, pictures: dict[str, str]) -> None:
    page = visit(f"{address}/#/recognise")
    page.locator(CHOOSE).set_input_files([pictures[name] for name in ("red", "white", "broken", "blue", "scan")])
    rows = page.locator(".rows").get_by_role("option")
    page.locator(".rows li.waiting").first.wait_for(state="detached")
    page.locator(".rows li.unknown").wait_for()
    assert "not a picture of a known format" in page.locator(".rows li.broken").text_content()
    page.get_by_role("combobox", name="Order").select_option("unsure")
    assert rows.first.locator("strong").text_content() == "unknown"
    # A TIFF is shown, too, although the browser cannot read it.
    until(page, "[...document.querySelectorAll('.rows li:not(.broken) img')].every(image => image.naturalWidth)")
    page.get_by_role("button", name="Unknown 1").click()
    assert rows.count() == 1
    rows.first.click()
    answered(page, "unknown")
    assert "unlike those that the model learned from" in page.locator(".words").inner_text()
    # The model without doubt never says so, and is asked anew.
    page.get_by_role("button", name="All 5").click()
    page.get_by_label("Model").select_option("muddled")
    page.locator(".rows li.unknown").wait_for(state="detached")
    rows.filter(has_text="scan.tif").click()
    answered(page, "green")
    # The pictures are still there after a visit elsewhere, and gone when they are removed.
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("heading", name="Which of two models").wait_for()
    page.go_back()
    rows.filter(has_text="scan.tif").wait_for()
    assert rows.count() == 5
    page.get_by_role("button", name="Remove all").click()
    assert not page.locator(".results").is_visible()


def test_the_camera_answers_live_and_keeps_a_picture(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/recognise")
    page.get_by_role("button", name="Camera").click()
    page.locator(".live-answer strong").wait_for()
    page.get_by_role("button", name="Keep this picture").click()
    page.locator(".said .kind", has_text="camera").wait_for()
    page.get_by_role("button", name="Close the camera").click()
    assert page.locator("video").count() == 0


def test_the_keyboard_is_enough(visit: Visit, address: str, pictures: dict[str, str]) -> None:
    page = visit(f"{address}/#/recognise")
    choosers: list[Any] = []
    # Listened for from the start: asked for only just before the key, the browser may open its own window first.
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    page.locator(".drop").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("o")
    for _ in range(500):
        if choosers:
            break
        page.wait_for_timeout(20)
    choosers[0].set_files([pictures["red"], pictures["green"], pictures["blue"]])
    answered(page, "red")
    page.keyboard.press("ArrowDown")
    answered(page, "green")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    answered(page, "blue")
    page.keyboard.press("x")
    answered(page, "green")
    page.get_by_label("Heatmap").focus()
    page.keyboard.press("ArrowUp")
    assert page.get_by_label("Heatmap").input_value() == "65"
    answered(page, "green")
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    assert "Heatmap on or off" in page.get_by_role("dialog").inner_text()
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.get_by_role("heading", name="Which of two models").wait_for()
    assert page.title() == "Compare · Photovision"


def test_two_models_are_compared_where_they_disagree(visit: Visit, address: str, pictures: dict[str, str]) -> None:
    page = visit(f"{address}/#/compare")
    page.get_by_role("button", name="Compare", exact=True).click()
    cards = page.locator(".card")
    cards.first.wait_for()
    assert page.locator(".verdict-words").inner_text().startswith("A is better: +66.7")
    assert cards.count() == 40
    truth = cards.first.locator(".truth").inner_text().split()[-1]
    said = cards.first.locator(".said-words strong").all_inner_texts()
    assert said[0] == truth != said[1]
    assert [mark.split() for mark in cards.first.locator(".mark").all_inner_texts()] == [["✓", "right"], ["✗", "wrong"]]
    cards.first.locator("img").wait_for()
    until(page, "document.querySelector('.card img').naturalWidth === 40")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement === document.querySelector('.card')")
    page.keyboard.press("3")
    assert cards.count() == 0
    page.keyboard.press("2")
    assert cards.count() == 40
    check_access(page)
    # Dropped pictures have no truth, but the models can still disagree.
    page.get_by_role("combobox", name="Pictures").select_option("")
    page.locator(CHOOSE).set_input_files([pictures["red"], pictures["blue"]])
    page.locator(".verdict-words", has_text="disagree on 1 of 2 pictures").wait_for()
    assert cards.locator(".said-words strong").all_text_contents() == ["blue", "green"]


@pytest.mark.parametrize(
    ("width", "scheme"),
    [
        (1280, "light"),
        (360, "dark"),
        pytest.param(1280, "dark", marks=pytest.mark.slow),
        pytest.param(360, "light", marks=pytest.mark.slow),
    ],
)
def test_everybody_can_use_it(visit: Visit, address: str, pictures: dict[str, str], width: int, scheme: str) -> None:
    page = visit(f"{address}/#/recognise", width=width, scheme=scheme)
    page.locator(".drop").wait_for()
    check_access(page)
    page.locator(CHOOSE).set_input_files([pictures[name] for name in ("white", "broken", "blue")])
    page.locator("img.heat").wait_for()
    page.locator(".rows li.broken").wait_for()
    check_access(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"{address}/#/compare")
    page.get_by_role("button", name="Compare", exact=True).wait_for()
    check_access(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_light_and_dark_can_be_chosen_and_stay(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/recognise")
    paper = "getComputedStyle(document.body).backgroundColor"
    page.locator(".drop").wait_for()
    light = page.evaluate(paper)
    page.get_by_role("button", name="Dark colours").click()
    dark = page.evaluate(paper)
    assert light != dark
    page.reload()
    page.locator(".drop").wait_for()
    assert page.evaluate(paper) == dark


def test_the_start_shows_what_is_there_and_one_click_tries_a_model(visit: Visit, address: str) -> None:
    page = visit(f"{address}/")
    page.get_by_text("2 models and 1 data set found in work.").wait_for()
    good = page.locator(".card-row", has_text="good")
    assert re.fullmatch(r"95\.0% accuracy\s*\(.*n = \d+\)", good.locator(".headline").inner_text())
    good.locator("img").wait_for()
    page.get_by_text("60 pictures in 3 classes").wait_for()
    check_access(page)
    good.get_by_role("link", name="Try it").click()
    page.locator(".sample").first.click()
    page.locator(".said .kind", has_text="labelled blue").wait_for()
    answered(page, "blue")
    page.get_by_role("button", name="A test picture").click()
    page.locator(".rows").get_by_role("option").nth(1).wait_for()


def test_names_of_strangers_are_text(visit: Visit, tmp_path: Path, chromium: object) -> None:
    from colours import colour_bundle

    colour_bundle(tmp_path / "<b>model", called=("<img src=x onerror=alert(1)>", "green", "blue"))
    colour_picture("red", 3).save(tmp_path / "<i>.png")
    with served(tmp_path) as address:
        page = visit(f"{address}/#/recognise")
        page.locator(CHOOSE).set_input_files(str(tmp_path / "<i>.png"))
        answered(page, "<img src=x onerror=alert")
        assert page.locator(".said .kind").inner_text() == "<i>.png"
        assert page.get_by_label("Model").input_value() == "<b>model"
        page.close()  # before its server, which it may be asking something


def test_an_empty_folder_says_what_to_do(visit: Visit, tmp_path: Path, chromium: object) -> None:
    with served(tmp_path) as address:
        page = visit(f"{address}/")
        page.get_by_text("holds neither a model nor pictures with labels yet").wait_for()
        assert page.locator(".steps [aria-current=step]").inner_text().startswith("Add pictures")
        check_access(page)
        page.keyboard.press("r")
        page.get_by_role("heading", name="There is no model here yet").wait_for()
        check_access(page)
        page.keyboard.press("c")
        page.get_by_text("There is no model here yet").wait_for()
        page.close()  # before its server, which it may be asking something
