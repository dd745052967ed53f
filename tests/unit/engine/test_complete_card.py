"""A card is completed by its owner: kept in the bundle, told by the card, and never at the cost of a person's edits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from spotter import spotter_bundle

from photovision.core.errors import UsageError
from photovision.engine.complete_card import complete_card, statements
from photovision.engine.load import load
from photovision.runtime.bundle import read_bundle


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return spotter_bundle(tmp_path / "spots")


def test_what_the_owner_says_is_in_the_card_and_decides_about_no_answer(model: Path) -> None:
    before = read_bundle(model).fingerprint
    assert complete_card(model, owner="Acme\nGardens", contact="leaf@example.org")
    assert complete_card(load(model), purpose="to sort spots")
    assert statements(model) == {"owner": "Acme Gardens", "contact": "leaf@example.org", "purpose": "to sort spots"}
    card = (model / "README.md").read_text()
    assert "**Owner:** Acme Gardens" in card
    assert "to sort spots" in card
    assert "Not recorded: " not in card
    assert read_bundle(model).fingerprint == before
    assert complete_card(model, owner="")
    assert "owner" not in statements(model)
    assert "Not recorded: owner (`photovision card MODEL --owner TEXT`)" in (model / "README.md").read_text()


def test_a_card_that_was_edited_by_hand_stays(model: Path) -> None:
    complete_card(model, owner="Acme")
    card = model / "README.md"
    card.write_text(card.read_text().replace("Acme", "Somebody else"))
    assert not complete_card(model, owner="Acme Gardens")
    assert "Somebody else" in card.read_text()
    assert statements(model)["owner"] == "Acme Gardens"


def test_too_much_is_refused_and_what_strangers_left_is_not_believed(model: Path) -> None:
    with pytest.raises(UsageError, match="at most 2,000 characters, got 2,001"):
        complete_card(model, owner="a" * 2001)
    for hostile in ("[", "[]", json.dumps({"owner": 7, "more": "x"}), "[" * 100_000):
        (model / "card.json").write_text(hostile)
        assert statements(model) == {}
