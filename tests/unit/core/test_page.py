"""The page is whole, loads nothing, and shows hostile names as text."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from photovision.core.errors import UsageError
from photovision.core.page import GLOSSARY, heading, to_html, write_report
from photovision.core.report import Figure, Metric, Report, Table

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Collects tags, addresses and text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "teal").save(buffer, "JPEG")
    return buffer.getvalue()


def report(name: str = "cats") -> Report:
    return Report(
        kind="evaluate",
        title=f"On {name}",
        summary=(f"All about {name}: 90.0%.",),
        metrics={"accuracy": Metric(0.9, 0.85, 0.94, 200), "log_loss": Metric(0.31, 0.2, 0.4, 200, "")},
        tables=[Table("Classes", ("class", "recall"), ((name, Metric(0.5, 0.2, 0.8, 4)), ("none", None)), note=name)],
        figures=[Figure("Mistakes", pictures=((picture(), f"true: {name}\nsaid: {name} (97%)"),), note=name)],
        warnings=(f"Beware of {name}.",),
        provenance={name: {"numpy": "2.0", "list": [1, 2]}},
        data={"task": "classify"},
    )


def test_page_shows_everything() -> None:
    page = Page(to_html(report()))
    words = " ".join(page.words)
    for expected in ("On cats", "All about cats", "90.0", "85.0 to 94.0", "n = 200", "Beware of cats", "cats.numpy"):
        assert expected in words, expected
    assert page.tags.count("img") == 1
    icon, photograph = page.addresses
    assert icon.startswith("data:image/svg+xml,")
    assert photograph.startswith("data:image/jpeg;base64,")


def test_page_loads_nothing_and_runs_nothing_even_with_hostile_names() -> None:
    text = to_html(report(HOSTILE))
    page = Page(text)
    assert "script" not in page.tags
    assert page.tags.count("img") == 1
    assert not page.handlers
    assert all(address.startswith(("data:image/", "#")) for address in page.addresses)
    assert "default-src 'none'" in text
    assert HOSTILE in "".join(page.words)


def test_figures_and_tables_of_one_title_share_a_section() -> None:
    page = Page(
        to_html(
            Report(
                "train", "t", figures=[Figure("Ladder", svg="<svg></svg>")], tables=[Table("Ladder", ("a",), ((1,),))]
            )
        )
    )
    assert page.tags.count("h2") == 1
    assert "svg" in page.tags


def test_many_figures_are_a_table_and_the_leading_ones_stay_cards() -> None:
    few, more = ({f"figure_{n}": Metric(n / 100, n=7) for n in range(count)} for count in (11, 40))
    lead = {"accuracy": Metric(0.9137, 0.85, 0.94, 200)}
    for metrics in (few, more):
        words = " ".join(Page(to_html(Report("audit", "t", metrics={**lead, **metrics}))).words)
        assert words.count("91.4") == 1
        assert all(f"{n}.0" in words for n in range(len(metrics)))
        assert ("Further figures" in words) == (metrics is more)
    page = Page(to_html(Report("audit", "t", metrics={**lead, **more})))
    assert page.tags.count("h3") == 1
    assert page.tags.count("tr") == 41


def test_figures_of_the_checks_have_plain_words() -> None:
    assert all(title and hint for title, hint in GLOSSARY.values())
    assert len({title for title, _ in GLOSSARY.values()}) >= len(GLOSSARY) - 1
    assert heading("coverage_difference")[0] == "Coverage of sets, B minus A"
    assert heading("not_known_here") == ("Not known here", "")


def test_write_report_writes_three_files_that_agree(tmp_path: Path) -> None:
    write_report(report(), tmp_path / "new" / "report")
    folder = tmp_path / "new" / "report"
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json", "report.md"]
    found = json.loads((folder / "report.json").read_text())
    assert found["metrics"]["accuracy"] == {"value": 0.9, "low": 0.85, "high": 0.94, "n": 200, "unit": "share"}
    assert "On cats" in (folder / "report.md").read_text()


def test_numbers_that_are_not_finite_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="finite"):
        write_report(Report("evaluate", "t", metrics={"accuracy": Metric(float("nan"))}), tmp_path / "report")
    assert not (tmp_path / "report").exists()


def test_markdown_keeps_hostile_names_harmless() -> None:
    text, facts = report(HOSTILE).to_markdown().split("```json")  # a code block shows HTML as text
    assert "<script" not in text
    assert "numpy" in facts


def test_notebooks_show_the_page_in_a_closed_frame() -> None:
    page = Page(report(HOSTILE)._repr_html_())
    assert page.tags == ["iframe"]


def test_a_lead_figure_names_its_pictures_for_those_who_cannot_see_them() -> None:
    figure = Figure(
        "Units", pictures=((picture(), HOSTILE), (picture(), "small")), note=f"Unit 1\n{HOSTILE}", lead=True
    )
    page = to_html(Report("features", "Atlas", figures=[figure]))
    assert '<section class="gallery">' in page
    assert 'alt="small"' in page
    assert "<script" not in page
    assert "onerror" not in Page(page).handlers


def test_a_metric_with_a_title_of_its_own_is_shown_by_it() -> None:
    own = Metric(0.5, title="Recall at the line", hint="share of bad parts that are stopped")
    assert heading("recall", own) == ("Recall at the line", "share of bad parts that are stopped")
    assert heading("recall_b", own)[0] == "Recall at the line, B"
    assert heading("recall_leak_free", own)[0] == "Recall at the line, leak-free"
    assert heading("recall", Metric(0.5)) == heading("recall")
    assert heading("recall", Metric.from_json(own.to_json())) == heading("recall", own)
    assert "title" not in Metric(0.5).to_json()
