"""Comparing on the local page: two models on one data set, and the pictures that they call by different names."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel

from photovision.app.web.workspace import State
from photovision.core.errors import DataError, PhotovisionError, UsageError
from photovision.core.page_layers import as_url
from photovision.core.progress import ProgressCallback
from photovision.core.types import Sample

if TYPE_CHECKING:
    from pathlib import Path


MAX_SHOWN = 2000
"""Pictures that are shown at most, those first where the models are surest of different things."""


class ComparisonRequest(BaseModel):
    """Which models to compare on which data."""

    a: str
    b: str
    data: str


class Stopped(Exception):
    """The comparison was called off."""


@dataclass(eq=False)
class ComparisonJob:
    """One comparison, at work in a thread of its own.

    Attributes:
        done, total: how far it is, in pictures.
        what: what it is doing.
        result: what was found, once it is done; error: why it failed.
        samples: the pictures of the result's rows.
        stop: set to call it off.
    """

    done: int = 0
    total: int = 0
    what: str = "reading"
    result: dict[str, Any] | None = None
    error: str | None = None
    samples: list[Sample] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def progress(self, what: str) -> ProgressCallback:
        """A listener that notes how far a piece of work is, and ends it where it was called off."""

        def listen(done: int, total: int) -> None:
            if self.stop.is_set():
                raise Stopped
            self.what, self.done, self.total = what, done, total

        return listen


class ComparisonJobs:
    """Comparisons by number; the one at work and the one before it are known."""

    def __init__(self) -> None:
        self._kept: dict[int, ComparisonJob] = {}
        self._count = 0

    def start(self, a: Path, b: Path, data: Path) -> int:
        """Start one in a thread, and call off those that are still at work; gives its number."""
        for earlier in self._kept.values():
            earlier.stop.set()
        self._count += 1
        job = ComparisonJob()
        self._kept = {number: kept for number, kept in self._kept.items() if number == self._count - 1}
        self._kept[self._count] = job
        threading.Thread(target=_work, args=(job, a, b, data), name="compare").start()
        return self._count

    def of(self, number: int) -> ComparisonJob:
        """The comparison of that number; raises UsageError for one that is not known."""
        if number not in self._kept:
            raise UsageError("this comparison is not known any more: start it again")
        return self._kept[number]

    def end(self) -> None:
        """Call all off."""
        for job in self._kept.values():
            job.stop.set()


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    jobs = ComparisonJobs()
    router = APIRouter(prefix="/api/compare")
    state.leaving.append(jobs.end)

    @router.post("/start")
    def start(wanted: ComparisonRequest) -> dict[str, int]:
        """Start to compare."""
        if wanted.a == wanted.b:
            raise UsageError("choose two different models")
        return {"job": jobs.start(state.path_of(wanted.a), state.path_of(wanted.b), state.data_of(wanted.data))}

    @router.get("/job")
    def told(number: int) -> dict[str, Any]:
        """How far a comparison is, and its result once it is there."""
        job = jobs.of(number)
        if job.error is not None:
            raise DataError(job.error)
        return {"done": job.done, "total": job.total, "what": job.what, "result": job.result}

    @router.post("/stop")
    def stop(number: int) -> dict[str, bool]:
        """Call a comparison off."""
        jobs.of(number).stop.set()
        return {"stopped": True}

    @router.get("/picture")
    def picture(number: int, row: int) -> Response:
        """A picture of a comparison, small."""
        return _thumbnail(jobs.of(number), row)

    return router


def _thumbnail(job: ComparisonJob, row: int) -> Response:
    from photovision.core.thumbnail import thumbnail

    if not 0 <= row < len(job.samples):
        raise UsageError(f"this comparison has {len(job.samples)} pictures, got number {row}")
    small = thumbnail(job.samples[row], 320)
    if small is None:
        raise DataError(f"{job.samples[row].id} cannot be read any more")
    return Response(small, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})


def _work(job: ComparisonJob, a: Path, b: Path, data: Path) -> None:
    try:
        job.result = compared(job, a, b, data)
    except Stopped:
        job.error = "this comparison was called off"
    except PhotovisionError as error:
        job.error = str(error)
    except Exception as error:  # the page should say that something broke rather than wait for ever
        job.error = f"the comparison failed ({type(error).__name__}: {error})"
        raise


def compared(job: ComparisonJob, a: Path, b: Path, data: Path) -> dict[str, Any]:
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
        job.samples, rows = row.part("differing")(first, second, MAX_SHOWN)
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
