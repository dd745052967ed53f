"""The local page in a real browser: a data set as a grid, labels corrected by key, a training that climbs, reports."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from local_page import served
from pictures import make_folder
from test_ui_page import check_access

from photovision.core.page import write_report
from photovision.core.report import Report
from photovision.data.corrections import NAME
from photovision.data.read import read_dataset
from photovision.data.session_corrections import NAME as SESSIONS

Page = Any
Visit = Callable[..., Page]
SHAPES = ("circle", "square", "stripes")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """Shapes with splits in a table, many classes in folders, and a report."""
    home = tmp_path_factory.mktemp("browse")
    data = make_folder(home / "shapes", SHAPES, per_class=40, size=32)
    rows = [
        f"{path.relative_to(data).as_posix()},{path.parent.name},{'train' if int(path.stem) < 30 else 'test'}"
        for path in sorted(data.rglob("*.png"))
    ]
    (data / "metadata.csv").write_text("file_name,label,split\n" + "\n".join(rows) + "\n")
    for number in range(40):
        (home / "many" / f"kind {number:02d}").mkdir(parents=True)
        for copy in range(2):
            source = data / SHAPES[number % 3] / f"{number % 20 + 20 * copy:03d}.png"
            shutil.copyfile(source, home / "many" / f"kind {number:02d}" / f"{copy}.png")
    report = Report("audit", "An audit", ("It holds.",))
    write_report(report, home / "reports" / "audit")
    (home / "reports" / "audit" / "README.md").write_text(
        "---\nlicense: mit\n---\n# The card\n\nIt **holds** &lt;b&gt;.\n\n"
        "| a | b |\n| --- | --- |\n| 1 | `2` |\n\n- one\n- two\n"
    )
    return home


@pytest.fixture(scope="module")
def address(folder: Path, chromium: object) -> Iterator[str]:
    with served(folder) as address:
        yield address


@pytest.fixture(autouse=True)
def nothing_corrected(folder: Path) -> None:
    for file in folder.rglob(NAME):
        file.unlink()


def grid(visit: Visit, address: str, data: str = "shapes", **more: Any) -> Page:
    page = visit(f"{address}/#/browse?data={data}", **more)
    page.locator(".tile img.there").first.wait_for()
    page.locator(".grid").focus()
    return page


def decisions(folder: Path, data: str = "shapes") -> list[tuple[str, str, str]]:
    with (folder / data / NAME).open(encoding="utf-8") as file:
        return [(row["file_name"], row["decision"], row["label"]) for row in csv.DictReader(file)]


def labelled(folder: Path, name: str) -> str:
    return next(sample.label for sample in read_dataset(folder / "shapes").samples if sample.id == name)


def test_filters_narrow_the_grid(visit: Visit, address: str) -> None:
    page = grid(visit, address)
    total = page.locator("#total")
    assert total.inner_text() == "120 pictures"
    page.get_by_label("Class").select_option("square")
    page.locator("#total").get_by_text("40 of 120 pictures").wait_for()
    page.get_by_label("Split").select_option("test")
    page.locator("#total").get_by_text("10 of 120 pictures").wait_for()
    page.get_by_label("Name").fill("square/03")
    assert page.locator(".tile").count() == 10
    page.get_by_label("Name").fill("nowhere")
    page.get_by_text("No picture fits these filters.").wait_for()
    page.get_by_label("Name").fill("039")
    page.locator("#total").get_by_text("1 of 120 pictures", exact=True).wait_for()
    assert page.get_by_role("option", name=re.compile("039.png")).count() == 1


def test_one_key_corrects_a_label_and_another_takes_it_back(visit: Visit, address: str, folder: Path) -> None:
    page = grid(visit, address)
    page.keyboard.press("2")
    page.locator(".tile.decided").wait_for()
    assert decisions(folder) == [("circle/000.png", "label", "square")]
    assert labelled(folder, "circle/000.png") == "square"
    assert page.locator(".tile[aria-selected=true]").get_attribute("data-index") == "1", "the next one is marked"
    page.keyboard.press("x")
    page.keyboard.press("k")
    page.get_by_role("button", name="corrected 1").wait_for()
    page.get_by_role("button", name="found right 1").wait_for()
    assert [one[:2] for one in decisions(folder)[1:]] == [("circle/001.png", "leave out"), ("circle/002.png", "right")]
    page.keyboard.press("u")
    page.keyboard.press("u")
    page.keyboard.press("Control+z")
    page.locator(".tile.decided").first.wait_for(state="detached")
    assert labelled(folder, "circle/000.png") == "circle"
    assert len(read_dataset(folder / "shapes")) == 120
    page.keyboard.press("y")
    page.locator(".tile.decided").wait_for()
    assert labelled(folder, "circle/000.png") == "square"
    # The history of the tab outlives a reload.
    page.reload()
    page.locator(".tile.decided").wait_for()
    page.get_by_role("button", name="Undo").click()
    page.locator(".tile.decided").wait_for(state="detached")
    assert labelled(folder, "circle/000.png") == "circle"


def test_a_picture_opens_large_and_is_corrected_there(visit: Visit, address: str, folder: Path) -> None:
    page = grid(visit, address)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    viewer = page.get_by_role("dialog", name="Picture")
    viewer.get_by_text("circle/001.png").wait_for()
    viewer.get_by_text("32 × 32").wait_for()
    check_access(page)
    page.keyboard.press("ArrowRight")
    viewer.get_by_text("3 of 120").wait_for()
    viewer.get_by_text("circle/002.png").wait_for()
    viewer.get_by_role("button", name="3 stripes").click()
    viewer.get_by_text("4 of 120").wait_for()
    page.keyboard.press("ArrowLeft")
    viewer.get_by_role("heading", name="stripes").wait_for()
    assert decisions(folder) == [("circle/002.png", "label", "stripes")]
    page.keyboard.press("u")
    viewer.get_by_role("heading", name="circle").wait_for()
    page.keyboard.press("Escape")
    assert not viewer.is_visible()
    assert page.evaluate("document.activeElement.className") == "grid"


def test_another_tab_is_not_overwritten(visit: Visit, address: str, folder: Path) -> None:
    one, other = grid(visit, address), grid(visit, address)
    one.keyboard.press("2")
    one.locator(".tile.decided").wait_for()
    other.keyboard.press("3")
    other.get_by_text("was decided elsewhere meanwhile").first.wait_for()
    assert other.locator(".tile.decided .what").inner_text() == "square"
    assert decisions(folder) == [("circle/000.png", "label", "square")]


def test_many_classes_are_found_by_typing(visit: Visit, address: str, folder: Path) -> None:
    page = grid(visit, address, "many")
    page.keyboard.press("/")
    page.get_by_label("Class", exact=True).wait_for()
    page.keyboard.type("3")
    assert page.get_by_role("dialog").get_by_role("option").first.inner_text() == "kind 03"
    check_access(page)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".tile.decided").wait_for()
    assert decisions(folder, "many") == [("kind 00/0.png", "label", "kind 13")]
    # The class has a key of its own from now on.
    page.keyboard.press("1")
    page.get_by_role("button", name="corrected 2").wait_for()
    assert decisions(folder, "many")[1] == ("kind 00/1.png", "label", "kind 13")
    page.keyboard.press("f")
    page.keyboard.press("Escape")
    assert len(decisions(folder, "many")) == 2


def test_only_what_is_in_view_is_in_the_document(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/browse?data=shapes", width=360)
    page.locator(".tile img.there").first.wait_for()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    assert page.locator(".tile").count() < 60
    page.locator(".grid").focus()
    page.keyboard.press("End")
    page.locator(".tile[data-index='119'] img.there").wait_for()
    assert page.locator(".tile").count() < 60
    assert page.locator(".tile[data-index='0']").count() == 0
    assert sum("thumbnail" in url for url in asked) < 60
    page.keyboard.press("Home")
    page.locator(".tile[data-index='0'] img.there").wait_for()
    assert page.evaluate("scrollY") < 500  # what stands above the pictures on a phone


def test_problems_are_looked_for_and_come_first(visit: Visit, address: str, folder: Path) -> None:
    broken = folder / "many" / "kind 21" / "1.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"broken")
    page = grid(visit, address, "many")
    page.get_by_role("button", name="Look for problems").click()
    page.get_by_text(re.compile("should be looked at; they come first")).wait_for(timeout=60_000)
    page.locator(".tile.marked", has_text="cannot be read").wait_for()
    first = page.locator(".tile[data-index='0']")
    assert "cannot be read" in first.inner_text()
    page.get_by_role("button", name=re.compile("^cannot be read 1")).click()
    page.locator("#total", has_text="1 of 80 pictures").wait_for()
    first.click()
    page.get_by_role("dialog").get_by_text("This picture cannot be read.").wait_for()
    check_access(page)
    broken.write_bytes(whole)


def test_reports_are_read_in_the_page(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/reports")
    page.get_by_role("link", name="An audit").click()
    frame = page.frame_locator("iframe")
    frame.get_by_text("It holds.").wait_for()
    check_access(page)
    page.get_by_role("link", name="Model card").click()
    page.get_by_role("heading", name="The card").wait_for()
    assert page.locator(".text p").inner_text() == "It holds <b>."
    assert page.locator(".text td").all_inner_texts() == ["1", "2"]
    assert page.locator(".text li").all_inner_texts() == ["one", "two"]
    check_access(page)
    page.get_by_role("link", name="All reports").click()
    page.get_by_role("link", name="An audit").wait_for()


@pytest.mark.parametrize(
    ("width", "scheme"), [(1280, "light"), (360, "dark"), pytest.param(360, "light", marks=pytest.mark.slow)]
)
def test_everybody_can_browse_and_train(visit: Visit, address: str, width: int, scheme: str) -> None:
    page = grid(visit, address, width=width, scheme=scheme)
    check_access(page)
    for place, wanted in (("train", "Name of the model"), ("reports", "An audit")):
        page.goto(f"{address}/#/{place}")
        page.get_by_text(wanted).first.wait_for()
        check_access(page)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_person_chooses_what_is_learned_from_pictures_with_classes(visit: Visit, address: str) -> None:
    page = visit(f"{address}/#/train?data=shapes", width=390)
    page.get_by_text("This becomes a classifier").wait_for()
    page.get_by_label("What it becomes").select_option("an anomaly detector")
    page.get_by_text("This becomes an anomaly detector: it predicts whether an image departs from good ones").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    check_access(page)


@pytest.mark.slow
def test_a_training_climbs_live_and_is_found_again(visit: Visit, address: str, folder: Path) -> None:
    page = visit(f"{address}/#/train?data=shapes")
    page.get_by_label("Minutes").fill("0.15")
    page.get_by_label("Name of the model").fill("first")
    page.get_by_role("button", name="Start").click()
    page.get_by_role("heading", name="The training of first: under way").wait_for()
    assert not page.get_by_role("button", name="Start").is_visible(), "the form makes room"
    for part in (".job .head", ".job .far", ".job .log"):
        box = page.locator(part).bounding_box()
        assert box["y"] + min(box["height"], 60) < 800, part
    assert page.get_by_role("button", name="Cancel").bounding_box()["y"] < 400
    page.locator(".rung", has_text="handcrafted").wait_for(timeout=90_000)
    check_access(page)
    page.reload()
    page.locator(".rung", has_text="handcrafted").wait_for()
    page.get_by_role("link", name="Read the report").wait_for(timeout=170_000)
    assert page.locator(".rung").count() >= 2
    assert re.search(r"\d+\.\d% \(\d+\.\d to \d+\.\d, n = \d+\)", page.locator(".rung").first.inner_text())
    page.get_by_role("link", name="Read the report").click()
    page.frame_locator("iframe").locator("h1", has_text=": ").wait_for()
    page.go_back()
    page.get_by_role("link", name="Try it on pictures").click()
    page.wait_for_url(re.compile("#/recognise"))


@pytest.mark.slow
def test_a_training_is_cancelled_and_goes_on(visit: Visit, address: str, folder: Path) -> None:
    page = visit(f"{address}/#/train?data=shapes")
    page.get_by_label("Minutes").fill("0.15")
    page.get_by_label("Name of the model").fill("second")
    page.get_by_role("button", name="Start").click()
    page.locator(".rung", has_text="handcrafted").wait_for(timeout=90_000)
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("heading", name="The training of second: stopped").wait_for(timeout=60_000)
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("heading", name="The training of second: done").wait_for(timeout=170_000)
    assert (folder / "second" / "bundle.json").is_file()


def test_pictures_of_one_session_are_put_together_by_clicks(visit: Visit, address: str, folder: Path) -> None:
    page = visit(f"{address}/#/browse?data=shapes", width=390, scheme="dark")
    page.get_by_text("Capture sessions").click()
    page.get_by_role("button", name="Choose pictures").click()
    for number in (1, 2):
        page.locator(".tile img.there").nth(number).click()
    page.get_by_role("button", name="These belong together").click()
    page.locator(".toast", has_text="2 pictures are one session now").wait_for()
    assert list(read_dataset(folder / "shapes").sessions.values()) == ["by hand 1"] * 2
    page.get_by_label("Choose by hand 1").wait_for()
    check_access(page)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Undo").last.click()
    page.locator(".toast", has_text="Undone").wait_for()
    assert not read_dataset(folder / "shapes").sessions
    (folder / "shapes" / SESSIONS).unlink()
