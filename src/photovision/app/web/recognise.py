"""Recognising on the local page: answers of one model to pictures that are sent, why it gives them, what it recalls.

Pictures come as the body of a request, are answered and forgotten: nothing is kept.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from photovision.app.web import predictions as shown
from photovision.app.web.neighbours import Recall
from photovision.app.web.workspace import TASKS, State
from photovision.core.errors import DataError, PhotovisionError, UnreadableImage, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from photovision.core.preprocess import Preprocess
    from photovision.core.types import Classes, Floats
    from photovision.tasks.classify.recognizer import Recognizer
    from photovision.tasks.segment.segmenter import Segmenter

LARGEST = 128 * 2**20
"""Bytes of a picture file at most."""
PREVIEW, SHOWN, NAMED = 1024, 5, 6
LEADS = ("accuracy", "map", "miou", "exact_match")
"""The figure that stands for a model: the first of these that was measured."""


async def content(request: Request) -> bytes:
    """The body of a request; raises UsageError for one that is empty or too large, before all of it is taken in."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > LARGEST:
            raise UsageError(f"the picture should have at most {LARGEST >> 20} MB")
    if not found:
        raise UnreadableImage("the file is empty")
    return bytes(found)


Content = Annotated[bytes, Depends(content)]


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/recognise")
    _reason(router, state)

    @router.get("/overview")
    def overview() -> dict[str, Any]:
        """What there is to work on; the first visit also starts to load the first model."""
        state.warm()
        return seen(state)

    @router.post("/answer")
    def answer(model: str, picture: Content) -> dict[str, Any]:
        """What the model says of a picture; `{"error": reason}` of a file that is none: one of many may be broken."""
        with state.using(model) as opened:
            return shown.answer(opened, picture)

    @router.post("/mask")
    def mask(model: str, picture: Content) -> Response:
        """The class of every pixel as an indexed PNG; of segmenters."""
        with state.using(model) as opened:
            opened.bundle.expect("segment")
            return Response(shown.mask_file(cast("Segmenter", opened), picture), media_type="image/png")

    @router.post("/preview")
    def preview(picture: Content) -> Response:
        """A picture as JPEG, of formats that browsers cannot show."""
        return _jpeg(picture)

    return router


def _reason(router: APIRouter, state: State) -> None:
    """Addresses of what speaks for an answer."""
    recall = Recall(state)

    @router.post("/why")
    def why(model: str, picture: Content, target: str | None = None, tested: bool = False) -> dict[str, Any]:
        """The heatmap of a picture and the training pictures that are most like it; tested, its verdict, too."""
        with state.classifier(model) as recognizer:
            found = reasons(recognizer, picture, target, tested)
        for near in found["nearest"]:
            near["shown"] = recall.picture(model, near["id"]) is not None
        return found

    @router.get("/training")
    def training(model: str, id: str) -> Response:
        """A training picture, small."""
        return _small(recall.picture(model, id), id)


def seen(state: State) -> dict[str, Any]:
    """The folder's name, its models with their facts, its data sets."""
    folder = None if state.folder is None else state.folder.name or str(state.folder)
    models = [_facts_or_error(state, name) for name in state.models]
    return {
        "folder": folder,
        "models": models,
        "data": [{"name": name, "task": state.task_of(name)} for name in state.data],
    }


def _facts_or_error(state: State, name: str) -> dict[str, Any]:
    try:
        return facts(state, name)
    except Exception as error:  # one odd folder of a stranger must not cost the page all others
        return {"name": name, "error": f"{name} cannot be read ({type(error).__name__}): copy or train it again"}


def facts(state: State, name: str) -> dict[str, Any]:
    """What people should know of a model before they ask it; with `error` where it cannot be read."""
    from photovision.runtime.bundle import read_bundle

    if name in state.ready and not (state.ready[name] / "bundle.json").is_file():
        return unmade(name)
    try:
        bundle = read_bundle(state.path_of(name))
    except PhotovisionError as error:
        return {"name": name, "error": str(error)}
    if bundle.task not in TASKS:
        return {"name": name, "error": f"{name} is not for recognising"}
    info = bundle.info
    metrics, doubt = info.get("metrics") or {}, info.get("doubt") or {}
    lead = next((one for one in LEADS if one in metrics), None)
    return {
        "name": name,
        "task": bundle.task,
        "ready": name in state.ready,
        "colours": shown.colours(len(bundle.classes)),
        "thresholds": None if bundle.thresholds is None else [round(float(t), 4) for t in bundle.thresholds],
        "classes": list(bundle.classes),
        "multilabel": bundle.multilabel,
        "lead": lead,
        "figure": metrics.get(lead) if lead else None,
        "network": (info.get("backbone") or {}).get("name"),
        "chosen": info.get("chosen"),
        "pictures": ((info.get("data") or {}).get("counts") or {}).get("train"),
        "size": list(bundle.preprocess.size),
        "coverage": doubt.get("coverage"),
        "false_alarms": doubt.get("false_alarms"),
        "report": (bundle.path / "report.html").is_file(),
    }


