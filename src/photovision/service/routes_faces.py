"""Faces: POST /faces/verify, /faces/identify and /faces/blur, where a service has a store of people."""

from __future__ import annotations

import io
from typing import Annotated, Any

from fastapi import APIRouter, Query
from PIL import Image as Pillow
from starlette.requests import Request
from starlette.responses import Response

from photovision.core.errors import UnreadableImage
from photovision.core.inputs import as_pixels
from photovision.engine.wire import Source
from photovision.faces.cover import covered
from photovision.faces.detect import MAYBE
from photovision.faces.identify import identify
from photovision.faces.register import FaceStore
from photovision.faces.thresholds import DEFAULT_FMR
from photovision.faces.verify import verify
from photovision.service.body import read_body
from photovision.service.faces import ServedFaces
from photovision.service.http_error import Refusal
from photovision.service.middleware import visit_of
from photovision.service.routes_common import as_json, check_room, errors, reason
from photovision.service.routes_predict import picture_body, read_pictures
from photovision.service.state import Service

Fmr = Annotated[float | None, Query(gt=0, le=0.1, description="False-match rate of one comparison.")]
Fpir = Annotated[float | None, Query(gt=0, le=0.1, description="Share of strangers who may get a name; default: 0.01.")]


def router(service: Service, served: ServedFaces) -> APIRouter:
    """The routes below /faces."""
    routes = APIRouter(prefix="/faces", tags=["faces"])
    many, one = ({"requestBody": picture_body(service, many=several)} for several in (True, False))
    answers: dict[int | str, dict[str, Any]] = errors(400, 408, 409, 413, 415, 422)

    @routes.post("/verify", summary="Do two pictures show one person?", responses=answers, openapi_extra=many)
    async def compare(request: Request, fmr: Fmr = None) -> Response:
        """same, different, unsure or no face, with score, threshold and where that comes from."""
        first, second = await read_faces(request, service, 2)
        rate = DEFAULT_FMR if fmr is None else fmr

        def work(store: FaceStore) -> dict[str, Any]:
            return verify(first, second, fmr=rate, recogniser=store.recogniser).to_json()

        return as_json({"id": visit_of(request).id, **await served.run(work)})

    @routes.post("/identify", summary="Which enrolled people are in a picture?", responses=answers, openapi_extra=one)
    async def find(request: Request, fmr: Fmr = None, fpir: Fpir = None) -> Response:
        """The faces, each as somebody enrolled, unsure or unknown; the store logs the use by pseudonyms."""
        (picture,) = await read_faces(request, service, 1)
        found = await served.run(lambda store: identify(store, picture, fmr=fmr, fpir=fpir))
        faces = [face.to_json() for face in found.faces]
        return as_json({"id": visit_of(request).id, "faces": faces, **found.facts})

    png = {**answers, 200: {"content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}}

    @routes.post("/blur", summary="A picture with every face covered", responses=png, openapi_extra=one)
    async def cover(request: Request) -> Response:
        """A PNG file without metadata; a face that is not found stays visible."""
        (picture,) = await read_faces(request, service, 1)
        return Response(await served.run(lambda store: _covered(store, picture)), media_type="image/png")

    return routes


async def read_faces(request: Request, service: Service, count: int | None = None) -> list[Source]:
    """The pictures of a request, decoded already where that is costly; raises Refusal where they are not `count`."""
    version = check_room(service, None)
    async with read_body(request, service.limits, service.budget) as body:
        form = await read_pictures(request, body, service)
        if count is not None and len(form.pictures) != count:
            raise Refusal(400, f"expected {count} pictures, got {len(form.pictures)}", "files")
        if form.fields:
            raise Refusal(400, f"give {next(iter(form.fields))[:64]!r} in the address, as ?name=value", "form")
        try:
            return [await version.batcher.opened(bytes(one.content)) for one in form.pictures]
        except UnreadableImage as error:
            raise Refusal(422, reason(error), "unreadable") from None


def _covered(store: FaceStore, picture: Source) -> bytes:
    image = as_pixels(picture)
    faces = store.recogniser.detector.find(image, least=MAYBE, tiles=True)
    store.note("blur", faces=len(faces), found=[])
    buffer = io.BytesIO()
    Pillow.fromarray(covered(image, [face.box for face in faces])).save(buffer, "PNG")
    return buffer.getvalue()
