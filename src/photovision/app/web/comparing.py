"""Comparing on the local page: two models on one data set, and the pictures that they call by different names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from photovision.app.web.background import BackgroundJob, BackgroundJobs
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, UsageError
from photovision.core.page_layers import as_url

if TYPE_CHECKING:
    from pathlib import Path


MAX_SHOWN = 2000
"""Pictures that are shown at most, those first where the models are surest of different things."""


class ComparisonRequest(BaseModel):
    """Which models to compare on which data."""

    a: str
    b: str
    data: str


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    jobs = BackgroundJobs("comparison")
    router = APIRouter(prefix="/api/compare")
    state.leaving.append(jobs.end)
    jobs.add_routes(router)

    @router.post("/start")
    def start(wanted: ComparisonRequest) -> dict[str, int]:
        """Start to compare."""
        if wanted.a == wanted.b:
            raise UsageError("choose two different models")
        a, b, data = state.path_of(wanted.a), state.path_of(wanted.b), state.data_of(wanted.data)
        return {"job": jobs.start(lambda job: compared(job, a, b, data))}

    @router.get("/picture")
    def picture(number: int, row: int) -> Response:
        """A picture of a comparison, small."""
        return _thumbnail(jobs.of(number), row)

    return router


def _thumbnail(job: BackgroundJob, row: int) -> Response:
    from photovision.core.thumbnail import thumbnail

    if not 0 <= row < len(job.kept):
        raise UsageError(f"this comparison has {len(job.kept)} pictures, got number {row}")
    small = thumbnail(job.kept[row], 320)
    if small is None:
        raise DataError(f"{job.kept[row].id} cannot be read any more")
    return Response(small, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})


def compared(job: BackgroundJob, a: Path, b: Path, data: Path) -> dict[str, Any]:
    """Compare two bundles on a data set: the report's JSON; `rows` of images on which the predictions differ, where the
    task lists them; `apart`, images with what both draw where they disagree most.

    Raises DataError or ModelError as `photovision compare` does.
    """
    from photovision.data.read import read_dataset
    from photovision.engine.compare import check_comparable, comparison_report, fair_part
    from photovision.engine.load import load

    models = load(a), load(b)  # of its own, so that the page's other views need not wait for them
    check_comparable(*models)
    part = fair_part(read_dataset(data), models, progress=job.progress("checking pictures"))
    row = models[0].bundle.row
    first, second = (
        row.part("evaluate")(model, part.dataset, progress=job.progress(f"model {name} answers"))
        for name, model in zip("AB", models, strict=True)
    )
    report = comparison_report(models, (first, second), part.dataset)
    rows = []
    if row.has("differing"):
        job.kept, rows = row.part("differing")(first, second, MAX_SHOWN)
    document = report.to_json()
    return {
        **{name: document.get(name) for name in ("title", "metrics", "tables", "warnings", "verdict")},
        "summary": [*document["summary"], part.note],
        "pictures": len(part.dataset),
        "rows": rows,
        "apart": [
            {"picture": as_url(content, "jpeg"), "told": said}
            for figure in report.figures
            for content, said in figure.pictures
        ],
    }
