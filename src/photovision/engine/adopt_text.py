"""What reports, cards and messages say of an adopted model: above all, what is not known of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from photovision.core.phrases import count, spoken
from photovision.core.report import Report, Table
from photovision.core.system import provenance
from photovision.core.task import task as named_task
from photovision.engine.foreign_layout import Probe
from photovision.models.preparation import ASPECTS

if TYPE_CHECKING:
    from photovision.engine.recognise_layout import Meaning

TRAINING_UNKNOWN = (
    "The training pictures of this adopted model are unknown: any picture may have been one, and figures on such"
    " flatter it."
)
NO_SIMILARITY = (
    "How accuracy falls with similarity to the training pictures is not known: the model was adopted, and its training"
    " pictures are unknown."
)
NEEDS_PICTURES = (
    "nothing states how {name} wants its pictures prepared, and without pictures it cannot be found: give labelled"
    " pictures with --data, or state it with --channels and --mean and --std (or --range)"
)
_TITLES = {
    "channels": "order of the colours",
    "normalisation": "scale of the values",
    "view": "part of the picture",
    "size": "size",
    "interpolation": "filter",
}
_ROWS = 12


def facts(meaning: Meaning) -> dict[str, Any]:
    """What bundle.json holds under "adoption"."""
    found = meaning.found
    return {
        "name": meaning.graph.name,
        "layout": meaning.layout.name,
        "about": meaning.layout.about,
        "channels": meaning.preparation.channels,
        "preparation": str(meaning.preparation),
        "stated": found is None or found.best.stated,
        "pictures": 0 if found is None else len(found.best.evaluation.samples),
        "calibrated": False,
        **{name: value for name, value in meaning.graph.facts.items() if isinstance(value, str)},
    }


def unknowns(info: Mapping[str, Any]) -> list[str]:
    """What is not known of the adopted model that bundle.json describes, as sentences; none for one that we trained."""
    adoption = info.get("adoption")
    if not isinstance(adoption, Mapping):
        return []
    lines = [TRAINING_UNKNOWN]
    if not adoption.get("pictures"):
        lines.append(
            "How it wants its pictures prepared was stated, not checked on labelled pictures: if it is wrong, every"
            " prediction suffers in silence."
        )
    if not adoption.get("calibrated"):
        lacks = "no prediction sets, no novelty detection" if named_task(info["task"]).min_classes > 1 else ""
        lacks = f": its confidence is as the network gives it; it has {lacks}" if lacks else ""
        lines.append(f"It was adopted without labelled pictures, so it is not calibrated{lacks}.")
    if any(one.get("licence") == "unknown" for one in info.get("licences") or ()):
        lines.append("Its licence is unknown: ask its makers before you use it for more than trying.")
    return lines


def title(info: Mapping[str, Any]) -> str:
    """Of the report."""
    return f"{info['adoption']['name']}, an adopted {named_task(info['task']).text.noun}"


def headline(info: Mapping[str, Any], proof: Report) -> tuple[str, ...]:
    """The leading figure, and that the training pictures are unknown, in one sentence."""
    row = named_task(info["task"])
    lead = row.leading(proof.metrics)
    if lead is None:
        return (TRAINING_UNKNOWN,)
    metric = proof.metrics[lead]
    return (
        f"{row.lead[lead].capitalize()} {spoken(metric)} on {count(metric.n or 0, 'picture')} that chose nothing here."
        " Its training pictures are unknown: where these are among them, the figure flatters it.",
    )


def on_preparation(meaning: Meaning) -> tuple[str, ...]:
    """How the preparation was found, by how much it is better than others, and what speaks against it."""
    found = meaning.found
    if found is None:
        return ()
    n = len(found.best.evaluation.samples)
    lines = [f"Its pictures are prepared so: {meaning.preparation}. {_why(meaning, n)}"]
    parts = []
    for aspect in ("channels", "normalisation", "view", "size"):
        rival = found.rivals.get(aspect)
        if rival is None:
            continue
        if found.best.alike(rival):
            parts.append(f"{_TITLES[aspect]}: {_value(rival, aspect)} serves equally well")
        elif found.best.margin(rival).value < 0:
            better = f"{rival.margin(found.best)} better, which may be chance"
            parts.append(f"{_TITLES[aspect]}: {_value(rival, aspect)} was {better}")
        else:
            also = found.best.decided_by(rival)
            also = f", and by its {also} beyond chance" if also else ""
            parts.append(f"{_TITLES[aspect]}: {found.best.margin(rival)} better than {_value(rival, aspect)}{also}")
    return (*lines, *([f"By the {_lead(meaning)}, {'; '.join(parts)}."] if parts else []))


def _why(meaning: Meaning, n: int) -> str:
    found = meaning.found
    assert found is not None
    if found.best.stated:
        return f"Its origin states that, and no other of {len(found.tried)} was better on {count(n, 'picture')}."
    if meaning.origin:
        return f"Its origin states something else, which was worse on {count(n, 'picture')}."
    return f"No other of {len(found.tried)} was better beyond chance on {count(n, 'picture')}."


def doubts(meaning: Meaning) -> list[str]:
    """Warnings about what was found."""
    found, lines = meaning.found, []
    if found is None:
        return []
    if meaning.origin and not found.best.stated:
        stated = next((one for one in found.tried if one.stated), None)
        if stated is not None:
            lines.append(
                f"The origin of the model states another preparation ({stated.preparation}), with which it is"
                f" {found.best.margin(stated)} worse here: check which version of it this is."
            )
    if meaning.layout.check is not None:
        lines += [line for line in [meaning.layout.check(found.best.evaluation)] if line]
    return lines


def tables(meaning: Meaning) -> list[Table]:
    """The candidates that were tried."""
    found = meaning.found
    if found is None:
        return []
    rows = []
    for one in found.tried[:_ROWS]:
        margin = None if one is found.best else found.best.margin(one)
        rows.append((str(one.preparation), one.lead, margin))
    note = "All on the same pictures, which do not judge the model. Differences are taken picture by picture."
    return [Table("Preparations that were tried", ("preparation", _lead(meaning), "worse by"), tuple(rows), note)]


def undecided(meaning: Meaning) -> str:
    """The message where the pictures cannot decide what matters."""
    found = meaning.found
    assert found is not None
    best, n = found.best, len(found.best.evaluation.samples)
    parts = []
    for aspect in found.undecided:
        rival = found.rivals[aspect]
        parts.append(
            f"{_TITLES[aspect]}: {_value(best, aspect)} ({best.lead.value:.1%}) or {_value(rival, aspect)}"
            f" ({rival.lead.value:.1%}); state it with {ASPECTS[aspect]}"
        )
    return (
        f"{count(n, 'picture')} cannot tell how {meaning.graph.name} wants its pictures prepared, {'; '.join(parts)};"
        " or give more labelled pictures"
    )


def unmeasured(info: Mapping[str, Any]) -> Report:
    """The report of a model that was adopted without pictures."""
    adoption = info["adoption"]
    return Report(
        kind="adopt",
        title=title(info),
        summary=(
            f"It was adopted without labelled pictures: how good it is was not measured. {TRAINING_UNKNOWN}",
            f"Its pictures are prepared so: {adoption['preparation']}.",
        ),
        warnings=unknowns(info)[1:],
        provenance=provenance(),
        data={"task": info["task"]},
    )


def unrecognised(probe: Probe) -> str:
    """The message for outputs of no kind that is known."""
    shapes = ", ".join(f"(N, {', '.join(map(str, probe.shape(name)))})" for name in probe.graph.outputs[:6])
    return (
        f"{probe.graph.name} gives {shapes} for N pictures, which fits no layout that is known for"
        f" {count(len(probe.classes), 'class', 'classes')}: scores (N, C), boxes of YOLO, DETR or torchvision, maps"
        " (N, C, H, W); check the classes, or export the model with one of these outputs"
    )


def _lead(meaning: Meaning) -> str:
    found = meaning.found
    assert found is not None
    name = meaning.row.leading(found.best.evaluation.metrics())
    return meaning.row.lead[name] if name is not None else "leading figure"


def _value(one: Any, aspect: str) -> str:
    preparation = one.preparation
    if aspect == "channels":
        return str(preparation.channels).upper()
    if aspect == "normalisation":
        return str(preparation.normalisation)
    if aspect == "size":
        return " x ".join(map(str, preparation.preprocess.size))
    return str(preparation.view)
