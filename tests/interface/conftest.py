"""A real browser for tests of the local page: headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

    Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser that is started once a module: while it runs, no other test of this thread could run asyncio."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("needs Chromium: no program of that name was found")
    with sync_api.sync_playwright() as playwright:
        flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = playwright.chromium.launch(executable_path=program, args=flags)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the page keeps what it made, for one module."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("PHOTOVISION_CACHE", str(folder))
        yield folder


def _told(message: ConsoleMessage) -> str:
    return f"{message.text} ({message.location.get('url')})"


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """A function (address, width=1280, scheme="light", touch=False) -> Page.

    At the end of the test the page must have sent no request elsewhere, and written no error to the console.
    """
    contexts, requests, messages, homes = [], [], [], []

    def go(address: str, width: int = 1280, scheme: str = "light") -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: messages.append(_told(message)) if message.type == "error" else None)
        page.on("pageerror", lambda error: messages.append(str(error)))
        homes.append(address.split("/#")[0].rstrip("/"))
        page.goto(address)
        return page

    yield go
    for context in contexts:
        context.close()
    away = [url for url in requests if not url.startswith((*(f"{home}/" for home in homes), "blob:", "data:"))]
    assert not away
    assert not messages
