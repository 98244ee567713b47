"""ASGI layers around the data plane: the journal, CORS for browsers, and faults on order."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubpass.emulator.faults import Fault
from hubpass.emulator.journal import Call
from hubpass.emulator.routes import Route, find_route
from hubpass.emulator.service import Service, log

_GARBAGE = "\x00\x01 this is neither JSON nor a hub message \xff"
# What @microsoft/signalr sends across origins.
_CORS_HEADERS = "authorization, content-type, x-requested-with, x-signalr-user-agent"
_DISCONNECTS = frozenset({"http.disconnect", "websocket.disconnect"})
_MOST_BUFFERED_BYTES = 4 * 1024 * 1024


def call_of(scope: Scope) -> Call:
    """The journal's record of the request that this scope belongs to."""
    call: Call = scope["state"]["call"]
    return call


class RecordCalls:
    """Outermost layer: every call ends in the journal before its client can know the answer."""

    def __init__(self, app: ASGIApp, service: Service, routes: tuple[Route, ...]) -> None:
        self._app = app
        self._service = service
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and record it once, with the status that was sent first."""
        events = "text/event-stream" in Headers(scope=scope).get("accept", "").lower()
        match = find_route(self._routes, scope["type"], scope.get("method", "GET"), scope["path"], events=events)
        call = Call(
            route=match.name,
            method=scope.get("method", "WEBSOCKET"),
            path=self._service.redactor.path(scope["path"], scope["query_string"]),
            era=self._service.journal.era,
        )
        scope["state"]["call"] = call
        scope["state"]["match"] = match
        recorded = False

        def record() -> None:
            nonlocal recorded
            if not recorded:
                recorded = True
                self._service.journal.record(call)
                log.info(
                    "%s %s -> %s%s",
                    call.method,
                    call.path,
                    call.status or call.action,
                    f" ({call.reason})" if call.reason else "",
                )

        async def recording_send(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                call.status = message["status"]
                record()
            elif message["type"] == "websocket.accept":
                call.status = 101
                record()
            await send(message)

        try:
            scope["state"]["record"] = record
            await self._app(scope, receive, recording_send)
        finally:
            if not recorded and call.action == "served":
                call.action = "client left"
            record()


class AllowBrowsers:
    """CORS as the service does it for its client routes: any origin, echoed, with credentials.

    The JavaScript client sends credentials by default, and a browser then refuses the wildcard origin.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer preflights and mark the answers to requests of other origins."""
        origin = Headers(scope=scope).get("origin")
        if scope["type"] != "http" or origin is None or not scope["path"].startswith("/client"):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope):
            call_of(scope).route = "preflight"
            answer = Response(status_code=204)
            answer.headers["access-control-allow-methods"] = "GET, POST, DELETE"
            answer.headers["access-control-allow-headers"] = _CORS_HEADERS
            _allow(answer.headers, origin)
            await answer(scope, receive, send)
            return

        async def allowing_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                _allow(MutableHeaders(scope=message), origin)
            await send(message)

        await self._app(scope, receive, allowing_send)


class InjectFaults:
    """Does to a call what the control API has ordered for its route."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or let it fail."""
        call = call_of(scope)
        fault = self._service.faults.next_for(call.route)
        if fault is None:
            await self._app(scope, receive, send)
            return
        waiting = _Waiting(receive)
        try:
            await self._misbehave(fault, call, scope, waiting, send)
        finally:
            waiting.stop()

    async def _misbehave(self, fault: Fault, call: Call, scope: Scope, waiting: _Waiting, send: Send) -> None:
        if not await self._wait(fault, call, waiting):
            call.action = "fault: client left"
            return
        if fault.outcome == "serve":
            call.action = "fault: held" if fault.hold else "fault: delayed"
            await self._app(scope, waiting.receive, send)
            return
        call.action = f"fault: {fault.outcome}"
        if fault.outcome == "drop":
            scope["state"]["record"]()
            scope["state"]["abort"]()
            # Until the server knows that the connection is gone, it would answer for an application that
            # returned.
            while (await waiting.receive())["type"] not in _DISCONNECTS:
                pass
        elif scope["type"] == "websocket" and fault.outcome == "garbage":
            await waiting.receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.send", "text": _GARBAGE})
            await send({"type": "websocket.close", "code": 1000})
        else:
            await _answer(fault, scope, waiting, send)

    async def _wait(self, fault: Fault, call: Call, waiting: _Waiting) -> bool:
        """Hold and delay the call; False if its client went away meanwhile."""
        if fault.hold:
            held = self._service.faults.hold(call.route, call.method, call.path)
            try:
                if not await waiting.until(held.released.wait()):
                    return False
            finally:
                self._service.faults.forget(held)
        return not fault.delay or await waiting.until(asyncio.sleep(fault.delay))


class _Waiting:
    """Reads ahead while a call waits, because only reading tells that the client went away."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ahead: deque[Message] = deque()
        self._pending: asyncio.Task[Message] | None = None
        self._bytes = 0

    async def until(self, moment: Any) -> bool:
        """Wait for the awaitable; False as soon as the client is gone."""
        waiting = asyncio.ensure_future(moment)
        try:
            while not waiting.done():
                if self._bytes > _MOST_BUFFERED_BYTES:
                    await waiting
                    break
                self._pending = self._pending or asyncio.ensure_future(_one(self._receive))
                await asyncio.wait({waiting, self._pending}, return_when=asyncio.FIRST_COMPLETED)
                if self._pending.done():
                    message = self._pending.result()
                    self._pending = None
                    if message["type"] in _DISCONNECTS:
                        return False
                    self._bytes += len(message.get("body", b""))
                    self._ahead.append(message)
            return True
        finally:
            waiting.cancel()

    def stop(self) -> None:
        """Nobody reads any more."""
        if self._pending is not None:
            self._pending.cancel()

    async def receive(self) -> Message:
        """What was read ahead, then whatever follows."""
        if self._ahead:
            return self._ahead.popleft()
        if self._pending is not None:
            pending, self._pending = self._pending, None
            return await pending
        return await self._receive()


async def _one(receive: Receive) -> Message:
    return await receive()


def _allow(headers: MutableHeaders, origin: str) -> None:
    headers["access-control-allow-origin"] = origin
    headers["access-control-allow-credentials"] = "true"
    headers.add_vary_header("Origin")


async def _answer(fault: Fault, scope: Scope, waiting: _Waiting, send: Send) -> None:
    garbage = fault.outcome == "garbage"
    answer = Response(_GARBAGE if garbage else fault.body, status_code=fault.status)
    answer.headers["content-type"] = "application/json" if garbage else "text/plain; charset=utf-8"
    answer.headers.update(fault.headers)
    await answer(scope, waiting.receive, send)
