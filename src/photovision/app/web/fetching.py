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
from photovision.core.errors import UsageError

USES = {
    "yolov4-tiny": "Finds 80 everyday things in pictures and videos, quickly.",
    "mobilesam": "Cuts out what is clicked in a picture.",
}
"""What the models are for that come as Python packages; other ready detectors find the same 80 things."""
_DETECTS = "Finds 80 everyday things; more accurate and slower, best with a GPU."


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
        known = [one["name"] for one in offered()]
        if wish.name not in known:
            raise UsageError(f"the page fetches {', '.join(known)}, not '{wish.name}'")
        return jobs.start("weights", f"the download of {wish.name}", ["weights", "get", wish.name], {}).status()

    return router


def offered() -> Iterator[dict[str, Any]]:
    """What `every` lists: the models that are ready to use once their weights are here, small ones first."""
    from photovision.models.checkpoints import CHECKPOINTS
    from photovision.models.pretrained import SIZES
    from photovision.models.weights_table import rows

    for row in rows():
        if row.name not in USES and row.name not in CHECKPOINTS:
            continue
        score = "" if row.score is None else f"{row.metric} {row.score:.1f}% on COCO ({row.source})"
        yield {
            "name": row.name,
            "use": USES.get(row.name, _DETECTS),
            "megabytes": SIZES.get(row.name, round(row.megabytes)),
            "licence": f"{row.licence} ({row.licence_note})" if row.licence_note else row.licence,
            "origin": row.origin,
            "source": "the Hugging Face Hub" if row.name in CHECKPOINTS else "the Python package index",
            "score": score,
            "featured": row.name in USES,
            "here": row.available,
        }
