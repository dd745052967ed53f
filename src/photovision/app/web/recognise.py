"""Recognising on the local page: answers of one model to pictures that are sent, why it gives them, what it recalls."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from photovision.app.web.state import State
from photovision.core.errors import PhotovisionError


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    router = APIRouter(prefix="/api/recognise")

    @router.get("/overview")
    def overview() -> dict[str, Any]:
        """What there is to work on; the first visit also starts to load the first model."""
        state.warm()
        folder = None if state.folder is None else state.folder.name or str(state.folder)
        models = [facts(state, name) for name in state.models]
        return {"folder": folder, "models": models, "data": [{"name": name} for name in state.data]}

    return router


def facts(state: State, name: str) -> dict[str, Any]:
    """What people should know of a model before they ask it; with `error` where it cannot be read."""
    from photovision.runtime.bundle import read_bundle

    try:
        bundle = read_bundle(state.path_of(name))
    except PhotovisionError as error:
        return {"name": name, "error": str(error)}
    info = bundle.info
    metrics, doubt = info.get("metrics") or {}, info.get("doubt") or {}
    lead = next((one for one in ("accuracy", "map", "exact_match") if one in metrics), None)
    return {
        "name": name,
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
