"""What can be done with a model on the local page: evaluate, audit, explain, shrink, export, as the same commands.

Reports go into the user's cache and are listed with the others; new models and exported files into new folders of the
page. Nothing that is there is replaced.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel, Field

from photovision.app.web.browse import file_of
from photovision.app.web.catalogue import Catalogues
from photovision.app.web.estimating import LONGEST, REPORT, reports_of
from photovision.app.web.jobs import Job, jobs_of
from photovision.app.web.recognise import facts
from photovision.app.web.samples import samples_of
from photovision.app.web.training import output_of
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, UsageError

Verb = Literal["evaluate", "audit", "explain", "optimize", "export"]
PARTS = {"evaluate": "evaluate", "audit": "checks", "explain": "explain", "optimize": "refit", "export": "metadata"}
"""Verb -> the part that a task has where it has the verb."""
EXPLAINED = 6
"""Pictures of one explanation."""


class Act(BaseModel, extra="forbid"):
    """What should be done with which model.

    `data` names a data set, for all but `export`; `to` a target of `export`; `name` the new folder of `optimize` and
    `export`, below that of the page.
    """

    model: str
    verb: Verb
    data: str | None = None
    to: str | None = None
    name: str | None = Field(None, max_length=100)
    minutes: float = Field(3.0, gt=0, le=60 * 24)


class CardEntries(BaseModel, extra="forbid"):
    """What the owner of a model says in its card; "" removes an entry, None leaves it."""

    model: str
    owner: str | None = None
    purpose: str | None = None
    contact: str | None = None


def routes(state: State) -> APIRouter:
    """Addresses of what is done with a model."""
    router = APIRouter(prefix="/api/acting")

    @router.get("/choices")
    def choices(model: str) -> dict[str, Any]:
        """The model, what can be done with it, on which data, and which targets there are."""
        return offered(state, model)

    @router.post("/start")
    def begin(wish: Act) -> dict[str, Any]:
        """Do it, as a job."""
        return start(state, wish).status()

    @router.post("/card")
    def card(entries: CardEntries) -> dict[str, Any]:
        """Complete the card of a model; "written" is false where it was edited by hand and stays."""
        from photovision.engine.complete_card import complete_card, statements
        from photovision.runtime.bundle import read_bundle

        bundle = read_bundle(state.path_of(entries.model))
        if entries.model in state.ready:
            raise UsageError(f"{entries.model} is not yours to complete: its card names who made it")
        given = {"owner": entries.owner, "purpose": entries.purpose, "contact": entries.contact}
        written = complete_card(bundle, given)
        return {"written": written, "card": statements(bundle.path)}

    return router


def offered(state: State, model: str) -> dict[str, Any]:
    """What the page offers for a model."""
    from photovision.engine.card_gaps import STATEMENTS
    from photovision.engine.complete_card import statements
    from photovision.engine.export_targets import TARGETS
    from photovision.runtime.bundle import read_bundle

    bundle = read_bundle(state.path_of(model))
    kind = bundle.row.annotation_type
    data = [name for name in state.data if state.annotation_type(name) == kind]
    return {
        "facts": facts(state, model),
        "verbs": [verb for verb, part in PARTS.items() if bundle.row.has(part)],
        "data": data,
        "targets": list(TARGETS.names()),
        "writable": state.folder is not None,
        "card": statements(bundle.path),
        "entries": dict(STATEMENTS),
    }


def start(state: State, wish: Act) -> Job:
    """Start a command.

    Raises:
        UsageError: a job runs, the task lacks the verb, or a name cannot be used.
        DataError: no data set of that name, or no picture in it to explain.
    """
    from photovision.runtime.bundle import read_bundle

    path = state.path_of(wish.model)
    read_bundle(path).row.part(PARTS[wish.verb], wish.verb)
    arguments, facts = _MAKERS[wish.verb](state, wish)
    title = f"the {_NOUNS[wish.verb]} of {wish.model}"
    return state.shared(jobs_of).start(wish.verb, title, [wish.verb, str(path), *arguments], facts)


def _judged(state: State, wish: Act) -> tuple[list[str], dict[str, Any]]:
    output, facts = _report(state, wish)
    minutes = ["--minutes", str(wish.minutes)] if wish.verb == "audit" else []
    return [str(_data(state, wish)), "--output", str(output), *minutes], facts


def _explained(state: State, wish: Act) -> tuple[list[str], dict[str, Any]]:
    found = state.shared(samples_of).of(wish.model)
    if not found["pictures"]:
        raise DataError(
            f"none of the data sets here holds pictures of {wish.model}'s classes: explain one in Recognise"
        )
    catalogue = state.shared(Catalogues).get(found["data"])
    files = [str(file_of(catalogue, one["i"])) for one in found["pictures"][:EXPLAINED]]
    output, facts = _report(state, wish)
    return [*files, "--output", str(output)], facts


def _optimised(state: State, wish: Act) -> tuple[list[str], dict[str, Any]]:
    output, name = _folder(state, wish)
    return [str(_data(state, wish)), "--int8", "--output", str(output)], {"model": name}


def _exported(state: State, wish: Act) -> tuple[list[str], dict[str, Any]]:
    output, name = _folder(state, wish)
    if wish.to is None:
        raise UsageError("choose what the model is exported to")
    return [f"--to={wish.to}", "--output", str(output)], {"folder": name}


def _data(state: State, wish: Act) -> Path:
    if wish.data is None:
        raise UsageError("choose the pictures for this")
    return state.data_of(wish.data)


def _report(state: State, wish: Act) -> tuple[Path, dict[str, Any]]:
    on = f" on {wish.data}" if wish.data else ""
    output = reports_of(state) / quote(f"{_NOUNS[wish.verb]} of {wish.model}{on}", safe=" ")[:LONGEST]
    return output, {"model": wish.model, "data": wish.data, "report": f"{REPORT}{output.name}"}


def _folder(state: State, wish: Act) -> tuple[Path, str]:
    output = output_of(state, wish.name or "", replace=False)
    if output.exists():
        raise UsageError(f"there is a {wish.name} already: choose another name")
    return output, output.relative_to(state.inside("")).as_posix()


_MAKERS = {
    "evaluate": _judged,
    "audit": _judged,
    "explain": _explained,
    "optimize": _optimised,
    "export": _exported,
}
_NOUNS = {
    "evaluate": "evaluation",
    "audit": "audit",
    "explain": "explanation",
    "optimize": "8-bit version",
    "export": "export",
}
