"""Explain: POST /explain, the places of a picture that the answer rests on; by explainers that need no torch."""

from __future__ import annotations

import asyncio
import io
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from PIL import Image as Pillow
from starlette.requests import Request
from starlette.responses import Response

from photovision.core.errors import PhotovisionError, UnreadableImage
from photovision.core.image import decode
from photovision.core.types import Floats
from photovision.service.answering import answer, as_json, check_room, errors, reason
from photovision.service.gate import visit_of
from photovision.service.kinds.classes import Classifying, Named
from photovision.service.models import Version, content_name
from photovision.service.plain import ModelName, picture_body, read_pictures
from photovision.service.refusal import Refusal
from photovision.service.schemas import Explanation
from photovision.service.state import Service
from photovision.service.uploads import read_body
from photovision.tasks.recognizer import Recognizer

GRID, SIDE, NEAREST = 14, 640, 5
Method = Annotated[
    Literal["auto", "cam", "eigencam", "occlusion", "rise"], Query(description="Explainer; auto takes what suits.")
]
Label = Annotated[str | None, Query(max_length=256, description="Class to explain; default: the most probable one.")]
Form = Annotated[Literal["json", "png"], Query(alias="format", description="Numbers, or the map over the picture.")]


def router(service: Service) -> APIRouter:
    """The route /explain."""
    routes = APIRouter(tags=["plain"])
    said = {**errors(400, 403, 404, 408, 409, 413, 415, 422)}
    said[200] = {"model": Explanation, "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}}}

    @routes.post(
        "/explain",
        summary="Why is that the answer?",
        responses=said,
        openapi_extra={"requestBody": picture_body(service, many=False)},
    )
    async def explain(
        request: Request, model: ModelName = None, method: Method = "auto", label: Label = None, form: Form = "json"
    ) -> Response:
        """A heatmap of one picture. It is not tested here; `photovision explain` says whether it may be believed."""
        _explainable(check_room(service, model))
        async with read_body(request, service.limits, service.budget) as body:
            found = await read_pictures(request, body, service)
            if len(found) != 1:
                raise Refusal(400, f"expected one picture to explain, got {len(found)}", "files")
            content = found[0].content
            version, (outcome,) = await answer(service, request, [content], model)
            if isinstance(outcome, UnreadableImage):
                raise Refusal(422, reason(outcome), "unreadable")
            recognizer = _explainable(version)
            assert isinstance(outcome, Named)
            index = _class_index(recognizer, outcome, label)
            heat = await _queued(
                service, partial(_heat, version, content, index, method, service.limits.picture_pixels)
            )
            if form == "png":
                picture = await _queued(
                    service, partial(_drawn, recognizer, content, heat, service.limits.picture_pixels)
                )
                return Response(picture, media_type="image/png")
        head = {"id": visit_of(request).id, "model": version.model, "version": version.name, "method": method}
        return as_json(head | _described(recognizer, outcome, index, heat, content))

    return routes


def _explainable(version: Version) -> Recognizer:
    kind = version.kind
    if isinstance(kind, Classifying):
        return kind.model
    raise Refusal(
        409, f"classifiers are explained here, and '{version.model}' is {kind.name}: ask another model", "explain"
    )


def _class_index(recognizer: Recognizer, outcome: Named, label: str | None) -> int:
    if label is None:
        return int(outcome.answer.probs.argmax())
    if label not in recognizer.classes:
        raise Refusal(404, "the model knows no class of that name: GET /v2/models/{model} lists them", "unknown")
    return recognizer.classes.index(label)


async def _queued(service: Service, work: Any) -> Any:
    """Run in the one thread that explains; raises Refusal (503) where too much waits for it."""
    if service.explaining >= service.limits.explanations:
        raise Refusal(503, "more explanations are waiting than the service takes: try again", "queue", retry_after=2)
    service.explaining += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(service.explainers, work)
    except UnreadableImage as error:
        raise Refusal(422, reason(error), "unreadable") from None
    except PhotovisionError as error:
        raise Refusal(409, str(error)[:500], "explain") from None
    finally:
        service.explaining -= 1


def _heat(version: Version, content: bytes, index: int, method: str, most: int) -> Floats:
    from photovision.tasks.explain import heatmaps

    recognizer = _explainable(version)
    # Explainers open the graph anew, which must be the one that answered.
    if content_name(recognizer.bundle.path) != version.name:
        raise Refusal(409, "this version's files were replaced, so that it cannot be explained any more", "replaced")
    seen = recognizer.preprocess.load(content, most)
    heat: Floats = heatmaps(recognizer, seen[None], np.array([index]), method)[0]
    return heat


def _drawn(recognizer: Recognizer, content: bytes, heat: Floats, most: int) -> bytes:
    from photovision.trust.explain.overlay import overlay

    whole = decode(content, (SIDE, SIDE), most)
    whole.thumbnail((SIDE, SIDE))
    stream = io.BytesIO()
    drawn = overlay(np.asarray(whole, np.uint8), heat, recognizer.preprocess)
    Pillow.fromarray(drawn).save(stream, "PNG")
    return stream.getvalue()


def _described(recognizer: Recognizer, outcome: Named, index: int, heat: Floats, content: bytes) -> dict[str, Any]:
    from photovision.core.image import read_header
    from photovision.trust.explain.overlay import scaled
    from photovision.trust.explain.subject import resized

    height, width = read_header(content).size
    left, top, right, bottom = recognizer.preprocess.window(width, height)
    near = recognizer.references.nearest(outcome.outputs["embedding"], NEAREST) if recognizer.references else []
    grid = resized(scaled(heat)[None], (GRID, GRID))[0]
    return {
        "label": recognizer.classes[index],
        "prob": round(float(outcome.answer.probs[index]), 6),
        "known": outcome.answer.known,
        "heatmap": [[round(float(value), 4) for value in row] for row in np.clip(grid, 0, 1)],
        "window": [round(left / width, 4), round(top / height, 4), round(right / width, 4), round(bottom / height, 4)],
        # Names of training pictures may tell of people, so only their classes are said.
        "neighbours": [{"label": one.label, "similarity": round(one.similarity, 4)} for one in near],
    }
