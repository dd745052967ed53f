"""Browsing on the local page: a data set as a grid, its pictures opened, and their labels corrected.

Pictures are asked for by their position, so that no path ever comes from the page.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from photovision.app.web import labels
from photovision.app.web import predictions as shown
from photovision.app.web.catalogue import Catalogue, Catalogues, LabelFilter
from photovision.app.web.thumbnails import LARGE, SIDE, Thumbnails
from photovision.app.web.workspace import State
from photovision.core import page_layers
from photovision.core.errors import DataError, UsageError
from photovision.core.files import open_regular
from photovision.core.image import read_header
from photovision.core.regions import Detections, Regions
from photovision.data.read import root_of

PAGE = 500
"""Pictures that one answer lists at most."""
_NAMED = 12
_HEADER = 1 << 20  # a header lies in the first part of a file, also behind a large profile

Seen = Annotated[str | None, Header(alias="if-none-match")]


class BrowseRequest(BaseModel):
    """What the page asks for: a data set, filters as in `LabelFilter`, and which part of the result.

    `groups` is a JSON object, attribute -> value.
    """

    data: str
    split: str | None = None
    label: str | None = None
    kind: str | None = None
    text: str = Field("", max_length=500)
    groups: str = Field("{}", max_length=5000)
    session: str | None = Field(None, max_length=300)
    worst: bool = True
    as_of: int = 0
    start: int = Field(0, ge=0)
    count: int = Field(PAGE, ge=1, le=PAGE)


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/browse")
    catalogues = state.shared(Catalogues)
    router.include_router(labels.routes(catalogues))
    _show(router, catalogues)

    @router.get("/summary")
    def summary(data: str, anew: bool = False) -> dict[str, Any]:
        """What there is to see, and what the filters offer."""
        return catalogues.get(data, anew=anew).summary()

    @router.get("/pictures")
    def pictures(wish: Annotated[BrowseRequest, Query()], seen: Seen = None) -> Response:
        """One page of the grid."""
        return unless_seen(page(catalogues.get(wish.data), wish), seen)

    @router.get("/facts")
    def known(data: str, i: int) -> dict[str, Any]:
        """All that is known of one picture."""
        return facts(catalogues.get(data), i)

    @router.get("/answer")
    def answer(data: str, i: int, model: str) -> dict[str, Any]:
        """What a model says of a picture."""
        file = file_of(catalogues.get(data), i)
        with state.using(model) as opened:
            return shown.answer(opened, file)

    return router


def _show(router: APIRouter, catalogues: Catalogues) -> None:
    """Addresses of pictures."""
    thumbnails = Thumbnails()

    @router.get("/thumbnail")
    def small(data: str, i: int, drawn: bool = False, seen: Seen = None) -> Response:
        """A picture as small JPEG, with its boxes or masks drawn over it where that is wanted."""
        catalogue = catalogues.get(data)
        regions = regions_of(catalogue, i) if drawn else None
        return picture(thumbnails, file_of(catalogue, i), SIDE, seen, regions)

    @router.get("/large")
    def large(data: str, i: int, seen: Seen = None) -> Response:
        """A picture as JPEG that fills a screen."""
        return picture(thumbnails, file_of(catalogues.get(data), i), LARGE, seen)

    @router.get("/layer")
    def layer(data: str, i: int) -> Response:
        """The masks of a picture as the page lays them over it, see `photovision.core.page_layers`."""
        return layer_of(catalogues.get(data), i)


def chosen(asked: BrowseRequest) -> LabelFilter:
    """What was asked for, as the catalogue understands it; raises UsageError for what makes no sense."""
    try:
        groups = tuple(sorted((str(name), str(value)) for name, value in json.loads(asked.groups).items()))
    except (ValueError, AttributeError, RecursionError):
        raise UsageError("groups should be a JSON object of attributes and values") from None
    return LabelFilter(
        asked.split, asked.label, asked.kind, asked.text, groups, asked.session, asked.worst, asked.as_of
    )


def page(catalogue: Catalogue, asked: BrowseRequest) -> dict[str, Any]:
    """Rows `start` to `start + count` of what was asked for, and how many there are."""
    positions = catalogue.positions(chosen(asked))
    decisions, sessions = catalogue.decisions(), catalogue.sessions()
    rows = positions[asked.start : asked.start + asked.count].tolist()
    return {
        "total": len(positions),
        "start": asked.start,
        "version": catalogue.version,
        "rows": [catalogue.row(position, decisions, sessions) for position in rows],
    }


def facts(catalogue: Catalogue, i: int) -> dict[str, Any]:
    """A row with its size, format, groups and problems, each with the pictures that it is about."""
    position = catalogue.at(i)
    sample = catalogue.dataset.samples[position]
    found = []
    for mark in catalogue.examined.marks.get(position, ()):
        others = [catalogue.position[name] for name in mark.others if name in catalogue.position][:_NAMED]
        named = [{"i": other, "name": catalogue.ids[other], "label": list(catalogue.given(other))} for other in others]
        found.append({"kind": mark.kind, "text": mark.text, "others": named})
    return {
        **catalogue.row(position, catalogue.decisions(), catalogue.sessions()),
        **_file(file_of(catalogue, position)),
        "groups": dict(sample.groups),
        "found": found,
        **annotations_json(sample.annotations),
    }


def annotations_json(regions: Regions | None) -> dict[str, Any]:
    """What the data say is where in a picture: "boxes", None for data without, and whether they have "masks"."""
    if not isinstance(regions, Detections):
        return {"boxes": None, "masks": regions is not None}
    return {"boxes": page_layers.boxes(regions), "masks": regions.masks is not None}


def regions_of(catalogue: Catalogue, i: int) -> Regions | None:
    """What the data say is where in the picture at a position; raises DataError where there is no such position."""
    return catalogue.dataset.samples[catalogue.at(i)].annotations


def layer_of(catalogue: Catalogue, i: int) -> Response:
    """The masks of a picture, 204 where there are none."""
    file, regions = file_of(catalogue, i), regions_of(catalogue, i)
    known = _file(file)
    if regions is None or "height" not in known:
        return Response(status_code=204)
    content = page_layers.layer_of(regions, (known["height"], known["width"]))
    return Response(status_code=204) if content is None else Response(content, media_type="image/png")


def file_of(catalogue: Catalogue, i: int) -> Path:
    """The file of the picture at a position; raises DataError where there is no such position."""
    image = catalogue.dataset.samples[catalogue.at(i)].image
    assert isinstance(image, Path)  # data sets on a disk hold files
    if not image.resolve().is_relative_to(root_of(catalogue.source).resolve()):
        raise DataError(f"{catalogue.ids[i]} is a link that leaves the data set: copy the file into it")
    return image


def picture(
    thumbnails: Thumbnails, path: Path, side: int, seen: str | None, regions: Regions | None = None
) -> Response:
    """A picture as JPEG, 304 where the browser has it already, or 204 where the file cannot be read.

    A page of pictures is sound with a broken one among them, which browsers would call an error of the page at 4xx.
    """
    tag = f'"{thumbnails.tag(path, side, regions)}"'
    headers = {"etag": tag, "cache-control": "private, max-age=3600"}
    if seen == tag:
        return Response(status_code=304, headers=headers)
    content = thumbnails.get(path, side, regions)
    if content is None:
        return Response(status_code=204)
    return Response(content, media_type="image/jpeg", headers=headers)


def unless_seen(value: dict[str, Any], seen: str | None) -> Response:
    """JSON with an ETag, or 304 where the page has it already."""
    tag = f'"{hashlib.sha256(json.dumps(value).encode()).hexdigest()[:20]}"'
    if seen == tag:
        return Response(status_code=304, headers={"etag": tag})
    return JSONResponse(value, headers={"etag": tag})


def _file(path: Path) -> dict[str, Any]:
    """Size in bytes and pixels, and the format; as far as the file tells."""
    try:
        size = path.stat().st_size
        with open_regular(path) as file:
            whole = path.suffix.lower() in (".tif", ".tiff")  # whose header may lie at the end
            header = read_header(file.read(-1 if whole else _HEADER))
    except OSError as error:
        return {"error": f"cannot be opened ({error.strerror})"}
    except DataError as error:  # not a file, or not a picture
        return {"bytes": size, "error": str(error).removeprefix("the picture: ")}
    height, width = header.size
    return {
        "bytes": size,
        "height": height,
        "width": width,
        "format": header.format,
        "mode": header.mode,
        "rotated": header.rotated,
    }
