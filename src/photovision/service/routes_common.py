"""Answering: what the routes share, from a request to a model and back to JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from photovision.core.errors import UnreadableImage
from photovision.engine.wire import Source, Way
from photovision.service.batching import Said
from photovision.service.middleware import visit_of
from photovision.service.models import Version
from photovision.service.options import parsed
from photovision.service.schemas import Error
from photovision.service.state import Service

NO_OPTIONS: Mapping[str, str] = {}
_WHY = {
    400: "The request makes no sense as it is",
    401: "No valid key",
    403: "Not allowed here",
    404: "No such model, version or class",
    408: "The request arrived too slowly",
    409: "Not possible with this version of the model",
    413: "More than the limits allow",
    415: "A type of content that is not taken",
    422: "A parameter is out of its range, or no picture can be read",
    429: "More pictures a second than allowed",
    503: "Too much to do, or not ready; try again after the seconds of Retry-After",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for its OpenAPI description; 401, 429 and 503 may always come."""
    return {status: {"model": Error, "description": _WHY[status]} for status in sorted({*statuses, 401, 429, 503})}


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(json.dumps(value), status, headers, "application/json")


def check_room(
    service: Service, model: str | None, version: str | None = None, options: Mapping[str, str] = NO_OPTIONS
) -> Version:
    """The version that will answer; raises Refusal (404, 422, 503) before the body is read, while that is cheap."""
    found = service.models.get(model, version)
    refusal = found.batcher.full()
    if refusal is not None:
        raise refusal
    if options:
        _way(found, options)
    return found


async def answer(
    service: Service,
    request: Request,
    pictures: Sequence[Source],
    model: str | None,
    version: str | None = None,
    options: Mapping[str, str] = NO_OPTIONS,
) -> tuple[Version, list[Said]]:
    """Answer pictures by the version that is current now, which may be newer than when the request arrived."""
    found = service.models.get(model, version)
    way = _way(found, options)
    visit = visit_of(request)
    visit.pictures, visit.model, visit.version = len(pictures), found.model, found.name
    if len(pictures) > 1 and (rates := service.rate_for(visit.key.rate if visit.key else None)):
        rates.charge(visit.caller, len(pictures) - 1)
    return found, await found.batcher.answer(visit.id, pictures, way)


def _way(version: Version, options: Mapping[str, str]) -> Way:
    wire = version.wire
    return wire.way(parsed(wire.model.bundle.row, options) if options else {})


def reason(error: UnreadableImage) -> str:
    """Why a picture could not be read, without its place."""
    return str(error).removeprefix("the picture: ")
