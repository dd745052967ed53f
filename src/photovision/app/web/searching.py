"""Searching on the local page: pictures of a folder that show the same as a picture, or something like it.

A picture is the body of a request, is searched for and forgotten. Pictures that were found are asked for by their place
in the answer, so that no path ever comes from the page.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections import Counter, OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from photovision.app.web.browse import Seen, picture
from photovision.app.web.indexes import Indexes, SourceRequest, indexes_of
from photovision.app.web.jobs import Job, jobs_of
from photovision.app.web.recognise import Content
from photovision.app.web.thumbnails import LARGE, SIDE, Thumbnails
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from photovision.retrieval.index import FoundPicture

MAX_RESULTS = 5000
"""Pictures that one search finds at most."""
KEPT = 8
"""Searches whose pictures can be looked at."""


class IndexRequest(SourceRequest):
    """Whether it should be measured, too, how often verdicts are wrong, which takes longer than to index pictures."""

    measure: bool = False


class Searches:
    """What the last searches found, by number.

    Args:
        indexes: of the page.
    """

    def __init__(self, indexes: Indexes) -> None:
        self._indexes = indexes
        self._kept: OrderedDict[int, tuple[Path, tuple[FoundPicture, ...]]] = OrderedDict()
        self._numbers = itertools.count(time.time_ns() // 1_000_000)  # see `BackgroundJobs`
        self._guard = threading.Lock()

    def find(self, source: str, content: bytes, part: str | None) -> dict[str, Any]:
        """Search for a picture, or for a part of it: "left,top,right,bottom" as shares of its sides.

        Raises:
            UsageError: there is no index yet, or the part is none.
            UnreadableImage: it is no picture.
        """
        began = time.perf_counter()
        with self._indexes.using(source) as opened:
            crop = None if part is None else _in_pixels(part, content)
            found = opened.search(content, top=MAX_RESULTS, crop=crop)
            folder = opened.folder
        there = tuple(one for one in found.results if os.path.isfile(one.file))
        with self._guard:
            number = next(self._numbers)
            self._kept[number] = folder, there
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return {
            "number": number,
            "results": [{**one.to_json(), "file": os.path.relpath(one.file, folder)} for one in there],
            "gone": len(found.results) - len(there),
            "verdicts": Counter(one.verdict for one in there),
            "milliseconds": round(1000 * (time.perf_counter() - began), 1),
        }

    def file(self, number: int, row: int) -> Path:
        """A picture that was found; raises DataError where the search is not known any more, or it left the folder."""
        with self._guard:
            known = self._kept.get(number)
        if known is None or not 0 <= row < len(known[1]):
            raise DataError("this search is not known any more: search again")
        return inside(Path(known[1][row].file), known[0])


def inside(file: Path, folder: Path) -> Path:
    """The file itself; raises DataError where it is a link that leads out of the folder."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise DataError(f"{file.name} is a link that leaves the folder of pictures: copy the file into it")
    return file


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/search")
    indexes = state.shared(indexes_of)
    searches = Searches(indexes)

    @router.get("/sources")
    def sources() -> dict[str, Any]:
        """What can be searched, and what the verdicts are called."""
        from photovision.retrieval.verdicts import IN_WORDS, VERDICTS

        places = [indexes.describe(place) for place in indexes.places().values()]
        return {"sources": places, "verdicts": {verdict: IN_WORDS[verdict] for verdict in VERDICTS}}

    @router.get("/rates")
    def rates(source: str) -> dict[str, Any]:
        """How often the verdicts of an index are missing or wrong, in words."""
        from photovision.retrieval.text import verdict_rows

        with indexes.using(source) as opened:
            return {"rows": verdict_rows(opened.store.fact("rates"), opened.store.fact("limits"))}

    @router.post("/index")
    def index(wish: IndexRequest) -> dict[str, Any]:
        """Index pictures, or look through them again, as a job."""
        return start(state, indexes, wish).status()

    @router.post("/find")
    def find(source: str, picture: Content, part: str | None = None) -> dict[str, Any]:
        """Search."""
        return searches.find(source, picture, part)

    _serve_found(router, searches)
    return router


def _serve_found(router: APIRouter, searches: Searches) -> None:
    """Addresses of the pictures that were found."""
    thumbnails = Thumbnails()

    @router.get("/thumbnail")
    def small(number: int, row: int, seen: Seen = None) -> Response:
        """A picture that was found, small."""
        return picture(thumbnails, searches.file(number, row), SIDE, seen)

    @router.get("/large")
    def large(number: int, row: int, seen: Seen = None) -> Response:
        """The same as JPEG that fills a screen."""
        return picture(thumbnails, searches.file(number, row), LARGE, seen)

    @router.get("/picture")
    def whole(number: int, row: int) -> FileResponse:
        """The same as its file is."""
        return FileResponse(searches.file(number, row), media_type="application/octet-stream")


def start(state: State, indexes: Indexes, wish: IndexRequest) -> Job:
    """Start to index pictures; raises UsageError where a job runs, or the index is of other pictures."""
    place = indexes.place_of(wish.source)
    if place.pictures is None:
        with indexes.opened(wish.source) as opened:  # one of the page's own pictures
            pictures = opened.folder
    else:
        pictures = place.pictures
    arguments = ["index", str(pictures), "--output", str(place.place)]
    arguments += [] if wish.measure else ["--check", "0"]
    return state.shared(jobs_of).start("index", f"the index of {wish.source}", arguments, {"source": wish.source})


def _in_pixels(part: str, content: bytes) -> tuple[float, ...]:
    """Shares of the sides of a picture in its pixels: left, top, right, bottom."""
    from photovision.core.image import read_header

    height, width = read_header(content).size
    try:
        left, top, right, bottom = (float(share) for share in part.split(","))
    except ValueError:
        raise UsageError(f"the part should be four shares, left,top,right,bottom, got {part[:80]!r}") from None
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise UsageError(f"the part should lie in the picture, with shares from 0 to 1, got {part[:80]!r}")
    return left * width, top * height, right * width, bottom * height
