"""Estimates on the local page: what accuracy to expect of a model on a folder of images without labels."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel

from photovision.app.web.jobs import Job, Jobs
from photovision.app.web.workspace import State, picture_folders
from photovision.core.errors import DataError, PhotovisionError
from photovision.core.system import cache_folder

REPORT = "made:"
"""What the names of such reports begin with."""
LONGEST = 200
"""Characters of the name of a folder for a report."""


class EstimateRequest(BaseModel, extra="forbid"):
    """Of which model, on which images."""

    model: str
    pictures: str


def add_routes(router: APIRouter, state: State, jobs: Jobs) -> None:
    """Add the addresses of estimates to those of the other jobs."""

    @router.get("/estimate")
    def offered() -> dict[str, list[str]]:
        """Which models can estimate, and the folders of images here."""
        return choices(state)

    @router.post("/estimate")
    def estimate(wish: EstimateRequest) -> dict[str, Any]:
        """Start an estimate; its report is listed with the others."""
        return start(state, jobs, wish).status()


def choices(state: State) -> dict[str, list[str]]:
    """The models that can estimate, and the folders of images, by name."""
    able = [name for name, path in state.models.items() if _can_estimate(path)]
    return {"models": able, "pictures": list(picture_folders(state))}


def start(state: State, jobs: Jobs, wish: EstimateRequest) -> Job:
    """Start an estimate, whose report goes into the user's cache; raises UsageError where a job runs."""
    folders = picture_folders(state)
    if wish.pictures not in folders:
        raise DataError(f"there is no folder of images '{wish.pictures}' here: reload the page")
    name = f"{wish.model} on {wish.pictures}"
    output = reports_of(state) / quote(name, safe=" ")[:LONGEST]
    arguments = ["estimate", str(state.path_of(wish.model)), str(folders[wish.pictures]), "--output", str(output)]
    facts = {"model": wish.model, "pictures": wish.pictures, "report": f"{REPORT}{output.name}"}
    return jobs.start("estimate", f"the estimate of {name}", arguments, facts)


def reports_of(state: State) -> Path:
    """Where the reports that this page had made lie."""
    key = hashlib.sha256(str(state.folder).encode("utf-8", "replace")).hexdigest()[:16]
    return cache_folder().absolute() / "estimates" / key


def found_reports(state: State) -> dict[str, Path]:
    """Name -> folder of every report that this page had made."""
    try:
        folders = sorted(reports_of(state).iterdir())
    except OSError:
        return {}
    return {f"{REPORT}{folder.name}": folder for folder in folders}


def _can_estimate(path: Path) -> bool:
    from photovision.runtime.bundle import read_bundle
    from photovision.runtime.similarity import read_expected

    try:
        bundle = read_bundle(path)
        return bundle.row.has("drift") and read_expected(bundle.info) is not None
    except PhotovisionError:  # the views that show it say what is wrong with it
        return False
