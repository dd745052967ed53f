"""App: the service as an ASGI application."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import photovision
from photovision.core.errors import PhotovisionError
from photovision.service import routes_explain as explain
from photovision.service import routes_predict as plain
from photovision.service import routes_updates as updates
from photovision.service import routes_v1 as protocol_v1
from photovision.service import routes_v2 as protocol
from photovision.service.logs import Journal
from photovision.service.middleware import OPEN, Middleware
from photovision.service.page import page
from photovision.service.routes_common import as_json
from photovision.service.settings import Settings
from photovision.service.state import Service


class _Described(FastAPI):
    """Its OpenAPI description says which routes need a key."""

    def openapi(self) -> dict[str, Any]:
        fresh = self.openapi_schema is None
        document = super().openapi()
        if fresh and self.state.service.guard is not None:
            document.setdefault("components", {})["securitySchemes"] = {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            }
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    if path not in OPEN:
                        operation["security"] = [{"bearer": []}, {"header": []}]
        return document


def create_app(settings: Settings, journal: Journal | None = None) -> FastAPI:
    """The application; its models are loaded when it starts, and its `state.service` is the running service.

    Args:
        settings: every choice.
        journal: where it logs; standard output if None.

    Raises:
        UsageError: the file of keys is missing or damaged.
    """
    service = Service(settings, journal)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            await service.start()
            yield
        except PhotovisionError as error:
            service.failure = error
            raise
        finally:
            await service.stop()

    app = _Described(
        title="Photovision",
        version=photovision.__version__,
        description="What is in these pictures, and where? Calibrated answers of models that know their limits.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        # Nothing is sent anywhere, whatever the environment says; /metrics and the log are read from outside.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.service = service
    for routes in (plain, explain, protocol, updates, protocol_v1):
        app.include_router(routes.router(service))
    if settings.faces is not None:
        _faces(app, service, settings.faces)
    _pages(app, service)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_middleware(Middleware, service=service)
    return app


def _faces(app: FastAPI, service: Service, store: Path) -> None:
    from photovision.service import routes_faces, routes_register
    from photovision.service.faces import ServedFaces

    service.faces = ServedFaces(store, service.limits.queue)
    for routes in (routes_faces, routes_register):
        app.include_router(routes.router(service, service.faces))


def _pages(app: FastAPI, service: Service) -> None:
    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return page(app.openapi())


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return as_json({"error": str(error.detail)}, error.status_code, dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    messages = (f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
    return Response(json.dumps({"error": "; ".join(messages)[:1000]}), 422, media_type="application/json")
