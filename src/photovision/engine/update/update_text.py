"""Reports of updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from photovision.core.phrases import count
from photovision.core.report import Assessment, Metric, Report, Table
from photovision.core.system import provenance
from photovision.engine.update.ledger import VersionEvent
from photovision.trust.promotion import Condition, Promotion

if TYPE_CHECKING:
    from photovision.engine.update.update import NewPictures

BETTER = "better"
_MEANING = {
    "new labels": "the labels of the new pictures seem right",
    BETTER: "the new version is better",
    "golden set": "the golden set does not lose",
    "new data": "the new data does not lose",
    "classes": "no class loses",
    "floor": "every class reaches its floor",
    "calibration": "confidence stays true",
}


@dataclass(frozen=True, eq=False)
class Outcome:
    """What became of an update.

    Attributes:
        version: the one in use before.
        new: the new pictures.
        labels: of the new pictures, examined first.
        promotion: None where the labels were refused.
    """

    version: str
    new: NewPictures
    labels: Condition
    promotion: Promotion | None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """All that were looked at."""
        return (self.labels, *(() if self.promotion is None else self.promotion.conditions))

    @property
    def promoted(self) -> bool:
        """Whether there is a new version."""
        return self.promotion is not None and self.promotion.granted


def report_of(outcome: Outcome, metrics: Mapping[str, Any] | None = None) -> Report:
    """The report of an update that was judged.

    Args:
        outcome: what became of it.
        metrics: figures of the new version, for its own bundle, before those of the update.
    """
    new, promotion = outcome.new, outcome.promotion
    failed = [one for one in outcome.conditions if not one.holds]
    learned = count(int((~new.held).sum()), "picture")
    rows = tuple((_meaning(one.name), "yes" if one.holds else "no", one.text) for one in outcome.conditions)
    own = {name: Metric.from_json(value) for name, value in (metrics or {}).items()}
    return Report(
        kind="update",
        title=f"Update with {count(len(new.dataset), 'new picture')}",
        assessment=_assessment(outcome, failed),
        summary=(
            f"{learned} to learn from, {count(int(new.held.sum()), 'picture')} held out to judge.",
            *_left_out(new),
        ),
        metrics={**own, **(promotion.metrics if promotion else {})},
        tables=[Table("Conditions of a promotion", ("condition", "holds", "figures"), rows)],
        warnings=_warnings(outcome),
        provenance={"data": {"fingerprint": new.dataset.fingerprint, "pictures": len(new.dataset)}, **provenance()},
        data={
            "promoted": outcome.promoted,
            "version": outcome.version,
            "previous": outcome.version,
            "reasons": [f"{one.name}: {one.text}" for one in failed],
            "pictures": len(new.dataset),
            "held_out": int(new.held.sum()),
            **({"p": promotion.p, "alpha": promotion.alpha} if promotion else {}),
        },
    )


def nothing_new(version: str, new: NewPictures, least: int = 0) -> Report:
    """The report where there are no new pictures, or fewer than are needed."""
    if least:
        found = count(len(new.dataset), "new picture")
        text = f"{found} so far, at least {least} are needed: nothing was learned or judged"
    else:
        text = "There are no new pictures: nothing was learned or judged"
    return Report(
        kind="update",
        title="Update: nothing to learn yet",
        assessment=Assessment("good", "Unchanged", f"{text}."),
        summary=_left_out(new),
        data={"promoted": False, "version": version, "previous": version, "reasons": [], "pictures": len(new.dataset)},
    )


def again(event: VersionEvent) -> Report:
    """The report of an update that was refused before, with the same pictures."""
    found = dict(event.report)
    stated = found.get("assessment") or {}
    return Report(
        kind="update",
        title=str(found.get("title", "Update")),
        assessment=Assessment("bad", str(stated.get("label", "Refused")), str(stated.get("text", ""))),
        summary=(f"The same pictures were judged on {event.time} already.", *found.get("summary", ())),
        metrics={name: Metric.from_json(value) for name, value in found.get("metrics", {}).items()},
        tables=[
            Table(str(one["title"]), tuple(one["columns"]), tuple(tuple(row) for row in one["rows"]))
            for one in found.get("tables", ())
        ],
        provenance=found.get("provenance", {}),
        data={name: found[name] for name in _DATA if name in found},
    )


_DATA = ("promoted", "version", "previous", "reasons", "pictures", "held_out", "p", "alpha")


def _assessment(outcome: Outcome, failed: list[Condition]) -> Assessment:
    if not failed:
        return Assessment("good", "Promoted", "The new version is better, and nothing that counts was lost.")
    if outcome.promotion is not None and [one.name for one in failed] == [BETTER]:
        text = f"No gain is shown yet: {failed[0].text}. The pictures are judged again with those that come."
        return Assessment("care", "Not promoted", text)
    reasons = "; ".join(f"{_meaning(one.name)}: no, {one.text}" for one in failed)
    return Assessment("bad", "Refused", f"The old version stays in use. {reasons[0].upper()}{reasons[1:]}.")


def _meaning(name: str) -> str:
    return _MEANING.get(name, f"no group loses ({name.removeprefix('groups ')})")


def _left_out(new: NewPictures) -> tuple[str, ...]:
    found = []
    if new.known:
        found.append(f"{count(new.known, 'picture')} that a version knows already left out.")
    if new.golden:
        found.append(f"{count(new.golden, 'picture')} like those of the golden set left out.")
    return tuple(found)


def _warnings(outcome: Outcome) -> tuple[str, ...]:
    few = len(outcome.new.held) and not outcome.new.held.any()
    return ("No new picture could be held out: what they bring is judged on the golden set alone.",) if few else ()
