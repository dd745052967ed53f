"""Gaps of a model card: what was not measured, and what only the owner can say, each with the command that adds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.engine.card_metrics import Evidence
from photovision.engine.card_text import card_text_of

NOT_RECORDED = "Not recorded."
STATEMENTS: Mapping[str, str] = {
    "owner": "the person or organisation that is responsible for the model",
    "purpose": "for whom, for which decisions, and who checks them",
    "contact": "where questions and complaints go",
}
"""What only the owner of a model can say: name -> what it says."""
CLINICAL: Mapping[str, str] = {
    "population": "the patients that it is meant for, and where they come from",
    "device": "the apparatus whose pictures it is meant for",
    "prevalence": "how many of the patients have what it looks for",
}
"""What the owner of a model for clinical studies says besides."""


def gaps(info: Mapping[str, Any], evidence: Evidence, statements: Mapping[str, str]) -> list[str]:
    """What was not measured, and what the owner has not stated, with the commands that add it.

    Args:
        info: the contents of bundle.json.
        evidence: what was measured.
        statements: what the owner states, by the names of `STATEMENTS`.
    """
    measured = card_text_of(info).checks
    topics = {
        "conditions": ("conditions in which it fails", "audit MODEL DATA --card"),
        "explanations": ("why it decides", "explain MODEL PICTURES"),
        "shortcuts": ("shortcuts", "audit MODEL DATA --card" if "shortcuts" in measured else ""),
        "people": ("how people do on the same pictures", "audit MODEL TABLE --card" if "people" in measured else ""),
        "labels": ("labels and look-alikes", "audit MODEL DATA --card"),
    }
    commands: dict[str, list[str]] = {}
    for topic, (words, command) in topics.items():
        if not evidence.has(topic):
            commands.setdefault(command, []).append(words)
    lines = [f"Not measured: {', '.join(words)}{_by(command)}." for command, words in commands.items()]
    unsaid = [name for name in STATEMENTS if not statements.get(name)]
    if unsaid:
        flags = " ".join(f"--{name} TEXT" for name in unsaid)
        lines.append(f"{NOT_RECORDED[:-1]}: {', '.join(unsaid)} (`photovision card MODEL {flags}`).")
    return [*(f"- {sentence}" for sentence in lines), ""] if lines else []  # no word of it is a stranger's


def _by(command: str) -> str:
    return f" (`photovision {command}`)" if command else ""
