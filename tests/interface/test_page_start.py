"""The local page in a real browser: the start, one model and its service, pictures that are added; nothing jumps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from colours import colour_folder
from local_page import served
from test_ui_page import check_access, until
from workspace import make_workspace

Page = Any
Visit = Callable[..., Page]
SHIFT = """() => new Promise((done) => {
    let sum = 0;
    const add = (list) => list.getEntries().forEach((one) => { if (!one.hadRecentInput) sum += one.value; });
    new PerformanceObserver(add).observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(sum), 150);
})"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    return make_workspace(tmp_path_factory.mktemp("start") / "work")


@pytest.fixture(scope="module")
def address(folder: Path, chromium: object) -> Iterator[str]:
    with served(folder) as address:
        yield address


@pytest.mark.parametrize(
    ("view", "wanted"),
    [
        ("start", ".card-row img"),
        ("model?model=good", ".sample img"),
        ("recognise?model=good", ".sample img"),
        ("train", "input[type=number]"),
        ("reports", "h1"),
    ],
)
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_nothing_jumps_and_everybody_can_use_it(
    visit: Visit, address: str, view: str, wanted: str, width: int, scheme: str
) -> None:
    page = visit(f"{address}/#/{view}", width=width, scheme=scheme)
    page.locator(wanted).first.wait_for()
    page.wait_for_timeout(300)
    assert page.evaluate(SHIFT) < 0.02
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    check_access(page)


def test_one_key_leads_from_the_start_to_a_tried_picture(visit: Visit, address: str) -> None:
    page = visit(f"{address}/")
    page.locator(".card-row", has_text="good").get_by_role("link", name="Try it").focus()
    page.keyboard.press("Enter")
    page.locator(".sample").first.focus()
    page.keyboard.press("Enter")
    page.locator(".said .kind", has_text="labelled").wait_for()
    page.get_by_role("link", name="Evaluate, export, serve").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Put it to use").wait_for()
    assert page.title() == "Model · Photovision"
    page.locator(".try .sample").nth(1).click()
    page.locator(".rows [role=option]").nth(1).wait_for()


def test_a_folder_is_added_and_can_be_trained_on(visit: Visit, address: str, folder: Path, tmp_path: Path) -> None:
    source = colour_folder(tmp_path / "flowers", per_class=2)
    page = visit(f"{address}/")
    page.get_by_label("Folder of pictures").set_input_files(str(source))
    card = page.locator(".card-row", has_text="flowers")
    card.get_by_text("6 pictures in 3 classes").wait_for()
    assert len(list((folder / "flowers").rglob("*.png"))) == 6
    until(page, "document.activeElement.textContent === 'Train'")
    card.get_by_role("link", name="Train").click()
    until(page, "document.querySelector('.train select')?.value === 'flowers'")


@pytest.mark.slow
def test_a_model_is_served_and_stopped(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/model?model=good")
    page.get_by_role("spinbutton", name="Port").fill("0")
    page.get_by_role("button", name="Serve", exact=True).click()
    page.locator(".served", has_text="Answers at http://127.0.0.1:").wait_for(timeout=120_000)
    assert "curl -F file=@picture.jpg http://127.0.0.1:" in page.locator(".served code").inner_text()
    page.get_by_role("button", name="Send a test picture").click()
    page.locator(".asked pre", has_text="predictions").wait_for()
    check_access(page)
    page.get_by_role("button", name="Stop serving").click()
    page.get_by_role("button", name="Serve", exact=True).wait_for()
