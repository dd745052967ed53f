"""Server: the local page as one application, for this machine, this user and this page only.

A browser also runs the pages of strangers, and they can send requests to 127.0.0.1. So requests are refused whose Host
is not this machine (a stranger's name that was made to point here: DNS rebinding), and those that another origin sent.
Other users of the machine can send requests, too; they lack the secret of the address that the command opens, which
the browser then keeps as a cookie. The page itself may load nothing from elsewhere (Content-Security-Policy).
"""

from __future__ import annotations

import hmac
import json
import mimetypes
from collections.abc import Callable
from importlib import import_module, resources

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photovision.app.web.recognise import LARGEST
from photovision.app.web.workspace import State
from photovision.core import identity
from photovision.core.errors import MissingExtra, PhotovisionError, UnreadableImage, UsageError
from photovision.service.origin import LOOPBACK, foreign_host, foreign_site

ROUTERS = (
    "start",
    "adding",
    "recognise",
    "naming",
    "live",
    "cutting",
    "comparing",
    "browse",
    "sessions",
    "searching",
    "duplicating",
    "faces",
    "training",
    "acting",
    "serving",
    "fetching",
    "reports",
)
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
MAX_TEXT = 1 << 20
"""Bytes of a body that is no picture; pictures have a limit of their own."""
_TOO_LONG = f"a request may have {MAX_TEXT >> 20} MB of text, or a picture of {LARGEST >> 20} MB: send less at once"
SECRET, COOKIE = "token", "photovision"


def create_app(state: State, token: str | None = None) -> FastAPI:
    """The page over what `state` holds; errors come as `{"error": one line}` with status 400, 422 for pictures.

    Args:
        state: what it works on.
        token: a secret that the first visit names as `?token=...` and the browser keeps; None asks for none.
    """
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

    for name, media_type in identity.MEDIA_TYPES.items():
        app.add_api_route(f"/{name}", _asset(name, media_type))
    app.mount("/", StaticFiles(directory=static))
    app.add_exception_handler(PhotovisionError, _explained)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(UnicodeEncodeError, _no_text)
    app.add_middleware(_Guard, token=token)
    return app


def _asset(name: str, media_type: str) -> Callable[[], Response]:
    """A route's function that hands out a file of the visual identity."""
    return lambda: Response(identity.template(name), media_type=media_type)


class _Guard:
    """ASGI middleware: who may ask, how much a body may hold, and the headers of every answer.

    Args:
        app: what lies inside.
        token: the secret, or None.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app, self._token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        fresh = self._is_secret(request.query_params.get(SECRET))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if fresh:
                    headers.append("set-cookie", f"{_cookie(request)}={self._token}; HttpOnly; SameSite=Strict")
            await send(message)

        app = self._refused(request, fresh) or self._app
        await app(scope, _bounded(request, receive), sending)

    def _refused(self, request: Request, fresh: bool) -> ASGIApp | None:
        reason = refusal(request)
        if reason is not None:
            return JSONResponse({"error": reason}, 403)
        length = request.headers.get("content-length", "0")
        if not (length.isdigit() and int(length[:20]) <= _max_bytes(request)):
            return JSONResponse({"error": _TOO_LONG}, 413)
        if self._token is None or fresh or self._is_secret(request.cookies.get(_cookie(request))):
            return None
        reason = (
            "this page belongs to whoever started it: open the address that 'photovision ui' printed, with its token"
        )
        return PlainTextResponse(reason, 403) if request.url.path == "/" else JSONResponse({"error": reason}, 403)

    def _is_secret(self, given: str | None) -> bool:
        return self._token is not None and hmac.compare_digest((given or "").encode(), self._token.encode())


def _cookie(request: Request) -> str:
    """Cookies do not know of ports, so that two pages of one machine need two names."""
    return f"{COOKIE}-{request.url.port or 80}"


def _max_bytes(request: Request) -> int:
    """What the body may hold: texts are short; a picture, which may come without any type, is up to `LARGEST`."""
    kind = request.headers.get("content-type", "").lower()
    return MAX_TEXT if kind.startswith("text/") or "json" in kind else LARGEST


def _bounded(request: Request, receive: Receive) -> Receive:
    """What the client sends; raises UsageError where a body is too long."""
    size, most = 0, _max_bytes(request)

    async def counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > most:
            raise UsageError(_TOO_LONG)
        return message

    return counted


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
    return _error(" ".join(str(error).split()), status)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _error("; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())[:1000], 422)


async def _no_text(request: Request, error: Exception) -> Response:
    return _error("the request holds half a character (a lone surrogate): send text", 400)


def _error(text: str, status: int) -> Response:
    """In ASCII, since names that came in may hold what UTF-8 cannot write."""
    return Response(json.dumps({"error": text}), status, media_type="application/json")
