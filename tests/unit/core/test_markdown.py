"""Names from strangers are shown as they are, and are never more than text."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from photovision.core.markdown import bullets, facts, harmless, table
from photovision.core.report import Metric

NAMES = (
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](http://example.org/p.png)",
    "<img src=x onerror=alert(1)>",
    "`code` *strong* _soft_ **x** ~~y~~ $z$",
    "&lt;b&gt; &amp;",
    "a|b \\| c\\",
    "<http://example.org>",
    "snow_scene # 1",
    "person@example.org",
)
ALLOWED = {"text", "softbreak", "inline", "text_special"}


def inline(markdown: str) -> list[Token]:
    return [child for token in MarkdownIt().enable("table").parse(markdown) for child in token.children or []]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_nothing_but_its_text(name: str) -> None:
    tokens = inline(f"name: {harmless(name)}")
    assert {token.type for token in tokens} <= ALLOWED
    assert "".join(token.content for token in tokens) == f"name: {name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_name_stays_in_its_cell(name: str) -> None:
    tokens = MarkdownIt().enable("table").parse("\n".join(table(("class", "n"), [(name, 3), ("b", 4)])))
    assert sum(token.type == "tr_open" for token in tokens) == 3
    assert sum(token.type == "td_open" for token in tokens) == 4
    cells = [token.content for token in tokens if token.type == "inline"]
    assert cells[3:] == ["3", "b", "4"]


@pytest.mark.parametrize(
    "name", ["a\n# b", "a\r\n---\nb: c", "a\u202eb", "a\u2028b", "\ud800", "\x1b[31m", "\x00", "\ufffe"]
)
def test_a_name_is_one_line_that_can_be_written(name: str) -> None:
    shown = harmless(name)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert not set(shown) & set("\n\r\x00\x1b\u202e\u2028\ufffe")


def test_addresses_do_not_become_links_by_themselves() -> None:
    shown = harmless("http://evil.example and www.evil.example and a@b.example")
    assert "://" not in shown
    assert "www." not in shown
    assert "@" not in shown


def test_figures_are_written_as_reports_write_them() -> None:
    metric = Metric(0.9, 0.85, 0.94, 200)
    assert str(metric) in table(("a",), [(metric.to_json(),)])[2]
    assert str(metric) in table(("a",), [(metric,)])[2]
    assert table(("a",), [(None,)])[2] == "| – |"
    assert facts({"b": 1234567, "c": None, "d": ""}) == ["- **b:** 1,234,567", ""]


def test_long_tables_say_what_they_leave_out() -> None:
    lines = table(("a",), [(n,) for n in range(35)], most=20)
    assert "| 19 |" in lines
    assert "| 20 |" not in lines
    assert "15 more rows are not shown here." in lines


def test_no_sentences_make_no_list() -> None:
    assert bullets([]) == []
    assert facts({}) == []
