"""Protocol v1: the inference protocol of TensorFlow Serving and of KServe v1, for clients that speak no newer one.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import Response

from photovision.core.types import Image
from photovision.service.body import Body, read_body
from photovision.service.http_error import Refusal
from photovision.service.json_body import Address, parse_json, picture
from photovision.service.routes_common import answer, as_json, check_room, errors
from photovision.service.routes_predict import as_predictions, as_uploads, in_thread
from photovision.service.schemas import ModelNames, ModelReady, PredictionsV1
from photovision.service.state import Service
from photovision.service.tensors import as_bytes

EXAMPLE = '{"instances": [{"b64": "<base64>"}]}, or instances as lists [H][W][3] of whole numbers 0 to 255'
Name = Annotated[str, Path(max_length=64, description="The model's name.")]


def router(service: Service) -> APIRouter:
    """All routes below /v1."""
    routes = APIRouter(prefix="/v1", tags=["Inference protocol v1"])

    @routes.get("/models", summary="Names of the models", response_model=ModelNames, responses=errors())
    async def models() -> Response:
        return as_json({"models": list(service.models.names)})

    @routes.get("/models/{model}", summary="Is a model ready?", response_model=ModelReady, responses=errors(404, 422))
    async def ready(model: Name) -> Response:
        return as_json({"name": service.models.get(model).model, "ready": True})

    @routes.post(
        "/models/{model}:predict",
        summary="Answer instances",
        response_model=PredictionsV1,
        responses=errors(400, 403, 404, 408, 413, 415, 422),
        openapi_extra={"requestBody": _body(service)},
    )
    async def predict(request: Request, model: Name) -> Response:
        """Predictions come in the order of the instances; one that cannot be read has an `error`."""
        check_room(service, model)
        async with read_body(request, service.limits, service.budget) as body:
            pictures = await _instances(body, service)
            _, said = await answer(service, request, pictures, model)
        return as_json({"predictions": as_predictions(said, [None] * len(said))})

    return routes


async def _instances(body: Body, service: Service) -> list[bytes | Image]:
    found = await in_thread(service, len(body.content), _parsed, body, service)
    sent = [one for one in found if not isinstance(one, np.ndarray)]
    files = iter(await as_uploads(sent, body, service) if sent else [])
    return [one if isinstance(one, np.ndarray) else next(files).content for one in found]


def _parsed(body: Body, service: Service) -> list[bytes | Address | Image]:
    document = parse_json(body.content, service.limits, body.hold)
    if not isinstance(document, dict) or set(document) - {"signature_name"} != {"instances"}:
        raise Refusal(400, f"expected JSON such as {EXAMPLE}", "protocol")
    instances = document["instances"]
    if not isinstance(instances, list) or not instances:
        raise Refusal(400, f"'instances' should be a list of pictures: {EXAMPLE}", "protocol")
    if len(instances) > service.limits.files:
        raise Refusal(413, f"a request may hold {service.limits.files} pictures: send several requests", "files")
    return [_array(one, service) if isinstance(one, list) else picture(one) for one in instances]


def _array(rows: list[Any], service: Service) -> Image:
    columns = rows[0] if rows and isinstance(rows[0], list) else []
    shape = (len(rows), len(columns), 3)
    if not columns or not isinstance(columns[0], list):
        raise Refusal(400, f"an instance should be a picture: {EXAMPLE}", "protocol")
    if shape[0] * shape[1] > service.limits.picture_pixels:
        raise Refusal(413, f"a picture may have {service.limits.picture_pixels:,} pixels", "pixels")
    return as_bytes(rows, shape).reshape(shape)


def _body(service: Service) -> dict[str, Any]:
    text = {"type": "object", "properties": {"b64": {"type": "string"}}, "required": ["b64"]}
    instances = {"type": "array", "items": text, "minItems": 1, "maxItems": service.limits.files}
    schema = {"type": "object", "properties": {"instances": instances}, "required": ["instances"]}
    return {"required": True, "content": {"application/json": {"schema": schema}}}
