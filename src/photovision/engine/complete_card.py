"""Statements of a model's owner: who owns it, what it is for, whom to ask; kept in the bundle, shown by its card.

They lie in a file of their own, card.json, since what decides about answers (bundle.json and the graphs) must not
change by them: a service would take the model for a new version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from photovision.core.errors import DataError, UsageError
from photovision.core.files import open_regular, write_json
from photovision.core.seal import edited, write_sealed
from photovision.core.text import printable
from photovision.engine.card_gaps import CLINICAL, STATEMENTS
from photovision.engine.card_metrics import report_of
from photovision.engine.load import bundle_of
from photovision.engine.model_card import model_card
from photovision.runtime.bundle import Bundle

FILE = "card.json"
MAX_LENGTH = 2000
_MAX_BYTES = 1 << 16


def card(
    model: Any,
    *,
    owner: str | None = None,
    purpose: str | None = None,
    contact: str | None = None,
    population: str | None = None,
    device: str | None = None,
    prevalence: str | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, str]:
    """Record in a model's card what only its owner can say; without such texts, what is recorded.

    Args:
        model: an opened model, its folder, or the name of a ready one.
        owner, purpose, contact: texts of at most 2,000 characters; "" removes one, None leaves it.
        population, device, prevalence: likewise, of a model for clinical studies, whose card gets a section for it.
        say: called where the card, README.md, was edited by hand and stays as it is.

    Returns:
        Name -> text of all that is recorded.

    Raises:
        ModelError: there is no model.
        UsageError: a text that is too long, or the folder cannot be written.
    """
    bundle = bundle_of(model, "card")
    given = {"owner": owner, "purpose": purpose, "contact": contact}
    given |= {"population": population, "device": device, "prevalence": prevalence}
    asked = all(text is None for text in given.values())
    recorded = asked or complete_card(bundle, given)
    if not recorded:
        say(f"the card {bundle.path / 'README.md'} was edited by hand and stays as it is; {FILE} beside it is new")
    return statements(bundle.path)


def complete_card(bundle: Bundle, given: Mapping[str, str | None]) -> bool:
    """Record texts of a model's owner, and write its card again; as `card`.

    Args:
        bundle: of the model.
        given: name of a statement -> text; None leaves what is recorded.

    Returns:
        Whether the card was written; one that was edited by hand stays as it is.
    """
    texts = {name: printable(" ".join(text.split())) for name, text in given.items() if text is not None}
    for name, text in texts.items():
        if len(text) > MAX_LENGTH:
            raise UsageError(f"'{name}' should have at most {MAX_LENGTH:,} characters, got {len(text):,}: shorten it")
    known = {**statements(bundle.path), **texts}
    write_json(bundle.path / FILE, {name: text for name, text in known.items() if text})
    return write_card(bundle)


def statements(folder: Path) -> dict[str, str]:
    """What the owner of the model in a folder states: name -> text; what is no such text is left out."""
    try:
        with open_regular(folder / FILE) as content:
            found = json.loads(content.read(_MAX_BYTES))
    except (OSError, ValueError, DataError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: found[name][:MAX_LENGTH] for name in (*STATEMENTS, *CLINICAL) if isinstance(found.get(name), str)}


def write_card(bundle: Bundle, proof: Mapping[str, Any] | None = None) -> bool:
    """Write the card of a finished model; False where it was edited by hand and stays.

    Args:
        bundle: of the model.
        proof: the report that the card tells of; None takes that of its last audit, else that of its training.
    """
    card = bundle.path / "README.md"
    if card.is_file() and edited(card):
        return False
    if proof is None:
        proof = report_of(bundle.path)
    write_sealed(card, model_card(bundle.info, proof, statements(bundle.path), bundle.path.resolve().name))
    return True
