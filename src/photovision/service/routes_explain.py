"""Explain: POST /explain, the places of a picture that the answer rests on; by explainers that need no torch."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from photovision.core.errors import MissingExtra, PhotovisionError, UnreadableImage
from photovision.engine.wire import Answer, Explained, MapRequest, Source, UnknownClass
from photovision.service.body import read_body
from photovision.service.http_error import Refusal
from photovision.service.middleware import visit_of
from photovision.service.models import Version, content_name
from photovision.service.options import served_tasks
from photovision.service.routes_common import answer, as_json, check_room, errors, reason
from photovision.service.routes_predict import ModelName, picture_body, read_pictures
from photovision.service.schemas import METHODS, AnyExplanation
from photovision.service.settings import Limits
from photovision.service.state import Service
from photovision.service.uploads import Form as Uploads

Method = Annotated[
    str,
    Query(
        description="Explainer; auto takes what suits the model. "
        + " ".join(
            f"{row.text.plural.capitalize()}: {', '.join(row.part('wire').methods)}."
            for row in served_tasks()
            if row.part("wire").methods
        ),
        pattern=f"^(auto|{'|'.join(METHODS)})$",
    ),
]
Label = Annotated[
    str | None, Query(max_length=256, description="Class to explain; default: the most probable answer, or answers.")
]
Form = Annotated[Literal["json", "png"], Query(alias="format", description="Numbers, or the map over the picture.")]


def router(service: Service) -> APIRouter:
    """The route /explain."""
    routes = APIRouter(tags=["plain"])
    said = {**errors(400, 403, 404, 408, 409, 413, 415, 422)}
    said[200] = {
        "model": AnyExplanation,
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    }

    @routes.post(
        "/explain",
        summary="Why is that the answer?",
        responses=said,
        openapi_extra={"requestBody": picture_body(service, many=False)},
    )
    async def explain(
        request: Request, model: ModelName = None, method: Method = "auto", label: Label = None, form: Form = "json"
    ) -> Response:
        """Where in a picture its answer comes from: heatmaps, which for boxes take many calls of the network.

        They are not tested here; `photovision explain` says whether they may be believed.
        """
        check_room(service, model)
        async with read_body(request, service.limits, service.budget) as body:
            content = _only_picture(await read_pictures(request, body, service))
            version, (outcome,) = await answer(service, request, [content], model)
            if isinstance(outcome, UnreadableImage):
                raise Refusal(422, reason(outcome), "unreadable")
            why = MapRequest(label, method, version.batcher.shared())
            source = await _opened(version, content)
            found = await _queued(service, partial(_explained, version, source, outcome, why, service.limits))
            if form == "png":
                return Response(await _queued(service, found.png), media_type="image/png")
            text = await _queued(service, found.to_json)
        head = {"id": visit_of(request).id, "model": version.model, "version": version.name, "method": method}
        return as_json(head | text)

    return routes


def _only_picture(form: Uploads) -> bytes:
    if len(form.pictures) != 1:
        raise Refusal(400, f"expected one picture to explain, got {len(form.pictures)}", "files")
    if form.fields:
        raise Refusal(400, f"give {next(iter(form.fields))[:64]!r} in the address, as ?name=value", "form")
    return form.pictures[0].content


async def _opened(version: Version, content: bytes) -> Source:
    """The picture, decoded already where that is costly, so that the thread that explains is not held up."""
    try:
        return await version.batcher.opened(content)
    except UnreadableImage as error:
        raise Refusal(422, reason(error), "unreadable") from None


async def _queued(service: Service, work: Any) -> Any:
    """Run in the one thread that explains; raises Refusal (503) where too much waits for it."""
    if service.explaining >= service.limits.explanations:
        raise Refusal(503, "more explanations are waiting than the service takes: try again", "queue", retry_after=2)
    service.explaining += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(service.explainers, work)
    except UnreadableImage as error:
        raise Refusal(422, reason(error), "unreadable") from None
    except UnknownClass as error:
        raise Refusal(404, str(error), "unknown") from None
    except PhotovisionError as error:
        raise Refusal(409, str(error)[:500], "explain") from None
    finally:
        service.explaining -= 1


def _explained(version: Version, source: Source, answer: Answer[Any], why: MapRequest, limits: Limits) -> Explained:
    # Explainers open the graph anew, which must be the one that answered.
    if content_name(version.wire.model.bundle.path) != version.name:
        raise Refusal(409, "this version's files were replaced, so that it cannot be explained any more", "replaced")
    wire = version.wire
    if why.method not in ("auto", *wire.methods):
        plural = wire.model.bundle.row.text.plural
        known = ", ".join(("auto", *wire.methods))
        raise Refusal(409, f"a service explains {plural} by {known}, not by {why.method}", "explain")
    try:
        return wire.explain(source, answer, why, limits)
    except ModuleNotFoundError as error:  # images for serving are lean
        raise MissingExtra(error.name or "scipy", "this explanation") from None
