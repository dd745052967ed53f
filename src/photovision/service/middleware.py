"""Gate: what every request passes, outermost: its name, its caller's key and rate, its time, its line in the log."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
import sys
import time
import traceback
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from photovision.service.http_error import Refusal
from photovision.service.keys import Key
from photovision.service.limits import whole_seconds
from photovision.service.origin import LOOPBACK, foreign_host, foreign_site, host_name
from photovision.service.settings import Settings
from photovision.service.state import Service

OPEN = ("/", "/docs", "/openapi.json", "/metrics", "/v2", "/v2/health/live", "/v2/health/ready")
"""Paths that need no key: nothing in them tells of pictures, callers or models' answers."""
OPEN_GUARDED = tuple(path for path in OPEN if path != "/metrics")
"""The same with `guard_metrics`."""
_NAME = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_PLACE = "photovision"


@dataclass(eq=False, slots=True)
class RequestContext:
    """What is known of one request.

    Attributes:
        id: its name, unique.
        address: where it comes from, behind proxies that are trusted.
        caller: the name of its key, or its address.
        key: its key, where the service has keys.
        status: of its answer; 0 before there is one.
        pictures: how many it brought.
        model, version: who answered.
        reason: why it was refused, one word.
    """

    id: str
    address: str = ""
    caller: str = ""
    key: Key | None = None
    status: int = 0
    pictures: int = 0
    model: str = ""
    version: str = ""
    reason: str = ""


def visit_of(request: Request) -> RequestContext:
    """What the gate knows of a request."""
    visit: RequestContext = request.scope[_PLACE]
    return visit


class Middleware:
    """ASGI middleware around the whole application.

    Args:
        app: what lies inside.
        service: its state.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service
        self._named = frozenset(map(host_name, service.settings.allow_hosts))
        self._hosts = _hosts(service.settings, self._named)
        self._open = OPEN_GUARDED if service.settings.guard_metrics else OPEN
        # A start of its own for every process and a number: unique, and cheaper than chance for every request.
        self._start, self._count = secrets.token_hex(4), itertools.count()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        headers = dict(scope["headers"])
        visit = RequestContext(f"{self._start}{next(self._count):08x}")
        scope[_PLACE] = visit
        named = headers.get(b"x-request-id", b"")
        extra = [(b"x-request-id", named if _NAME.fullmatch(named) else visit.id.encode())]
        if self._service.draining:
            extra.append((b"connection", b"close"))

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                visit.status = message["status"]
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        try:
            self._admit(scope, headers, visit)
            async with asyncio.timeout(self._service.limits.timeout):
                await self._app(scope, receive, sending)
        except Exception as error:
            await self._refuse(_refusal(error, self._service), visit, sending)
        finally:
            self._tell(scope, visit, time.perf_counter() - began)

    def _admit(self, scope: Scope, headers: dict[bytes, bytes], visit: RequestContext) -> None:
        service = self._service
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        visit.caller = visit.address = service.callers.address(peer, forwarded)
        self._check_origin(scope, headers)
        if service.guard is not None:
            visit.key = service.guard.known(_shown(headers))
        if scope["path"] in self._open:
            return
        if service.guard is not None:
            if visit.key is None:
                raise _no_key(service.wrong_keys.take(visit.address))
            visit.caller = visit.key.name
        rates = service.rate_for(visit.key.rate if visit.key else None)
        wait = rates.take(visit.caller) if rates else 0.0
        if wait:
            raise Refusal(
                429, "more pictures a second than allowed: slow down", "rate", retry_after=whole_seconds(wait)
            )

    def _check_origin(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Refuse what pages of strangers send; with keys the key decides, since no stranger's page knows one."""
        if self._service.guard is not None:
            return
        if self._hosts and foreign_host(headers, self._hosts):
            raise Refusal(
                403,
                "not a name of this service: list it in allow_hosts in the file of --config, or use --keys",
                "host",
            )
        # A person may follow a link to a page here, which shows nothing to the site that the link is on.
        visit = scope["method"] == "GET" and headers.get(b"sec-fetch-mode") == b"navigate"
        if not visit and foreign_site(headers, self._named):
            raise Refusal(
                403,
                "a page of another site asked for this: list its name in allow_hosts in the file of --config",
                "origin",
            )

    async def _refuse(self, refusal: Refusal, visit: RequestContext, send: Send) -> None:
        visit.reason = refusal.reason
        self._service.metrics.rejected.labels(refusal.reason).inc()
        if visit.status:  # the answer has begun; breaking off is all that is left
            raise refusal
        body = json.dumps({"error": refusal.message}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if refusal.retry_after is not None:
            headers.append((b"retry-after", str(refusal.retry_after).encode()))
        if refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if refusal.close:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _tell(self, scope: Scope, visit: RequestContext, seconds: float) -> None:
        service, route = self._service, getattr(scope.get("route"), "path", "other")
        service.metrics.answered(route, visit.status, seconds)
        facts: dict[str, Any] = {"id": visit.id, "method": scope["method"][:16], "route": route, "status": visit.status}
        facts["seconds"] = round(seconds, 5)
        if visit.pictures:
            facts |= {"pictures": visit.pictures, "model": visit.model, "version": visit.version}
        if visit.reason:
            facts["reason"] = visit.reason
        if service.settings.log_clients:
            facts |= {"caller": visit.caller, "address": visit.address}
        service.journal.request(**facts)


def _hosts(settings: Settings, named: frozenset[str]) -> frozenset[str]:
    """The names under which the service may be asked; none where every name is right, as behind 0.0.0.0."""
    own = f"[{settings.host}]" if ":" in settings.host else settings.host.lower()
    local = own in LOOPBACK or own.startswith("127.")
    return named | LOOPBACK | {own} if local or named else frozenset()


def _no_key(wait: float) -> Refusal:
    """A wrong key, or none; addresses that send many are asked to wait, others behind the same address are not."""
    if wait:
        return Refusal(429, "too many wrong keys", "key", retry_after=whole_seconds(wait), close=True)
    return Refusal(401, "expected a valid key, as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'", "key")


def _shown(headers: dict[bytes, bytes]) -> str:
    scheme, _, text = headers.get(b"authorization", b"").partition(b" ")
    key = text.strip() if scheme.lower() == b"bearer" else headers.get(b"x-api-key", b"")
    return key[:256].decode("latin-1")


def _refusal(error: Exception, service: Service) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, TimeoutError):
        seconds = service.limits.timeout
        return Refusal(503, f"no answer within {seconds:g} s: try again", "timeout", retry_after=5, close=True)
    # A fault of ours. What it was stays here: messages of libraries may hold parts of the request.
    print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
    return Refusal(500, "the service failed at this request", "fault")
