"""The data sheet answers what was measured, and leaves the other questions to the owner."""

from __future__ import annotations

import re

import pytest
from bundles import HOSTILE, full, minimal
from markdown_it import MarkdownIt

from photovision.engine.datasheet import datasheet

SECTIONS = ["Motivation", "Composition", "Collection", "Preprocessing, cleaning and labelling", "Uses", "Distribution"]
SECTIONS += ["Maintenance"]


def parts(text: str) -> dict[str, str]:
    found = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(found[1::2], found[2::2], strict=True))


@pytest.mark.parametrize("info", [minimal(), full(), full(HOSTILE)], ids=["minimal", "full", "hostile"])
def test_the_seven_sections_are_there_and_none_is_empty(info: dict[str, object]) -> None:
    found = parts(datasheet(info))
    assert list(found) == SECTIONS
    assert all(text.strip() for text in found.values())
    assert not re.search(r"\bNone\b|\[\]|\{\}", datasheet(info))


def test_what_was_measured_is_answered() -> None:
    text = parts(datasheet(full()))["Composition"]
    for told in ("12,006", "training 8,501", "validation 1,502", "test 2,003", "8c426391f33a2c6a", "published"):
        assert told in text
    assert text.index("| fox | 101 |") < text.index("| cat | 4,001 |")
    assert "43.6 times" in text
    assert "| north | 5,123 |" in text
    assert "Files left out: 3." in text
    assert "| unreadable | cannot be decoded | 3 |" in text
    assert "11 pictures belong to 5 groups" in text


def test_raters_are_named_and_are_no_group() -> None:
    found = parts(datasheet(full()))
    assert "**Raters:** rater_anna" in found["Preprocessing, cleaning and labelling"]
    assert "rater_anna" not in found["Composition"]


def test_patients_are_counted_and_not_listed() -> None:
    text = datasheet(full())
    assert "**patient:** 40 values, 20 to 59 training pictures each." in text
    assert "patient 7" not in text


def test_nothing_is_claimed_of_data_of_which_nothing_is_known() -> None:
    text = datasheet(minimal())
    assert text.count("Not recorded.") >= 15
    assert "left out:" not in text
    assert "No file had to be left out" not in text
    known = {"28", "2", "78", "28589579", "3556", "2021"}
    assert set(re.findall(r"\d+", text)) <= known


def test_a_clean_and_even_data_set_is_said_to_be_so() -> None:
    info = full()
    info["data"] |= {"problems": [], "quarantined": 0, "train_per_class": {"cat": 7, "dog": 7, "fox": 7}}
    text = datasheet(info)
    assert "No file had to be left out." in text
    assert "Each of the 3 classes has 7 training pictures." in text


def test_hostile_names_stay_text() -> None:
    text = datasheet(full(HOSTILE))
    text.encode()
    tokens = MarkdownIt().enable("table").parse(text)
    kinds = {child.type for token in tokens for child in [token, *(token.children or [])]}
    assert kinds.isdisjoint({"html_block", "html_inline", "link_open", "image"})
    assert sum(token.type == "heading_open" for token in tokens) == 8
