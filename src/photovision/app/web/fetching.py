"""Weights on the local page: what can be fetched, how large and under which licence, and one button that fetches it.

Nothing is fetched before a person presses that button: it runs `photovision weights get NAME`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from photovision.app.web.jobs import jobs_of
from photovision.app.web.workspace import State
from photovision.core.errors import PhotovisionError, UsageError

USES = {
    "yolov4-tiny": "Finds 80 everyday things in pictures and videos.",
    "mobilesam": "Cuts out what is clicked in a picture.",
}
"""What the models are for that are ready to use once their weights are here."""


class Fetching(BaseModel, extra="forbid"):
    """Which weights."""

    name: str


def routes(state: State) -> APIRouter:
    """Addresses of what can be fetched."""
    router = APIRouter(prefix="/api/weights")
    jobs = state.shared(jobs_of)

    @router.get("/list")
    def every() -> dict[str, Any]:
        """The weights, each with its use, size and licence, and whether it is here."""
        return {"weights": list(offered())}

    @router.post("/get")
    def get(wish: Fetching) -> dict[str, Any]:
        """Fetch weights, as a job."""
        if wish.name not in USES:
            raise UsageError(f"the page fetches {', '.join(USES)}, not '{wish.name}'")
        return jobs.start("weights", f"the download of {wish.name}", ["weights", "get", wish.name], {}).status()

    return router


def offered() -> Iterator[dict[str, Any]]:
    """What `every` lists."""
    from photovision.models.pretrained import SIZES
    from photovision.models.weights import CUTTERS, DETECTORS, locate

    for name, use in USES.items():
        package = {**DETECTORS, **CUTTERS}[name]
        try:
            here = locate(name) is not None
        except PhotovisionError:  # what was altered is fetched again
            here = False
        yield {
            "name": name,
            "use": use,
            "megabytes": SIZES[name],
            "licence": package.licence,
            "origin": package.origin,
            "here": here,
        }
