"""Answers about models: which there are, what they know, what was found out about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.app.agents.answer import ToolAnswer, fitted, quoted, shortened
from photovision.app.agents.desk import Desk
from photovision.app.agents.jobs import Report
from photovision.core.errors import PhotovisionError
from photovision.core.glossary import heading
from photovision.core.markdown import clean
from photovision.core.report import Metric

_FEW = 5
_LONGEST = 300  # letters of a sentence


def models(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """A row for each model; one that cannot be opened has its error."""
    rows = [_row(desk, name) for name in list(desk.places)[arguments["offset"] :]]
    return fitted({}, rows, arguments["offset"])


def describe(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """What a model knows, how well, and what its limits are."""
    name = _named(desk, arguments)
    bundle = desk.bundle(name)
    facts, proof = bundle.info, _proof(bundle)
    verdict = (proof.get("assessment") or {}) if proof else {}
    limits = [f"{verdict.get('label')}. {verdict.get('text')}"] if verdict else []
    limits += [str(one) for one in facts.get("warnings") or ()]
    if facts.get("doubt"):
        limits.append("Pictures unlike everything it has learned are called unknown.")
    else:
        limits.append("It does not notice pictures of something else: it gives one of its classes to everything.")
    return shortened(
        {
            "model": name,
            "task": bundle.row.text.noun,
            "predicts": bundle.row.text.predicts,
            "trained_on": sum((facts.get("data") or {}).get("counts", {}).get(part, 0) for part in ("train", "val")),
            "classes": [quoted(one) for one in bundle.classes],
            "figures": _figures(facts),
            "limits": [_sentence(one) for one in limits],
        }
    )


def audit_summary(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """What the last audit, or the test of the training, found."""
    name = _named(desk, arguments)
    proof = _proof(desk.bundle(name))
    if proof is None:
        return shortened(
            {"model": name, "kind": "none", "verdict": "Nothing is known of it: run 'photovision audit --card'."}
        )
    verdict = proof.get("assessment") or {}
    return shortened(
        {
            "model": name,
            "kind": str(proof.get("kind")),
            "verdict": _sentence(f"{verdict.get('label')}. {verdict.get('text')}" if verdict else "none"),
            "findings": [_sentence(one) for one in proof.get("summary") or ()],
            "warnings": [_sentence(one) for one in proof.get("warnings") or ()],
        }
    )


def job(desk: Desk, arguments: Mapping[str, Any], report: Report) -> ToolAnswer:
    """The answer of a job, or how far it is."""
    return desk.poll(arguments["id"], report)


def _named(desk: Desk, arguments: Mapping[str, Any]) -> str:
    return desk.named(arguments["model"]) if "model" in arguments else next(iter(desk.places))


def _row(desk: Desk, name: str) -> dict[str, Any]:
    try:
        bundle = desk.bundle(name)
    except PhotovisionError as error:
        return {"model": name, "error": _sentence(str(error))}
    classes = [quoted(one) for one in bundle.classes[:_FEW]]
    more = f" and {len(bundle.classes) - _FEW:,} more" if len(bundle.classes) > _FEW else ""
    row = {"model": name, "task": bundle.row.text.noun, "classes": ", ".join(classes) + more}
    return row | ({"figure": figures[0]} if (figures := _figures(bundle.info)) else {})


def _figures(facts: Mapping[str, Any]) -> list[str]:
    """The figures of a bundle in words, the leading one first."""
    found = []
    for name, value in list((facts.get("metrics") or {}).items())[:12]:
        metric = Metric.from_json(value)
        found.append(f"{heading(name, metric)[0]}: {metric}")
    return found


def _proof(bundle: Any) -> Mapping[str, Any] | None:
    from photovision.engine.card_metrics import report_of

    return report_of(bundle.path)


def _sentence(text: str) -> str:
    """A sentence of a report, whose names are strangers': one line, not too long."""
    text = clean(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
