"""GET /v2/models/{model}/updates: what became of the updates of a served folder of versions; nothing is changed."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from photovision.engine.update.ledger import LEDGER_FILE
from photovision.service.http_error import Refusal
from photovision.service.routes_common import as_json, errors
from photovision.service.schemas import Updates
from photovision.service.state import Service

Name = Annotated[str, Path(max_length=64, description="The model's name.")]


def router(service: Service) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/v2", tags=["Updates"])

    @routes.get(
        "/models/{model}/updates", summary="What became of updates", response_model=Updates, responses=errors(404, 422)
    )
    async def updates(model: Name) -> Response:
        return as_json(await asyncio.to_thread(_updates, service, model))

    return routes


def _updates(service: Service, model: str) -> dict[str, Any]:
    folder = service.models.place(model)
    if not (folder / LEDGER_FILE).is_file():
        raise Refusal(
            404, "that model has no updates: it is served from a folder of its own, not of versions", "unknown"
        )
    from photovision.engine.update.update import versions

    found = versions(folder)
    return {"name": model, "current": found["current"], "events": found["events"]}