def unmade(name: str) -> dict[str, Any]:
    """The same of a ready detector that will be made from its weights when it is first asked."""
    from photovision.models.pretrained import COCO, THRESHOLD

    classes = COCO.split(", ")
    return {
        "name": name,
        "task": "detect",
        "ready": True,
        "colours": shown.colours(len(classes)),
        "thresholds": [THRESHOLD] * len(classes),
        "classes": classes,
        "multilabel": False,
        "report": False,
    }


def told(model: Recognizer, answer: Classes) -> dict[str, Any]:
    """An answer for the page: `sure` is "sure", "unsure" or "unknown", `words` explains it in sentences."""
    within = answer.prediction_set
    alone = answer.prob >= 0.5 if within is None else len(within) == 1
    settled = alone if not answer.multilabel else within is None or set(within) <= set(answer.labels)
    return {
        "label": answer.label,
        "labels": list(answer.labels),
        "best": answer.best,
        "prob": answer.prob,
        "known": answer.known,
        "novelty": answer.novelty,
        "sure": "unknown" if answer.known is False else "sure" if settled else "unsure",
        "top": answer.top(SHOWN),
        "set": None if within is None else list(within),
        "words": words(model, answer),
    }


def words(model: Recognizer, answer: Classes) -> list[str]:
    """What the answer means, in sentences."""
    doubt = model.doubt
    if doubt is None or answer.prediction_set is None:
        return ["This model was made without prediction sets, so it never says “unknown”."]
    if answer.known is False:
        return [
            f"This picture is unlike those that the model learned from: novelty {answer.novelty:.1f}, where up to"
            f" {doubt.limit:.1f} counts as familiar. It is most like {answer.best}, but do not rely on that."
        ]
    kept = f"hold the truth for {100 * doubt.coverage:g} of 100 pictures like the training ones"
    if answer.multilabel:
        more = [name for name in answer.prediction_set if name not in answer.labels]
        perhaps = f" Perhaps also {_listed(more)}." if more else ""
        return [f"{_listed(answer.labels) or 'No class'} counts as true.{perhaps}"]
    if len(answer.prediction_set) == 1:
        return [f"No other class comes into question. Such sets, of one class or more, {kept}."]
    if not answer.prediction_set:
        return [f"No class is as probable as it usually is when it is right: {answer.best} is only a guess."]
    return [f"These {len(answer.prediction_set)} come into question: such sets {kept}."]


def reasons(model: Recognizer, picture: bytes, target: str | None, tested: bool) -> dict[str, Any]:
    """Why a model answers as it does: the default explainer's map as a layer over the picture, and neighbours."""
    from photovision.core.image import to_array
    from photovision.engine.explain import explanations
    from photovision.trust.explain import EXPLAINERS
    from photovision.trust.explain.request import ExplainRequest

    image = to_array(model.preprocess.decode(picture))
    found = explanations(model, [image], ExplainRequest(target=target, tests=tested))
    one, explainer = found.images[0], found.explainer
    layer = heat_layer(one.maps[0].heatmap, one.upright.shape[:2], model.preprocess)
    trial = one.trials[0]
    return {
        "target": one.maps[0].target,
        "method": explainer.methods[0],
        "about": EXPLAINERS.load(explainer.methods[0]).about,
        "reason": explainer.reason,
        "layer": shown.as_url(layer),
        "verdict": None if trial is None else trial.verdict,
        "sentence": None if trial is None else trial.sentence,
        "nearest": [{"id": n.id, "label": n.label, "similarity": n.similarity} for n in one.neighbours],
    }


def heat_layer(heatmap: Floats, shape: tuple[int, int], preprocess: Preprocess) -> bytes:
    """A heatmap as PNG with transparency, to lie over the whole upright picture of `shape` (H, W).

    The heat is more opaque where it is hotter; what the network does not see is darkened.
    """
    import numpy as np
    from PIL import Image as Pillow

    from photovision.trust.explain.overlay import heat_colours, scaled

    height, width = shape
    left, top, right, bottom = (round(side) for side in preprocess.window(width, height))
    size = max(1, right - left), max(1, bottom - top)
    heat = np.clip(np.asarray(Pillow.fromarray(scaled(heatmap)).resize(size, Pillow.Resampling.BICUBIC)), 0, 1)
    layer = np.zeros((height, width, 4), np.uint8)
    layer[..., 3] = 165
    layer[top:bottom, left:right, :3] = heat_colours(heat)
    layer[top:bottom, left:right, 3] = np.round(255 * (0.35 + 0.65 * heat))
    buffer = io.BytesIO()
    Pillow.fromarray(layer, "RGBA").save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _jpeg(picture: bytes) -> Response:
    from photovision.core.image import decode, to_array
    from photovision.core.thumbnail import jpeg

    shown = decode(picture, least=(PREVIEW, PREVIEW))
    shown.thumbnail((PREVIEW, PREVIEW))
    return Response(jpeg(to_array(shown)), media_type="image/jpeg")


def _small(path: Path | None, id: str) -> Response:
    from photovision.core.thumbnail import thumbnail
    from photovision.core.types import Sample

    small = None if path is None else thumbnail(Sample(id, path))
    if small is None:
        raise DataError(f"the training picture {id} is not in the folder of this page any more")
    return Response(small, media_type="image/jpeg", headers={"cache-control": "private, max-age=600"})


def _listed(names: list[str] | tuple[str, ...]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")
