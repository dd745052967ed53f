"""Streamable HTTP as the transport of the Model Context Protocol: one POST a message, answered as JSON."""

from __future__ import annotations

import socket

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, Response

from photovision.app.agents.desk import Desk
from photovision.app.agents.protocol import MAX_MESSAGE, Protocol
from photovision.service.connection import BoundedHead
from photovision.service.origin import LOOPBACK, foreign_host, foreign_site

PATH = "/mcp"


def routes(desk: Desk) -> APIRouter:
    """The endpoint, to be included in an application of FastAPI; pages and names of strangers are refused."""
    router, protocol = APIRouter(), Protocol(desk)

    @router.post(PATH)
    async def message(request: Request) -> Response:
        headers = dict(request.scope["headers"])
        if foreign_host(headers, LOOPBACK) or foreign_site(headers, LOOPBACK):
            return JSONResponse({"detail": "only programs of this machine are answered"}, 403)
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > MAX_MESSAGE:
                return JSONResponse({"detail": f"a message has at most {MAX_MESSAGE:,} bytes"}, 413)
        answer = await run_in_threadpool(protocol.answer, bytes(content))
        return Response(status_code=202) if answer is None else JSONResponse(answer)

    return router


def create_agent_app(desk: Desk) -> FastAPI:
    """An application with nothing but the endpoint."""
    app = FastAPI(title="Photovision for agents", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(routes(desk))
    return app


def serve_http(desk: Desk, own: socket.socket) -> None:
    """Answer on a socket of this machine until Ctrl-C."""
    config = uvicorn.Config(
        create_agent_app(desk), http=BoundedHead, ws="none", log_level="warning", access_log=False, server_header=False
    )
    uvicorn.Server(config).run(sockets=[own])
