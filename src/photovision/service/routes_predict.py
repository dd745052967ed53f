"""Plain: POST /predict, pictures in and JSON out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Query
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from photovision.core.errors import UnreadableImage
from photovision.service.batching import Said
from photovision.service.body import Body, read_body
from photovision.service.fetch import fetch
from photovision.service.http_error import Refusal
from photovision.service.json_body import EXAMPLE, Address, parse_json, pictures_and_fields
from photovision.service.middleware import visit_of
from photovision.service.options import OPTIONS
from photovision.service.routes_common import NO_OPTIONS, answer, as_json, check_room, errors, reason
from photovision.service.schemas import Predictions
from photovision.service.state import Service
from photovision.service.uploads import Form, Upload, read_form

FETCH_SECONDS = 10.0
_QUICK = 65_536  # bytes that are parsed in less time than a change of threads takes
T = TypeVar("T")
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
            form = await read_pictures(request, body, service)
            model, options, ignored = _joined(model, options, form)
            contents = [one.content for one in form.pictures]
            version, said = await answer(service, request, contents, model, options=options)
        predictions = as_predictions(said, [one.file for one in form.pictures])
        head: dict[str, Any] = {"id": visit_of(request).id, "model": version.model, "version": version.name}
        if ignored:
            head["ignored"] = ignored
        return as_json({**head, "predictions": predictions})

    return routes


def as_predictions(said: Sequence[Said], files: Sequence[str | None]) -> list[dict[str, Any]]:
    """An answer or an error for each picture, JSON-ready; raises Refusal (422) where no picture could be read."""
    if all(isinstance(one, UnreadableImage) for one in said):
        failures = (_failure(one, file) for one, file in zip(said, files, strict=True))
        raise Refusal(422, "; ".join(failures)[:2000], "unreadable")
    return [_prediction(one, file) for one, file in zip(said, files, strict=True)]


def _asked(request: Request) -> tuple[str | None, Mapping[str, str]]:
    """The model's name and the options, read here since FastAPI takes longer for them than for all the rest."""
    if not request.scope["query_string"]:
        return None, NO_OPTIONS
    text = request.query_params
    unknown = [name for name in text if name not in OPTIONS and name != "model"]
    if unknown:
        known = ", ".join(("model", *OPTIONS))
        raise Refusal(422, f"{unknown[0][:64]!r} is no parameter of /predict: there are {known}", "parameter")
    return _model(text.get("model")), {name: text[name] for name in OPTIONS if name in text}


def _model(name: str | None) -> str | None:
    if name is not None and len(name) > 64:
        raise Refusal(422, "'model' should have 64 characters at most", "parameter")
    return name


def _joined(
    model: str | None, options: Mapping[str, str], form: Form
) -> tuple[str | None, Mapping[str, str], list[str]]:
    """The model's name and the options, of the address and of the body, and the fields that are neither."""
    if not form.fields:
        return model, options, []
    asked = {**options, **({} if model is None else {"model": model})}
    for name, value in form.fields.items():
        if asked.get(name, value) != value:
            raise Refusal(400, f"'{name}' stands in the address and in the body: give it once", "parameter")
    named = {name: value for name, value in form.fields.items() if name in OPTIONS}
    ignored = [name[:64] for name in form.fields if name not in OPTIONS and name != "model"]
    return _model(form.fields.get("model", model)), {**options, **named}, ignored


async def read_pictures(request: Request, body: Body, service: Service) -> Form:
    """The pictures of a body: files, base64 in JSON, or the ones at the addresses that it holds; raises Refusal."""
    kind = request.headers.get("content-type", "")
    plain = kind.partition(";")[0].strip().lower()
    if plain != "application/json" and not plain.endswith("+json"):
        return read_form(kind, body.content, service.limits)
    found, fields = await in_thread(service, len(body.content), _pictures, body, service)
    unknown = [name[:64] for name in fields if name not in OPTIONS and name != "model"]
    if unknown:
        raise Refusal(400, f"{unknown[0]!r} is not understood: expected JSON such as {EXAMPLE}", "json")
    return Form(await as_uploads(found, body, service), fields)


def _pictures(body: Body, service: Service) -> tuple[list[bytes | Address], dict[str, str]]:
    return pictures_and_fields(parse_json(body.content, service.limits, body.hold))


async def in_thread(service: Service, size: int, work: Callable[..., T], *arguments: Any) -> T:
    """The result of `work`, in a thread where it has so many bytes to parse that others would wait for it.

    One large body is parsed after the other: parsers hold Python's lock, and all other requests would queue up behind
    as many of them as there are threads.
    """
    if size < _QUICK:
        return work(*arguments)
    return await asyncio.get_running_loop().run_in_executor(service.parsers, partial(work, *arguments))


async def as_uploads(found: Sequence[bytes | Address], body: Body, service: Service) -> list[Upload]:
    """The pictures, fetched where they are addresses; raises Refusal."""
    if not found:
        raise Refusal(400, "expected at least one picture, got none: send it in 'image'", "empty")
    if len(found) > service.limits.files:
        raise Refusal(413, f"a request may hold {service.limits.files} pictures: send several requests", "files")
    if any(isinstance(one, Address) for one in found) and not service.settings.allow_url:
        raise Refusal(403, "pictures by address are not allowed here: send the file itself", "url")
    return [Upload(await _fetched(one.url, body, service) if isinstance(one, Address) else one) for one in found]


async def _fetched(url: str, body: Body, service: Service) -> bytes:
    most = service.limits.request_bytes
    body.hold(most)
    loop = asyncio.get_running_loop()
    content = await loop.run_in_executor(service.fetchers, fetch, url, most, FETCH_SECONDS)
    body.hold(len(content) - most)
    return content


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
    text = {"type": "string", "description": "A picture's file as base64 or data URL."}
    one_of: list[dict[str, Any]] = [{"image": text}]
    if many:
        one_of.append({"images": {"type": "array", "items": text, "minItems": 1, "maxItems": service.limits.files}})
    if service.settings.allow_url:
        one_of.append({"url": {"type": "string", "format": "uri"}})
    content["application/json"] = {
        "schema": {
            "oneOf": [
                {"type": "object", "properties": each, "required": list(each), "additionalProperties": False}
                for each in one_of
            ]
        }
    }
    return {"required": True, "content": content}


def _prediction(said: Said, file: str | None) -> dict[str, Any]:
    if isinstance(said, UnreadableImage):
        return {"file": file, "error": reason(said)}
    return said.to_json(file)


def _failure(said: Said, file: str | None) -> str:
    text = reason(said) if isinstance(said, UnreadableImage) else ""
    return f"{file[:80]}: {text}" if file else text
