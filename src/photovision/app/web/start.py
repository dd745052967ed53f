"""The start of the local page: what its folder holds, each with a picture, and pictures to try a model with."""

from __future__ import annotations

import shutil
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse
from pydantic import BaseModel

from photovision.app.web.browse import file_of
from photovision.app.web.catalogue import Catalogues
from photovision.app.web.discovery import Skipped
from photovision.app.web.samples import samples_of
from photovision.app.web.workspace import State
from photovision.core.errors import DataError
from photovision.core.files import explained

COVERS = 4
"""Pictures by which a data set is shown."""


class Opening(BaseModel, extra="forbid"):
    """What should be shown, too: the name of a link or of an archive in the folder."""

    name: str


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/start")
    catalogues = state.shared(Catalogues)
    samples = state.shared(samples_of)

    @router.get("/data")
    def data(name: str) -> dict[str, Any]:
        """How many pictures and classes a data set has, and where the pictures stand that show it."""
        return described(catalogues, name)

    @router.get("/samples")
    def offered(model: str) -> dict[str, Any]:
        """Pictures to try a model with, see `Samples.of`."""
        return samples.of(model)

    @router.get("/picture")
    def picture(data: str, i: int) -> FileResponse:
        """A picture of a data set as its file is."""
        file = file_of(catalogues.get(data), i)
        if not file.is_file():
            raise DataError(f"{file.name} is not a file (any more): reload the page")
        return FileResponse(file, media_type="application/octet-stream")

    @router.post("/open")
    def opening(wish: Opening) -> dict[str, Any]:
        """Show what a link leads to, or unpack an archive beside it."""
        unfold(state, wish.name)
        return {"opened": wish.name}

    return router


def described(catalogues: Catalogues, name: str) -> dict[str, Any]:
    """What the start shows of a data set."""
    catalogue = catalogues.get(name)
    count = len(catalogue)
    return {
        "pictures": count,
        "classes": len(catalogue.dataset.classes),
        "splits": {split: len(positions) for split, positions in catalogue.dataset.splits.items()},
        "version": catalogue.version,
        "left_out": len(catalogue.dataset.problems),
        "covers": [(2 * part + 1) * count // (2 * COVERS) for part in range(COVERS)] if count >= COVERS else [],
    }


def skipped_json(one: Skipped) -> dict[str, Any]:
    """Something that is not shown, for the page: "can" is what a button offers, or None."""
    can = {"link": "Show it", "archive": "Unpack it here"}.get(one.kind)
    return {"name": one.name, "kind": one.kind, "reason": one.reason, "can": can}


def unfold(state: State, name: str) -> None:
    """Follow a link, or unpack an archive into a new folder of its name.

    Raises:
        DataError: there is none of that name, or nothing of use in it.
        UsageError: a folder of that name is there already.
    """
    found = next((one for one in state.skipped if one.name == name), None)
    if found is None or found.kind != "archive" or found.path is None:
        state.follow(name)
        return
    from photovision.data.archives import unpacked

    folder = state.new_folder(name.split(".")[0] or "pictures")
    with explained(folder):
        shutil.copytree(unpacked(found.path), folder)
    state.refresh()
