"""The page is whole, loads nothing, and shows hostile names as text."""

from __future__ import annotations

import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from photovision.core.errors import UsageError
from photovision.core.glossary import GLOSSARY, heading
from photovision.core.page import leading, to_html, write_report
from photovision.core.report import WRONG, Assessment, Figure, Finding, Metric, Report, Table

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
    icon, brand, photograph = page.addresses
    assert icon == brand
    assert icon.startswith("data:image/svg+xml,")
    assert photograph.startswith("data:image/jpeg;base64,")


def test_page_loads_nothing_and_runs_nothing_even_with_hostile_names() -> None:
    text = to_html(report(HOSTILE))
    page = Page(text)
    assert "script" not in page.tags
    assert page.tags.count("img") == 2  # the icon and the photograph
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
    assert page.tags.count("details") == 1
    assert "svg" in page.tags


def test_three_figures_are_large_and_all_stand_in_a_table_with_what_they_mean() -> None:
    metrics = {"accuracy": Metric(0.9137, 0.85, 0.94, 200)} | {f"figure_{n}": Metric(n / 100, n=7) for n in range(11)}
    text = to_html(Report("audit", "t", metrics=metrics))
    page = Page(text)
    words = " ".join(page.words)
    assert words.count("91.4") == 2  # large, and in the table
    assert "share of pictures named correctly" in words
    assert text.count('<span class="value">') == 3
    assert page.tags.count("tr") == 1 + len(metrics)


def test_the_headline_is_the_honest_figure() -> None:
    leaked = {"accuracy": Metric(0.99), "ece": Metric(0.1), "accuracy_leak_free": Metric(0.8)}
    assert leading(leaked)[0] == "accuracy_leak_free"
    assert leading({"map_a": Metric(0.5), "map_b": Metric(0.6), "map_difference": Metric(0.1)})[0] == "map_difference"
    assert leading({"maps_that_hold": Metric(1.0, 0.2, 1.0, 1)}) == []  # of one picture


def test_the_first_screen_holds_the_assessment_and_what_is_marked_for_it_and_the_rest_is_folded() -> None:
    seen = Figure("Right and wrong", pictures=((picture(), f"{WRONG}cat (97%)\ntrue: dog"),), first=True)
    later = Figure("Calibration", svg="<svg></svg>")
    assessment = Assessment("care", "Fit with care", f"let a person check {HOSTILE}")
    shown = Report("evaluate", "t", ("First.", "Second."), figures=[later, seen], assessment=assessment)
    before, _, folded = to_html(shown).partition("<details>")
    assert "Right and wrong" in before
    assert '<span class="wrong">✗ cat (97%)</span>' in before
    assert '<p class="assessment care"><strong>Fit with care</strong>' in before
    assert "<script" not in before
    assert "Calibration" in folded
    assert "Second." in folded
    assert shown.to_json()["assessment"]["level"] == "care"
    assert "**Fit with care.** let a person check &lt;script" in shown.to_markdown()
    assert shown.including(Finding(assessment=Assessment("bad", "Not fit", "x"))).assessment.level == "bad"  # type: ignore[union-attr]


def test_figures_of_the_checks_have_plain_words() -> None:
    assert all(title and hint for title, hint in GLOSSARY.values())
    assert len({title for title, _ in GLOSSARY.values()}) >= len(GLOSSARY) - 1
    assert heading("coverage_difference") == ("Coverage, B minus A", "picture by picture, on the same pictures")
    assert heading("coverage_a") == ("Coverage, A", heading("coverage")[1])
    assert heading("odd_score_change")[0] == "Odd score, change"
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
    assert 'class="folded gallery"' in page
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


@pytest.mark.parametrize(("pictures", "beside"), [(2, True), (12, False)])
def test_many_pictures_do_not_push_the_verdict_out_of_sight(pictures: int, beside: bool) -> None:
    many = Figure("Lowest first", pictures=((picture(), "a leaf"),) * pictures, first=True)
    text = to_html(Report("estimate", "Leaves", metrics={"accuracy": Metric(0.9, 0.8, 1.0, 20)}, figures=[many]))
    assert ('class="beside"' in text) == beside
    assert text.count("a leaf") >= pictures
