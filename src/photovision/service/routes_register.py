"""The register of people over HTTP: POST /faces/enroll, /faces/forget, GET /faces/people, /faces/export, /faces/log.

Only for owners of a key made with `--admin`: without keys whoever reaches the service could enrol a stranger.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from photovision.faces.register import FaceStore
from photovision.service.faces import ServedFaces
from photovision.service.http_error import Refusal
from photovision.service.middleware import visit_of
from photovision.service.routes_common import as_json, errors
from photovision.service.routes_faces import read_faces
from photovision.service.routes_predict import picture_body
from photovision.service.state import Service

PersonName = Annotated[str, Query(max_length=200, description="Of the person, as enrolled.")]
Purpose = Annotated[str | None, Query(max_length=200, description="What the person is recognised for.")]
Basis = Annotated[str | None, Query(description="consent, contract or law.")]
Until = Annotated[str | None, Query(description="Last day, such as 2027-12-31.")]


def router(service: Service, served: ServedFaces) -> APIRouter:
    """The routes below /faces that change or tell the register."""

    def owner(request: Request) -> None:
        key = visit_of(request).key
        if service.guard is None or key is None or not key.admin:
            raise Refusal(
                403,
                "the register of people needs a key made with 'photovision keys add NAME --admin', and a service with"
                " --keys",
                "admin",
            )

    routes = APIRouter(prefix="/faces", tags=["faces"], dependencies=[Depends(owner)])
    _changes(routes, service, served)
    _answers(routes, served)
    return routes


def _changes(routes: APIRouter, service: Service, served: ServedFaces) -> None:
    body = {"requestBody": picture_body(service, many=True)}
    taken: dict[int | str, dict[str, Any]] = errors(400, 403, 408, 409, 413, 415, 422)

    @routes.post("/enroll", summary="Enrol a person who agreed", responses=taken, openapi_extra=body)
    async def enroll(
        request: Request, name: PersonName, purpose: Purpose = None, basis: Basis = None, until: Until = None
    ) -> Response:
        """The entry, why pictures were refused, and who can hardly be distinguished; no picture is kept."""
        pictures = await read_faces(request, service)

        def work(store: FaceStore) -> dict[str, Any]:
            return store.enroll(name, pictures, purpose=purpose, basis=basis, until=until).to_json()

        return as_json({"id": visit_of(request).id, **await served.run(work)})

    @routes.post("/forget", summary="Remove a person, and prove it", responses=errors(403, 409, 422))
    async def forget(request: Request, name: PersonName) -> Response:
        """What was searched for in which bytes of the store."""
        proof = await served.run(lambda store: store.forget(name))
        return as_json({"id": visit_of(request).id, **proof.to_json()})


def _answers(routes: APIRouter, served: ServedFaces) -> None:
    asked: dict[int | str, dict[str, Any]] = errors(403, 409, 422)

    @routes.get("/people", summary="Who is enrolled", responses=asked)
    async def people(request: Request) -> Response:
        """Name, purpose, basis, end and pseudonym of everybody; that it was asked for is logged."""
        found = await served.run(lambda store: [entry.to_json() for entry in store.people()])
        return as_json({"id": visit_of(request).id, "people": found})

    @routes.get("/export", summary="Everything that is known of a person", responses=asked)
    async def export(request: Request, name: PersonName) -> Response:
        """With templates, and the rows of the log about them."""
        return as_json({"id": visit_of(request).id, **await served.run(lambda store: store.export(name))})

    @routes.get("/log", summary="Every use of the store", responses=asked)
    async def log(request: Request) -> Response:
        """Its rows, after checking that nobody changed them; people are named by pseudonyms."""
        rows = await served.run(lambda store: [row.to_json() for row in store.log()])
        return as_json({"id": visit_of(request).id, "rows": rows})
