"""Weights on the local page: what is here or can be fetched, how large, under which licence, and a button that fetches.

Some are models that are ready to use, others are networks that a training can start from, and a few read text, too.
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
from photovision.core.task import tasks

USES = {
    "imagenet": "Names everyday things, 1,000 classes.",
    "yolov4-tiny": "Finds 80 everyday things in pictures and videos, quickly.",
    "mobilesam": "Cuts out what is clicked in a picture.",
}
"""What the ready models are for that come as Python packages; other ready detectors find the same 80 things."""
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
    """What `every` lists.

    "ready" are models that can be used once their weights are here, "featured" the small ones of them; "learns" names
    the tasks whose training can start from the weights, and "text" those that read text as well.
    """
    from photovision.models.checkpoints import CHECKPOINTS
    from photovision.models.pretrained import SIZES
    from photovision.models.weights_table import rows

    for row in rows():
        learns = [task.name for task in tasks() if row.suits_task(task)]
        whole = row.name in CHECKPOINTS
        on = "COCO" if row.metric.startswith("mAP") else "ImageNet"
        packed = not (whole or row.origin.startswith("https://"))
        yield {
            "name": row.name,
            "use": USES.get(row.name, _DETECTS if whole else row.suits),
            "megabytes": SIZES.get(row.name, round(row.megabytes)),
            "parameters": row.parameters,
            "licence": f"{row.licence} ({row.licence_note})" if row.licence_note else row.licence,
            "origin": row.origin,
            "source": "the Python package index" if packed else "the Hugging Face Hub",
            "score": "" if row.score is None else f"{row.metric} {row.score:.1f}% on {on} ({row.source})",
            "ready": row.name in USES or whole,
            "featured": row.name in USES,
            "learns": learns,
            "text": row.text,
            "here": row.available,
        }
