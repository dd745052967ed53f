"""The part of a model card for clinical studies: what the owner states, and a checklist filled from what was measured.

The items are after CLAIM (Tejani et al., Radiology: Artificial Intelligence 2024) and TRIPOD+AI (Collins et al., BMJ
2024). What is not known stands there as not recorded; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from photovision.core.markdown import facts, table
from photovision.engine.card_gaps import CLINICAL, NOT_RECORDED
from photovision.engine.card_metrics import Evidence

NO_DEVICE = (
    "This model is not a medical device and not for diagnosis: it has no approval, and a person decides on each case."
)
_HOSPITAL = "hospital"
"""The attribute that pictures with a clinical header have."""


def is_clinical(info: Mapping[str, Any], statements: Mapping[str, str]) -> bool:
    """Whether a model is for clinical studies: its owner says for whom, or its training pictures name a hospital."""
    attributes = (info.get("data") or {}).get("groups") or {}
    return _HOSPITAL in attributes or any(statements.get(name) for name in CLINICAL)


def clinical(info: Mapping[str, Any], evidence: Evidence, statements: Mapping[str, str]) -> list[str]:
    """Lines of the section; none for a model that is not clinical.

    Args:
        info: the contents of bundle.json.
        evidence: what was measured.
        statements: what the owner says.
    """
    if not is_clinical(info, statements):
        return []
    stated = {name.capitalize(): statements.get(name) or NOT_RECORDED for name in CLINICAL}
    return [NO_DEVICE, "", *facts(stated), *table(("item", "reported"), _items(info, evidence, statements))]


def _items(info: Mapping[str, Any], evidence: Evidence, statements: Mapping[str, str]) -> list[tuple[str, str]]:
    data, training = info.get("data") or {}, info.get("training") or {}
    counts, per_class = data.get("counts") or {}, data.get("train_per_class") or {}
    metrics = evidence.sources[0].metrics
    lead = next(iter(metrics.items()), None)
    notes = [str(note) for note in data.get("notes") or ()]
    measured = [
        ("Intended use and users", statements.get("purpose")),
        ("Source of the data", _listed(data, "source", "fingerprint")),
        ("Participants and setting", statements.get("population")),
        ("Apparatus", statements.get("device")),
        ("Classes and how many of each were learned from", ", ".join(f"{n} {k:,}" for n, k in per_class.items())),
        ("Sample size: training, validation, test", ", ".join(f"{n} {k:,}" for n, k in counts.items())),
        ("Partitions and their disjointness", notes[0] if notes else None),
        ("Excluded pictures", f"{data['quarantined']:,} could not be used" if "quarantined" in data else None),
        ("Model and starting weights", _listed(info.get("backbone") or {}, "name", "weights")),
        ("Seed of the training", str(training["seed"]) if "seed" in training else None),
        ("Performance with its interval", None if lead is None else f"{lead[0].replace('_', ' ')} {lead[1]}"),
        ("Calibration", str(metrics["ece"]) if "ece" in metrics else None),
        ("Subgroups", "measured, see below" if evidence.has("groups") else None),
        ("Robustness", "measured, see below" if evidence.has("conditions") else None),
        ("Comparison with readers", "measured, see below" if evidence.has("people") else None),
        ("External test", "measured" if info.get("recalibrated") or info.get("adapted") else None),
        ("Base rate for which it is meant", statements.get("prevalence")),
        ("Limitations", "; ".join(map(str, (info.get("warnings") or ())[:3]))),
    ]
    return [(item, text or NOT_RECORDED) for item, text in measured]


def _listed(values: Mapping[str, Any], *names: str) -> str:
    return ", ".join(f"{name} {values[name]}" for name in names if values.get(name))
