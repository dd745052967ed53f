"""Generated pages are current."""

from __future__ import annotations

from pathlib import Path

from photovision.app.reference import reference

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_on_the_command_line_is_current() -> None:
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == reference(), "run `make docs`"
