"""The local page in a real browser: a person is enrolled, recognised in a picture, listed and forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faces_of import astronaut, needs_weights
from local_page import served
from PIL import Image as Pillow
from test_ui_page import check_access

Page = Any
Visit = Callable[..., Page]
pytestmark = needs_weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    pytest.importorskip("cryptography", reason="needs the library cryptography")
    home = tmp_path_factory.mktemp("page-faces")
    (home / "work").mkdir()
    Pillow.fromarray(astronaut()).save(home / "eileen.jpg")
    Pillow.fromarray(np.full((90, 90, 3), 120, np.uint8)).save(home / "nobody.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        patch.delenv("PHOTOVISION_FACES_KEY", raising=False)
        yield home / "work"


@pytest.fixture(scope="module")
def address(folder: Path, chromium: object) -> Iterator[str]:
    with served(folder) as address:
        yield address


def enrol(page: Page, picture: Path) -> None:
    page.get_by_label("Name of the person").fill("Eileen Collins")
    page.get_by_label("What they are recognised for").fill("the hatch")
    page.get_by_label("Until").fill((date.today() + timedelta(days=9)).isoformat())
    page.locator("input[type=file]").set_input_files(str(picture))
    page.get_by_alt_text(picture.name).wait_for()
    page.get_by_role("button", name="Enrol", exact=True).click()


def test_a_person_is_enrolled_recognised_and_forgotten(visit: Visit, address: str, folder: Path) -> None:
    page = visit(f"{address}/#/faces", width=390, scheme="dark")
    page.get_by_role("button", name="Enrol", exact=True).click()
    page.get_by_role("alert").get_by_text("at least one picture").wait_for()
    enrol(page, folder.parent / "nobody.png")
    page.get_by_role("alert").get_by_text("no picture is good enough").wait_for()
    assert not (folder / "people").exists()
    check_access(page)
    page.get_by_role("button", name="Remove nobody.png").click()
    enrol(page, folder.parent / "eileen.jpg")
    page.get_by_role("rowheader", name="Eileen Collins").wait_for()
    assert (folder / "people" / "faces.sqlite").is_file()
    assert not list((folder / "people").rglob("*.jpg"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    check_access(page)

    page.get_by_role("button", name="Who is it?").click()
    page.locator("input[type=file]").set_input_files(str(folder.parent / "eileen.jpg"))
    page.locator(".who-list strong", has_text="Eileen Collins").wait_for()
    page.locator(".tag", has_text="Eileen Collins").wait_for()
    check_access(page)
    page.get_by_role("button", name="Use the camera").click()
    page.locator(".live-answer", has_text="Nobody is before the camera").wait_for()
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Close the camera").click()

    page.get_by_role("button", name="Register").click()
    page.get_by_text("Every use of this store").click()
    page.locator(".faces-log td", has_text="identify").first.wait_for()
    assert page.locator(".faces-log td", has_text="identify").count() == 2  # the camera saw the same all the time
    with page.expect_download() as asked:
        page.get_by_role("button", name="Export Eileen Collins").click()
    assert json.loads(Path(asked.value.path()).read_text())["purpose"] == "the hatch"
    page.get_by_role("button", name="Forget Eileen Collins").click()
    check_access(page)
    page.locator("dialog[open]").get_by_role("button", name="Forget").click()
    page.get_by_text("Nobody is enrolled").wait_for()
    assert b"Eileen" not in b"".join(path.read_bytes() for path in (folder / "people").iterdir())
