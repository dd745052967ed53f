"""What README.md and its pages claim: commands exist, links lead somewhere, code prints what is shown."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from photovision.app.cli.commands import app
from photovision.models.weights import locate

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "docs/verbs.md", "docs/install.md", "docs/data.md", "docs/figures.md")


def blocks(page: str) -> list[str]:
    """The indented blocks of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [re.sub(r"^    ", "", one, flags=re.MULTILINE) for one in re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)]


def commands() -> list[str]:
    lines = [line for page in PAGES for block in blocks(page) for line in block.splitlines()]
    parts = [part for line in lines for part in re.split(r"\s+#|&&", line)]
    return [part.strip() for part in parts if part.strip().startswith("photovision ")]


def test_every_command_exists_with_its_flags() -> None:
    found = commands()
    assert len(found) >= 30
    for line in found:
        words, command = shlex.split(line)[1:], typer.main.get_command(app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
        known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        flags = {word.split("=")[0] for word in words if word.startswith("-") and word != "-"}
        assert flags <= known, line
        assert not hasattr(command, "commands") or flags, line


@pytest.mark.parametrize("page", [*PAGES, "CONTRIBUTING.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    place = (ROOT / page).parent
    for target in re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
        assert target.startswith("https://") or (place / target).exists(), target


@pytest.mark.slow
def test_the_five_lines_of_python_print_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if locate("efficientnet_lite0") is None:
        pytest.skip("needs the weights efficientnet_lite0")
    monkeypatch.setenv("PHOTOVISION_CACHE", str(tmp_path))
    code, shown = next((a, b) for a, b in pairwise(blocks("README.md")) if "import" in a)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, {})
    assert re.sub(r"\d+\.\d%", "%", out.getvalue()).strip() == re.sub(r"\d+\.\d%", "%", shown).strip()
