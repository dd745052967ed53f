"""A card is completed by its owner: kept in the bundle, told by the card, and never at the cost of a person's edits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from spotter import spotter_bundle

from photovision.core.errors import UsageError
from photovision.engine.complete_card import card, statements
from photovision.engine.load import load
from photovision.runtime.bundle import read_bundle


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return spotter_bundle(tmp_path / "spots")


def test_what_the_owner_says_is_in_the_card_and_decides_about_no_answer(model: Path) -> None:
    before = read_bundle(model).fingerprint
    assert card(model) == {}
    assert not (model / "card.json").exists()
    assert card(model, owner="Acme\nGardens", contact="leaf@example.org")["owner"] == "Acme Gardens"
    recorded = card(load(model), purpose="to sort spots")
    assert recorded == {"owner": "Acme Gardens", "contact": "leaf@example.org", "purpose": "to sort spots"}
    text = (model / "README.md").read_text()
    assert "**Owner:** Acme Gardens" in text
    assert "to sort spots" in text
    assert "Not recorded: " not in text
    assert read_bundle(model).fingerprint == before
    assert "owner" not in card(model, owner="")
    assert "Not recorded: owner (`photovision card MODEL --owner TEXT`)" in (model / "README.md").read_text()


def test_a_card_for_clinical_studies_says_what_the_model_is_not(model: Path) -> None:
    card(model, owner="Acme")
    plain = (model / "README.md").read_text()
    assert "medical device" not in plain
    assert "population" not in plain
    found = card(model, population="adults of a city hospital <b>", prevalence="2% of them", device="")
    assert found["population"] == "adults of a city hospital <b>"
    text = (model / "README.md").read_text()
    section = text[text.index("## In clinical studies") : text.index("## Factors")]
    assert "not a medical device and not for diagnosis" in section
    assert "**Population:** adults of a city hospital &lt;b&gt;" in section
    assert "**Device:** Not recorded." in section
    assert "| Base rate for which it is meant | 2% of them |" in section
    assert "| External test | Not recorded. |" in section
    assert "<b>" not in text
    card(model, population="", prevalence="")
    assert (model / "README.md").read_text() == plain


def test_a_model_that_learned_from_a_hospital_has_the_section_unasked(model: Path) -> None:
    info = json.loads((model / "bundle.json").read_text())
    info["data"] = {
        **(info.get("data") or {}),
        "groups": {"hospital": {"A": 700}},
        "counts": {"train": 700, "test": 90},
    }
    (model / "bundle.json").write_text(json.dumps(info))
    card(model, owner="Acme")
    text = (model / "README.md").read_text()
    assert "not a medical device" in text
    assert "train 700, test 90" in text


def test_a_card_that_was_edited_by_hand_stays(model: Path) -> None:
    card(model, owner="Acme")
    file = model / "README.md"
    file.write_text(file.read_text().replace("Acme", "Somebody else"))
    lines: list[str] = []
    card(model, owner="Acme Gardens", say=lines.append)
    assert "edited by hand and stays" in lines[0]
    assert "Somebody else" in file.read_text()
    assert statements(model)["owner"] == "Acme Gardens"


def test_too_much_is_refused_and_what_strangers_left_is_not_believed(model: Path) -> None:
    with pytest.raises(UsageError, match="at most 2,000 characters, got 2,001"):
        card(model, owner="a" * 2001)
    for hostile in ("[", "[]", json.dumps({"owner": 7, "more": "x"}), "[" * 100_000):
        (model / "card.json").write_text(hostile)
        assert statements(model) == {}
