"""Training on the local page."""

from __future__ import annotations

from fastapi import APIRouter

from photovision.app.web.state import State


def routes(state: State) -> APIRouter:
    """Addresses of this view."""
    return APIRouter(prefix="/api/training")
