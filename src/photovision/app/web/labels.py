"""Correcting labels on the local page: one decision a request, on the disk when it is answered.

Every request names the decision that the person saw. Where another one stands by then, from another tab or program,
nothing is written and the page gets what stands, so that nobody's work is lost unseen. Undoing is a decision, too.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from photovision.app.web.catalogue import Catalogue, Catalogues, decision_json
from photovision.core.errors import DataError, UsageError
from photovision.data.corrections import DECISIONS, LABEL
from photovision.data.dataset import Correction

EDITORS = "correct them in Label Studio or CVAT, whose files 'photovision convert' writes and reads"
"""Where boxes and masks are edited."""


class SeenLabel(BaseModel):
    """The decision that the page shows."""

    decision: str
    label: list[str] = []


class LabelChange(BaseModel):
    """What the person decided about the picture at position `i`, whose name must be `name`."""

    data: str
    i: int
    name: str
    decision: str
    label: list[str] = Field([], max_length=1000)
    instead_of: SeenLabel | None = None


def routes(catalogues: Catalogues) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/labels")

    @router.post("")
    def decide(change: LabelChange) -> dict[str, Any]:
        """Save a decision."""
        return save(catalogues.get(change.data), change)

    return router


def save(catalogue: Catalogue, change: LabelChange) -> dict[str, Any]:
    """Save a decision; `saved` tells whether it was, `decision` what stands now.

    Raises:
        DataError: no such picture there (any more).
        UsageError: no such decision or class, or the data have boxes or masks.
    """
    if catalogue.dataset.annotation_type in ("boxes", "masks"):
        raise UsageError(f"boxes and masks are not edited here, and {catalogue.name} has such: {EDITORS}")
    position = catalogue.at(change.i)
    name = catalogue.ids[position]
    if name != change.name:
        raise DataError(f"the picture at this place is {name} now, not {change.name}: reload the page")
    if change.decision not in DECISIONS:
        raise UsageError(f"a decision should be one of {', '.join(DECISIONS)}, got '{change.decision}'")
    unknown = set(change.label) - set(catalogue.dataset.classes)
    wrong = unknown or (change.decision == LABEL and not catalogue.dataset.multilabel and len(change.label) != 1)
    if wrong or (change.label and change.decision != LABEL):
        raise UsageError(f"a label should be one of the classes of {catalogue.name}, got {', '.join(change.label)}")
    wanted = Correction(name, catalogue.given(position), change.decision, tuple(change.label))
    saw = change.instead_of
    before = None if saw is None else Correction(name, wanted.was, saw.decision, tuple(saw.label))
    saved = catalogue.corrections.record(wanted, before)
    return {"saved": saved, "decision": decision_json(catalogue.decisions().get(position))}
