"""Plain: POST /predict, pictures in and JSON out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from photovision.core.errors import UnreadableImage
from photovision.service.answering import NO_OPTIONS, answer, as_json, check_room, errors, reason
from photovision.service.batching import Said
from photovision.service.fetch import fetch
from photovision.service.gate import visit_of
from photovision.service.kinds.options import OPTIONS
from photovision.service.refusal import Refusal
from photovision.service.schemas import Predictions
from photovision.service.state import Service
from photovision.service.uploads import Upload, read_body, uploads

FETCH_SECONDS = 10.0
ModelName = Annotated[str | None, Query(max_length=64, description="Name of the model; default: the first one.")]
_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "model",
        "in": "query",
        "description": "Name of the model; default: the first one.",
        "schema": {"type": "string", "maxLength": 64},
    },
    *(
        {"name": name, "in": "query", "description": meaning, "schema": schema}
        for name, (meaning, schema) in OPTIONS.items()
    ),
]


class _Direct(APIRoute):
    """A route whose function takes the request alone, so that FastAPI has nothing to find out for every request."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        return cast("Callable[[Request], Coroutine[Any, Any, Response]]", self.endpoint)


def router(service: Service) -> APIRouter:
    """The route /predict."""
    routes = APIRouter(tags=["plain"], route_class=_Direct)

    @routes.post(
        "/predict",
        summary="What is in these pictures, and where?",
        response_model=Predictions,
        responses=errors(400, 403, 404, 408, 413, 415, 422),
        openapi_extra={"requestBody": picture_body(service, many=True), "parameters": _PARAMETERS},
    )
    async def predict(request: Request) -> Response:
        """Answers come in the order of the files; a file that cannot be read has an `error` in place of its answer.

        Where none can be read, the status is 422.
        """
        model, options = _asked(request)
        check_room(service, model, options=options)
        async with read_body(request, service.limits, service.budget) as body:
            found = await read_pictures(request, body, service)
            version, said = await answer(service, request, [one.content for one in found], model, options=options)
        if all(isinstance(one, UnreadableImage) for one in said):
            raise Refusal(
                422,
                "; ".join(_failure(one, upload) for one, upload in zip(said, found, strict=True))[:2000],
                "unreadable",
            )
        predictions = [_prediction(one, upload) for one, upload in zip(said, found, strict=True)]
        head = {"id": visit_of(request).id, "model": version.model, "version": version.name}
        return as_json({**head, "predictions": predictions})

    return routes


def _asked(request: Request) -> tuple[str | None, Mapping[str, str]]:
    """The model's name and the options, read here since FastAPI takes longer for them than for all the rest."""
    if not request.scope["query_string"]:
        return None, NO_OPTIONS
    told = request.query_params
    model = told.get("model")
    if model is not None and len(model) > 64:
        raise Refusal(422, "'model' should have 64 characters at most", "parameter")
    return model, {name: told[name] for name in OPTIONS if name in told}


async def read_pictures(request: Request, body: bytes, service: Service) -> list[Upload]:
    """The pictures of a body, or the one at the address that it holds; raises Refusal."""
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "application/json":
        return uploads(kind, body, service.limits)
    if not service.settings.allow_url:
        raise Refusal(403, "pictures by address are not allowed here: send the file itself", "url")
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or set(told) != {"url"} or not isinstance(told["url"], str):
        raise Refusal(400, 'expected JSON such as {"url": "https://example.org/picture.jpg"}', "url")
    loop, most = asyncio.get_running_loop(), service.limits.request_bytes
    return [Upload(await loop.run_in_executor(service.fetchers, fetch, told["url"], most, FETCH_SECONDS))]


def picture_body(service: Service, *, many: bool) -> dict[str, Any]:
    """The OpenAPI description of a body that holds a picture, or several."""
    picture = {"type": "string", "format": "binary"}
    files = {"type": "array", "items": picture, "minItems": 1, "maxItems": service.limits.files} if many else picture
    form = {"type": "object", "properties": {"file": files}, "required": ["file"], "additionalProperties": False}
    content: dict[str, Any] = {
        "multipart/form-data": {"schema": form, "encoding": {"file": {"contentType": "image/jpeg, image/png"}}},
        "image/jpeg": {"schema": picture},
        "image/png": {"schema": picture},
        "application/octet-stream": {"schema": picture},
    }
    if service.settings.allow_url:
        url = {"type": "string", "format": "uri"}
        content["application/json"] = {
            "schema": {"type": "object", "properties": {"url": url}, "required": ["url"], "additionalProperties": False}
        }
    return {"required": True, "content": content}


def _prediction(said: Said, upload: Upload) -> dict[str, Any]:
    if isinstance(said, UnreadableImage):
        return {"file": upload.file, "error": reason(said)}
    return said.to_json(upload.file)


def _failure(said: Said, upload: Upload) -> str:
    text = reason(said) if isinstance(said, UnreadableImage) else ""
    return f"{upload.file[:80]}: {text}" if upload.file else text
