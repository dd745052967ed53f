"""Recognising on the local page: answers of one model to pictures that are sent, why it gives them, what it recalls.

Pictures come as the body of a request, are answered and forgotten: nothing is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request
from fastapi.responses import Response

from photovision.app.web import predictions as shown
from photovision.app.web.neighbours import Recall
from photovision.app.web.start import skipped_json
from photovision.app.web.workspace import State
from photovision.core.errors import DataError, PhotovisionError, UnreadableImage, UsageError
from photovision.core.task import Task, task, tasks

if TYPE_CHECKING:
    from pathlib import Path


LARGEST = 128 * 2**20
"""Bytes of a picture file at most."""
PREVIEW = 1024


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
    def overview(afterwards: BackgroundTasks) -> dict[str, Any]:
        """What there is to work on, looked for again; once it is there, the first model is loaded."""
        state.refresh()  # whoever loads the page anew may have copied pictures in, or moved them away
        afterwards.add_task(state.warm)
        return seen(state)

    @router.post("/answer")
    def answer(model: str, picture: Content) -> dict[str, Any]:
        """What the model says of a picture; `{"error": reason}` of a file that is none: one of many may be broken."""
        with state.using(model) as opened:
            return shown.answer(opened, picture)

    @router.post("/mask")
    def mask(model: str, picture: Content) -> Response:
        """The prediction as a PNG file; of tasks whose part "mask" makes one."""
        with state.using(model) as opened:
            return Response(opened.bundle.row.part("mask")(opened, picture), media_type="image/png")

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
        with state.using(model) as opened:
            found: dict[str, Any] = opened.bundle.row.part("why")(opened, picture, target, tested)
        for near in found["nearest"]:
            near["shown"] = recall.picture(model, near["id"]) is not None
        return found

    @router.get("/training")
    def training(model: str, id: str) -> Response:
        """A training picture, small."""
        return _small(recall.picture(model, id), id)


def seen(state: State) -> dict[str, Any]:
    """The folder's name, its models with their facts, its data sets, and what else lies there."""
    folder = None if state.folder is None else state.folder.name or str(state.folder)
    models = [_facts_or_error(state, name) for name in state.models]
    return {
        "folder": folder,
        "takes_folders": state.takes_folders,
        "models": models,
        "data": [_data(state, name) for name in state.data],
        "skipped": [skipped_json(one) for one in state.skipped],
        "tasks": {row.name: _of_task(row) for row in tasks() if row.has("page")},
    }


def _data(state: State, name: str) -> dict[str, Any]:
    row = state.task_of(name)
    learnt = [one.name for one in state.tasks_of(name)]
    return {"name": name, "task": row and row.name, "tasks": learnt, "annotation_type": state.annotation_type(name)}


def _of_task(row: Task) -> dict[str, Any]:
    """What the page needs to know of a task: its words, its script, and which options its training has."""
    return {
        "noun": row.text.a_noun,
        "plural": row.text.plural,
        "predicts": row.text.predicts,
        "script": row.page,
        "lead": next(iter(row.lead.values()), None),
        "options": sorted(row.options.get("train", ())),
    }


def _facts_or_error(state: State, name: str) -> dict[str, Any]:
    try:
        return facts(state, name)
    except Exception as error:  # one odd folder of a stranger must not cost the page all others
        return {"name": name, "error": f"{name} cannot be read ({type(error).__name__}): copy or train it again"}


def facts(state: State, name: str) -> dict[str, Any]:
    """What people should know of a model before they ask it; with `error` where it cannot be read."""
    from photovision.runtime.bundle import read_bundle
    from photovision.trust.similarity_text import holding

    if name in state.ready and not (state.ready[name] / "bundle.json").is_file():
        return unmade(name)
    try:
        bundle = read_bundle(state.path_of(name))
    except PhotovisionError as error:
        return {"name": name, "error": str(error)}
    if not bundle.row.has("page"):
        return {"name": name, "error": f"{name} is not for recognising"}
    info = bundle.info
    metrics, doubt = info.get("metrics") or {}, info.get("doubt") or {}
    lead = bundle.row.leading(metrics)
    return {
        "name": name,
        "task": bundle.task,
        "annotation_type": bundle.row.annotation_type,
        "ready": name in state.ready,
        "beside": state.is_beside(name),
        "colours": shown.colours(len(bundle.classes)),
        "thresholds": None if bundle.thresholds is None else [round(float(t), 4) for t in bundle.thresholds],
        "classes": list(bundle.classes),
        "class_count": len(bundle.classes),
        "multilabel": bundle.multilabel,
        "lead": lead and bundle.row.lead[lead],
        "figure": metrics.get(lead) if lead else None,
        "holding": holding(info),
        "network": (info.get("backbone") or {}).get("name"),
        "chosen": info.get("chosen"),
        "pictures": ((info.get("data") or {}).get("counts") or {}).get("train"),
        "size": list(bundle.preprocess.size),
        "coverage": doubt.get("coverage"),
        "false_alarms": doubt.get("false_alarms"),
        "report": (bundle.path / "report.html").is_file(),
    }


def unmade(name: str) -> dict[str, Any]:
    """The same of a ready model that will be made from its weights when it is first asked."""
    from photovision.models.pretrained import stated

    known = stated(name)
    return {
        **known,
        "name": name,
        "annotation_type": task(known["task"]).annotation_type,
        "ready": True,
        "colours": shown.colours(len(known["classes"])),
        "multilabel": False,
        "report": False,
    }


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
