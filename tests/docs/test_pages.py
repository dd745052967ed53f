"""Every page of the documentation: its code blocks run, its commands exist, its links lead somewhere."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import tiny
from blocks import ROOT, Block, blocks, cells, check, pages, run_block
from world import build

import photovision
from photovision.core.system import cache_folder

PAGES = pages()
RUN = [page for page in PAGES if any(block.runs and not block.slow for block in blocks(page))]
NOTEBOOKS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "notebooks").glob("*.ipynb"))
WEIGHTS = "photovision weights get yolov4-tiny"
SLOW = [page for page in PAGES if any(block.runs and block.slow for block in blocks(page))]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("made") / "world")


@pytest.fixture
def fetched() -> Path:
    """Where weights lie that this machine has; asked before a page gets a cache of its own."""
    return cache_folder() / "weights"


@pytest.fixture
def world(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of one page: what it changes, no other page sees."""
    tiny.register()
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(shutil.copytree(made, tmp_path / "world"))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_what_it_claims(page: str) -> None:
    for block in blocks(page):
        check(block)


@pytest.mark.parametrize("page", RUN)
def test_blocks_run(page: str, world: None, capsys: pytest.CaptureFixture[str]) -> None:
    _run([block for block in blocks(page) if block.runs and not block.slow], capsys)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_slow_blocks_run(page: str, world: None, capsys: pytest.CaptureFixture[str]) -> None:
    _run([block for block in blocks(page) if block.runs], capsys)


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_run(
    notebook: str, fetched: Path, world: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if WEIGHTS in (ROOT / notebook).read_text(encoding="utf-8"):
        if not fetched.is_dir():
            pytest.skip(f"needs weights on this machine: {WEIGHTS}")
        shutil.copytree(fetched, tmp_path / "cache" / fetched.name)
    _run(cells(notebook), capsys)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_notebooks_are_stored_with_their_outputs(notebook: str) -> None:
    stored = [cell for cell in json.loads((ROOT / notebook).read_text())["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in stored)
    assert sum(bool(cell["outputs"]) for cell in stored) >= 2
    for block in cells(notebook):
        check(block)


def _run(runnable: list[Block], capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in runnable:
        try:
            run_block(block, names, capsys.readouterr)
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(f"{block.where}: {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(ROOT / page)):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (ROOT / page).parent / name if name else ROOT / page
        assert file.is_file(), f"{page}: {target}"
        assert not anchor or anchor in _anchors(file), f"{page}: {target}"


def _prose(file: Path) -> str:
    return re.sub(r"^ *```(?!\{).*?^ *``` *$", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def _anchors(file: Path) -> set[str]:
    """Of the headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", _prose(file), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_public_name_has_one_entry() -> None:
    listed = re.findall(r"^\.\. auto\w+:: (\w+)$", (ROOT / "docs/reference/api.md").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(set(photovision.__all__) - {"__version__"})
