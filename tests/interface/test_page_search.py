"""The local page in a real browser: a picture or a part of it is searched for, duplicates move away and back."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from local_page import served
from photographs import photograph, write_photographs
from test_page_start import SHIFT
from test_ui_page import check_access, until

import photovision as pv
from photovision.retrieval.search import index_of_folder

Page = Any
Visit = Callable[..., Page]
MODEL = Path(__file__).parents[1] / "contract" / "bundles_0_1" / "classify" / "model"
FILE = "input[aria-label='Picture to search for']"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    home = tmp_path_factory.mktemp("page-search") / "work"
    pictures = write_photographs(home / "photographs")
    shutil.copyfile(pictures / "people/coffee.png", pictures / "things/again.png")
    pv.index(pictures, index_of_folder(pictures), model=MODEL, check=0).close()
    (home / "bare").mkdir()
    photograph("rocket").save(home / "bare" / "rocket.png")
    return home


@pytest.fixture(scope="module")
def address(folder: Path, chromium: object) -> Iterator[str]:
    with served(folder) as address:
        yield address


@pytest.fixture
def picture(tmp_path: Path) -> str:
    photograph("astronaut").resize((240, 240)).save(tmp_path / "somebody.jpg")
    return str(tmp_path / "somebody.jpg")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_a_picture_is_found_and_everybody_can_use_it(
    visit: Visit, address: str, picture: str, width: int, scheme: str
) -> None:
    page = visit(f"{address}/#/search?data=photographs", width=width, scheme=scheme)
    page.locator(".drop").wait_for()
    page.wait_for_timeout(200)
    assert page.evaluate(SHIFT) < 0.02
    page.locator(FILE).set_input_files(picture)
    page.locator(".verdict-words", has_text="same picture, saved again").wait_for()
    page.locator(".tile img.there").first.wait_for()
    assert "same picture, saved again" in page.locator(".tile").first.get_attribute("aria-label")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    check_access(page)
    page.locator(".grid").focus()
    page.keyboard.press("Enter")
    page.locator("dialog.pair[open]").wait_for()
    check_access(page)
    page.keyboard.press("Escape")
    until(page, "document.activeElement.className === 'grid'")


def test_a_part_is_chosen_by_keys_or_drawn(visit: Visit, address: str, picture: str) -> None:
    page = visit(f"{address}/#/search?data=photographs")
    page.locator(FILE).set_input_files(picture)
    page.locator(".verdict-words").wait_for()
    page.get_by_role("button", name="A part of it").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.locator(".verdict-words", has_text="a crop").wait_for()
    check_access(page)
    page.get_by_role("button", name="The whole picture").click()
    page.locator(".verdict-words", has_text="saved again").wait_for()
    box = page.locator(".crop-stage").bounding_box()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.1 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.7 * box["height"], steps=3)
    page.mouse.up()
    page.locator(".verdict-words", has_text="a crop").wait_for()


def test_a_picture_of_a_data_set_leads_to_those_like_it(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/browse?data=photographs")
    page.locator(".tile img.there").first.wait_for()
    page.locator(".grid").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Find similar pictures").click()
    page.locator(".verdict-words", has_text="1 same file").wait_for()


def test_what_is_not_indexed_says_so(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/search?data=bare")
    page.get_by_role("button", name="Index these pictures").wait_for()
    assert not page.locator(".drop").count()
    check_access(page)


def test_duplicates_are_moved_by_one_click_and_back_by_another(visit: Visit, address: str, folder: Path) -> None:
    page = visit(f"{address}/#/search?data=photographs&mode=duplicates")
    page.get_by_role("button", name="Look for duplicates").click()
    page.locator(".verdict-words", has_text="1 duplicate of 1 picture").wait_for()
    until(page, "[...document.querySelectorAll('.groups img')].every((image) => image.naturalWidth)")
    check_access(page)
    page.get_by_role("checkbox", name="move").uncheck()
    page.get_by_role("button", name="Nothing to move").wait_for()
    page.get_by_role("checkbox", name="move").check()
    page.get_by_role("button", name="Move 1 duplicate away").click()
    page.locator(".moved", has_text="1 file moved to").wait_for()
    check_access(page)
    assert len(list((folder / "photographs").rglob("*.png"))) == 10
    page.get_by_role("button", name="Move back").click()
    until(page, "!document.querySelector('.moved')")
    assert len(list((folder / "photographs").rglob("*.png"))) == 11
