"""Long polling: each answer to a GET brings a client its messages; what it says comes by POST.

Sources: "Transport Protocols" in dotnet/aspnetcore (`src/SignalR/docs/specs/TransportProtocols.md`) and, for the
order in which polls replace each other, ASP.NET Core's `HttpConnectionDispatcher`.
"""

from __future__ import annotations

import asyncio
import contextlib

from starlette.requests import Request
from starlette.responses import Response

from hubpass.emulator.client_events import client_left
from hubpass.emulator.client_session import Session
from hubpass.emulator.connections import Connection, End
from hubpass.emulator.interception import call_of
from hubpass.emulator.journal import Call
from hubpass.emulator.service import Service

NO_CACHE = {"cache-control": "no-cache, no-store", "pragma": "no-cache", "expires": "Thu, 01 Jan 1970 00:00:00 GMT"}


class Poll:
    """One open poll: `superseded` when a newer one has come, `over` when it has its answer."""

    def __init__(self) -> None:
        self.superseded = asyncio.Event()
        self.over = asyncio.Event()


class PollingSession(Session):
    """A session that lives between requests. Polls keep it alive, so it sends no keep-alives of its own."""

    def __init__(self, service: Service, connection: Connection, call: Call) -> None:
        super().__init__(service, connection, call, inherent_keep_alive=True)
        self._poll: Poll | None = None
        self._living = asyncio.ensure_future(self._live())

    async def poll(self, request: Request) -> Response:
        """Wait for messages and answer with all of them; 204 says that the connection or this poll has ended."""
        poll, previous = Poll(), self._poll
        self._poll = poll
        try:
            if previous is not None:
                previous.superseded.set()
                await previous.over.wait()
            return await self._answer(poll, request)
        finally:
            poll.over.set()
            self.note_life()
            if self._poll is poll:
                self._poll = None

    def silence(self) -> float:
        """For how many seconds there was neither a poll nor anything else of the client."""
        return 0.0 if self._poll is not None else super().silence()

    def finish(self) -> None:
        """The connection is over, and its id is worth nothing any more."""
        super().finish()
        self._living.cancel()

    def stop(self) -> None:
        """The client has asked for the end."""
        self.connection.leave("closed by the client")
        self.finish()

    async def _answer(self, poll: Poll, request: Request) -> Response:
        getting = asyncio.ensure_future(self.connection.outgoing.get())
        superseding = asyncio.ensure_future(poll.superseded.wait())
        leaving = asyncio.ensure_future(client_left(request.receive))
        waiting = (getting, superseding, leaving)
        try:
            await asyncio.wait(waiting, timeout=self._service.timing.poll_timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if getting.done():
            return await self._answer_with(getting.result(), request)
        call = call_of(request.scope)
        if leaving.done() or superseding.done():
            call.action = "client left" if leaving.done() else "superseded"
            return _without_content(204)
        call.action = "timed out"
        return _without_content(200)

    async def _answer_with(self, first: bytes | End, request: Request) -> Response:
        items: list[bytes] = []
        item = first
        while not isinstance(item, End):
            items.append(item)
            if self.connection.outgoing.empty():
                break
            item = self.connection.outgoing.get_nowait()
        if isinstance(item, End) and items:
            # The messages go first; the next poll, if there is one, is told to stop polling.
            self.connection.outgoing.put_nowait(item)
            self.depart()
        elif isinstance(item, End):
            if item is End.CUT:
                request.scope["state"]["abort"]()
                await client_left(request.receive)
            self.finish()
            return _without_content(204)
        return Response(b"".join(items), media_type="application/octet-stream", headers=NO_CACHE)

    async def _live(self) -> None:
        await self.watch()
        # A client that still polls is to learn why its connection ends.
        while not self.ended.is_set() and self.silence() < self._service.timing.client_timeout:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.ended.wait(), self._service.timing.client_timeout)
        self.finish()


def first_answer() -> Response:
    """The first poll only makes the connection, and is answered at once."""
    return Response(b"", media_type="application/octet-stream", headers=NO_CACHE)


def _without_content(status: int) -> Response:
    return Response(status_code=status, media_type="text/plain", headers=NO_CACHE)
