"""Classes by their names alone on the local page: a model of names is written by weights that read text."""

from __future__ import annotations

import re

from fastapi import APIRouter
from pydantic import BaseModel, Field

from photovision.app.web.fetching import offered
from photovision.app.web.workspace import State
from photovision.core.errors import UsageError
from photovision.core.task import tasks

_LONGEST = 40  # letters of the folder's name


class NamedClasses(BaseModel, extra="forbid"):
    """The names of the classes, and the weights that read them."""

    weights: str
    names: list[str] = Field(min_length=1, max_length=1000)


def routes(state: State) -> APIRouter:
    """The address of this form."""
    router = APIRouter(prefix="/api/recognise")

    @router.post("/named")
    def named(wish: NamedClasses) -> dict[str, str]:
        """Write a model of class names into the folder of the page; takes the time of an export."""
        return {"model": write_named(state, wish)}

    return router


def write_named(state: State, wish: NamedClasses) -> str:
    """Write the model and give its name; raises UsageError where the weights are not here, or the names are wrong."""
    here = [one["name"] for one in offered() if one["text"] and one["here"]]
    if wish.weights not in here:
        raise UsageError(f"'{wish.weights}' are no weights here that read text, only {', '.join(here) or 'none'}")
    name = free_name(state, wish.names)
    zero_shot = next(row for row in tasks() if row.has("zero_shot")).part("zero_shot")
    zero_shot(wish.weights, wish.names, output=state.inside(name))
    state.refresh()
    return name


def free_name(state: State, classes: list[str]) -> str:
    """A name of a folder that is not there yet: "cat-dog-by-name"."""
    words = re.sub(r"[^a-z0-9]+", "-", " ".join(classes).lower())[:_LONGEST].strip("-") or "classes"
    base, number = f"{words}-by-name", 1
    while state.inside(name := base if number == 1 else f"{base}-{number}").exists():
        number += 1
    return name
