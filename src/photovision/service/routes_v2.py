"""Protocol: the Open Inference Protocol v2 over HTTP, with its binary and model repository extensions.

https://github.com/kserve/open-inference-protocol
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

import photovision
from photovision.core.errors import PhotovisionError, UnreadableImage
from photovision.service.body import read_body
from photovision.service.health import health_of
from photovision.service.http_error import Refusal
from photovision.service.middleware import visit_of
from photovision.service.models import Version
from photovision.service.routes_common import answer, as_json, check_room, errors, reason
from photovision.service.routes_predict import in_thread
from photovision.service.schemas import (
    IndexEntry,
    InferAnswer,
    Live,
    Loaded,
    ModelInfo,
    ModelReady,
    Ready,
    Server,
)
from photovision.service.state import Service
from photovision.service.tensors import INPUTS, read_question, write_answer

HEADER = "Inference-Header-Content-Length"
Name = Annotated[str, Path(max_length=64, description="The model's name.")]
Number = Annotated[str, Path(max_length=64, description="The version's name.")]


def router(service: Service) -> APIRouter:
    """All routes below /v2."""
    routes = APIRouter(prefix="/v2", tags=["Open Inference Protocol v2"])
    _health(routes, service)
    _metadata(routes, service)
    _inference(routes, service)
    _repository(routes, service)
    return routes


def _health(routes: APIRouter, service: Service) -> None:
    @routes.get("", summary="The server", response_model=Server)
    async def server() -> Response:
        extensions = ["model_repository", "binary_tensor_data"]
        return as_json({"name": "photovision", "version": photovision.__version__, "extensions": extensions})

    @routes.get(
        "/health/live",
        summary="Does it live?",
        response_model=Live,
        responses={503: {"model": Live, "description": "No: what answers has hung for long; only a restart helps."}},
    )
    async def live() -> Response:
        alive = health_of(service).live
        return as_json({"live": alive}, 200 if alive else 503)

    @routes.get(
        "/health/ready",
        summary="Should requests be sent here?",
        response_model=Ready,
        responses={
            503: {"model": Ready, "description": "No: it is about to end, or must record and cannot, or has stalled."}
        },
    )
    async def ready(request: Request) -> Response:
        health = health_of(service)
        hidden = service.settings.guard_metrics and visit_of(request).key is None
        names = [] if hidden else list(service.models.names)
        return as_json({"ready": health.ready, "status": health.status, "models": names}, 200 if health.ready else 503)


def _metadata(routes: APIRouter, service: Service) -> None:
    @routes.get("/models/{model}", summary="A model", response_model=ModelInfo, responses=errors(404, 422))
    async def metadata(model: Name) -> Response:
        return as_json(_described(service, service.models.get(model)))

    @routes.get(
        "/models/{model}/versions/{version}",
        summary="A version of a model",
        response_model=ModelInfo,
        responses=errors(404, 422),
    )
    async def version_metadata(model: Name, version: Number) -> Response:
        return as_json(_described(service, service.models.get(model, version)))

    @routes.get(
        "/models/{model}/ready", summary="Does a model answer?", response_model=ModelReady, responses=errors(404, 422)
    )
    async def model_ready(model: Name) -> Response:
        return as_json({"name": service.models.get(model).model, "ready": True})

    @routes.get(
        "/models/{model}/versions/{version}/ready",
        summary="Does a version answer?",
        response_model=ModelReady,
        responses=errors(404, 422),
    )
    async def version_ready(model: Name, version: Number) -> Response:
        return as_json({"name": service.models.get(model, version).model, "ready": True})


def _inference(routes: APIRouter, service: Service) -> None:
    described: dict[str, Any] = {
        "response_model": InferAnswer,
        "responses": errors(400, 404, 408, 413, 422),
        "openapi_extra": {"requestBody": _infer_body(service)},
    }

    @routes.post("/models/{model}/infer", summary="Answer tensors or files", **described)
    async def infer(request: Request, model: Name) -> Response:
        return await _inferred(service, request, model, None)

    @routes.post("/models/{model}/versions/{version}/infer", summary="The same, by one version", **described)
    async def version_infer(request: Request, model: Name, version: Number) -> Response:
        return await _inferred(service, request, model, version)


def _repository(routes: APIRouter, service: Service) -> None:
    @routes.post(
        "/repository/index",
        summary="Loaded versions of all models",
        response_model=list[IndexEntry],
        responses=errors(),
    )
    async def index() -> Response:
        return as_json(
            [
                {"name": name, "version": each, "state": "READY" if each == service.models.current(name) else "KEPT"}
                for name in service.models.names
                for each in service.models.versions(name)
            ]
        )

    @routes.post(
        "/repository/models/{model}/load",
        summary="Load what is in the model's folder now",
        response_model=Loaded,
        responses=errors(403, 404, 422),
    )
    async def load(request: Request, model: Name) -> Response:
        _check_manager(service, request)
        try:
            version = await service.models.load(model)
        except PhotovisionError as error:
            raise Refusal(422, str(error)[:500], "load") from None
        return as_json({"name": model, "version": version.name})

    @routes.post(
        "/repository/models/{model}/versions/{version}/load",
        summary="Roll back to a version that is still loaded",
        response_model=Loaded,
        responses=errors(403, 404, 422),
    )
    async def roll_back(request: Request, model: Name, version: Number) -> Response:
        _check_manager(service, request)
        found = await service.models.roll_back(model, version)
        return as_json({"name": model, "version": found.name})


async def _inferred(service: Service, request: Request, model: str, version: str | None) -> Response:
    check_room(service, model, version)
    async with read_body(request, service.limits, service.budget) as body:
        length = request.headers.get(HEADER)
        question = await in_thread(
            service, len(body.content), read_question, body.content, length, service.limits, body.hold
        )
        found, said = await answer(service, request, question.pictures, model, version, question.options)
    outcomes = [one for one in said if not isinstance(one, UnreadableImage)]
    if len(outcomes) < len(said):
        reasons = (f"pictures[{i}]: {reason(one)}" for i, one in enumerate(said) if isinstance(one, UnreadableImage))
        raise Refusal(422, "; ".join(reasons)[:2000], "unreadable")
    head = {"model_name": found.model, "model_version": found.name, "id": question.id or visit_of(request).id}
    content, header = write_answer(question, found.wire.tensors(outcomes), head)
    if header is None:
        return Response(content, media_type="application/json")
    return Response(content, headers={HEADER: str(header)}, media_type="application/octet-stream")


def _check_manager(service: Service, request: Request) -> None:
    key = visit_of(request).key
    if not (key.admin if service.guard is not None and key is not None else service.settings.manage):
        raise Refusal(
            403,
            "loading needs a key made with 'photovision keys add NAME --admin', or a service with --manage",
            "admin",
        )


def _described(service: Service, version: Version) -> dict[str, Any]:
    wire, bundle = version.wire, version.wire.model.bundle
    outputs = [{"name": name, "datatype": form, "shape": shape} for name, (form, shape) in wire.outputs().items()]
    return {
        "name": version.model,
        "versions": list(service.models.versions(version.model)),
        "platform": "photovision_onnx",
        "inputs": [
            {"name": INPUTS[0], "datatype": "UINT8", "shape": [-1, -1, -1, 3]},
            {"name": INPUTS[1], "datatype": "BYTES", "shape": [-1]},
        ],
        "outputs": outputs,
        "parameters": {
            "version": version.name,
            "task": bundle.task,
            "classes": list(bundle.classes),
            "size": list(wire.model.preprocess.size),
            "options": sorted(bundle.row.accepted("request")),
        },
    }


def _infer_body(service: Service) -> dict[str, Any]:
    side = {"type": "integer", "minimum": 1, "maximum": 8192}
    count = {"type": "integer", "minimum": 1, "maximum": service.limits.files}
    shared = {"parameters": {"type": "object", "properties": {"binary_data_size": {"type": "integer", "minimum": 0}}}}

    def entry(name: str, kind: str, shape: dict[str, Any], item: dict[str, Any]) -> dict[str, Any]:
        own = {"name": {"const": name}, "datatype": {"const": kind}, "shape": shape}
        data = {"type": "array", "items": item, "minItems": 1}
        return {
            "type": "object",
            "required": ["name", "datatype", "shape"],
            "properties": {**own, **shared, "data": data},
        }

    tensor = {"type": "array", "prefixItems": [count, side, side, {"const": 3}], "minItems": 4, "maxItems": 4}
    files = {"type": "array", "items": count, "minItems": 1, "maxItems": 1}
    one_of = [
        entry("images", "UINT8", tensor, {"description": "0 to 255, flat or nested"}),
        entry("pictures", "BYTES", files, {"type": "string", "description": "A picture's file in base64"}),
    ]
    output = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    schema = {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "maxLength": 256},
            "parameters": {"type": "object"},
            "inputs": {"type": "array", "items": {"oneOf": one_of}, "minItems": 1, "maxItems": 1},
            "outputs": {"type": "array", "items": output},
        },
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}
