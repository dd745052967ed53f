"""Server: the local page as one application, for this machine and this page only.

A browser also runs the pages of strangers, and they can send requests to 127.0.0.1. So requests are refused whose Host
is not this machine (a stranger's name that was made to point here: DNS rebinding), and those that another origin sent.
The page itself may load nothing from elsewhere (Content-Security-Policy).
"""

from __future__ import annotations

import mimetypes
from collections.abc import Awaitable, Callable
from importlib import import_module, resources

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

from photovision.app.web.state import State
from photovision.core.errors import MissingExtra, PhotovisionError, UnreadableImage
from photovision.service.origin import LOOPBACK, foreign_host, foreign_site

ROUTERS = ("recognise", "live", "cutting", "comparing", "browse", "training", "reports")
"""Modules of this package, each with a function `routes(state) -> APIRouter`; their addresses start with /api/."""

POLICY = (
    "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'self'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
Next = Callable[[Request], Awaitable[Response]]


def create_app(state: State) -> FastAPI:
    """The page over what `state` holds; errors come as `{"error": one line}` with status 400, 422 for pictures."""
    app = FastAPI(title="Photovision", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.page = state
    for name in ROUTERS:
        app.include_router(import_module(f"photovision.app.web.{name}").routes(state))
    static = str(resources.files("photovision.app.web").joinpath("static"))
    for kind, ending in (("text/javascript", ".js"), ("text/css", ".css")):
        mimetypes.add_type(kind, ending)  # some systems call scripts plain text, which browsers then refuse

    @app.get("/")
    def index() -> FileResponse:
        return FileResponse(f"{static}/index.html")

    app.mount("/", StaticFiles(directory=static))
    app.add_exception_handler(PhotovisionError, _explained)
    app.middleware("http")(_guarded)
    return app


async def _guarded(request: Request, call_next: Next) -> Response:
    reason = refusal(request)
    response = JSONResponse({"error": reason}, 403) if reason else await call_next(request)
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def refusal(request: Request) -> str | None:
    """Why a request is not answered; None for one of this page, or a person's first visit."""
    headers = dict(request.scope["headers"])
    if b"host" not in headers or foreign_host(headers, LOOPBACK):
        return "this page is served on this machine only: open it at 127.0.0.1"
    visit = request.method == "GET" and request.url.path == "/" and "origin" not in request.headers
    return (
        "another site asked for this: only the page itself may"
        if not visit and foreign_site(headers, schemes=("http",))
        else None
    )


async def _explained(request: Request, error: Exception) -> Response:
    status = 422 if isinstance(error, UnreadableImage) else 501 if isinstance(error, MissingExtra) else 400
    return JSONResponse({"error": " ".join(str(error).split())}, status)
