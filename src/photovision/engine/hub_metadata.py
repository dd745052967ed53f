"""The Hub's header: the YAML at the top of a model card that the Hugging Face Hub reads."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from photovision.core.glossary import heading
from photovision.core.markdown import clean
from photovision.engine.card_text import card_text_of

LICENCES = frozenset(
    {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "unlicense", "cc-by-4.0", "cc-by-sa-4.0"}
    | {"cc-by-nc-4.0", "cc-by-nc-sa-4.0", "agpl-3.0", "gpl-3.0", "lgpl-3.0", "mpl-2.0", "openrail"}
)
"""Licences that the Hub knows by these names; any other is "other" there, with a name of its own."""


def header(info: Mapping[str, Any]) -> list[str]:
    """Lines of YAML between "---", from the contents of bundle.json.

    Every value is written as JSON, which is YAML too, so that no name from outside can add a key. Nothing is stated of
    data sets, for the Hub means those that it holds; a licence is named only where all parts share it.
    """
    backbone, words = info.get("backbone") or {}, card_text_of(info)
    values: dict[str, Any] = {
        "library_name": "timm" if words.timm else "photovision",
        **({"pipeline_tag": words.pipeline} if words.pipeline else {}),
        "tags": ["photovision", *filter(None, [words.pipeline]), "onnx", *words.tags],
        **_licence(info.get("licences") or ()),
        **_base(backbone),
    }
    results = _results(info)
    if results:
        values["metrics"] = sorted({entry["type"] for entry in results[0]["metrics"]})
        values["model-index"] = [{"name": f"photovision-{words.noun}", "results": results}]
    return ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()), "---", ""]


def _licence(parts: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    names = {str(part.get("licence", "unknown")).lower() for part in parts}
    if len(names) == 1 and names <= LICENCES:
        return {"license": names.pop()}
    return {"license": "other", "license_name": "see-licences-below"}


def _base(backbone: Mapping[str, Any]) -> dict[str, str]:
    """The model on the Hub that the weights come from, where they do and its full name is known."""
    name, origin = str(backbone.get("name", "")), str(backbone.get("origin", "")).partition(" at ")[0]
    if re.fullmatch(r"[\w.-]+/[\w.-]+", origin, re.ASCII):
        return {"base_model": origin}
    if backbone.get("weights") != "hub" or not re.fullmatch(r"\w+\.[\w.-]+", name, re.ASCII):
        return {}
    return {"base_model": f"timm/{name}"}


def _results(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    figures = info.get("metrics") or {}
    metrics = [
        {
            "type": kind,
            "name": figures[name].get("title") or heading(name)[0],
            "value": round(figures[name]["value"], 4),
            **({"args": args} if args else {}),
        }
        for name, (kind, args) in card_text_of(info).figures.items()
        if name in figures
    ]
    if not metrics:
        return []
    fingerprint = clean(str((info.get("data") or {}).get("fingerprint", "unknown")))
    dataset = {"type": "imagefolder", "name": f"pictures with fingerprint {fingerprint}", "split": "test"}
    return [{"task": {"type": card_text_of(info).pipeline or "other"}, "dataset": dataset, "metrics": metrics}]
