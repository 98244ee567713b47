"""Server-Sent Events: one answer that never ends brings a client its messages; what it says comes by POST.

Sources: "Transport Protocols" in dotnet/aspnetcore (`src/SignalR/docs/specs/TransportProtocols.md`) and the
event stream format of the HTML standard.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hubpass.emulator.client_session import Session
from hubpass.emulator.connections import End

_HEADERS = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache,no-store"),
    (b"pragma", b"no-cache"),
    (b"content-encoding", b"identity"),
]


class EventStream(Response):
    """The answer that carries a session; the session is over when the answer is."""

    def __init__(self, session: Session) -> None:
        super().__init__(status_code=200)
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the connection ends or the client goes away."""
        leaving = asyncio.ensure_future(client_left(receive))
        watching = asyncio.ensure_future(self._session.watch())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            # A comment; some browsers report an open stream only once they have received something.
            await send({"type": "http.response.body", "body": b":\r\n\r\n", "more_body": True})
            await self._send_events(scope, send, leaving)
        finally:
            leaving.cancel()
            watching.cancel()
            self._session.finish()

    async def _send_events(self, scope: Scope, send: Send, leaving: asyncio.Future[None]) -> None:
        while True:
            getting = asyncio.ensure_future(self._session.connection.outgoing.get())
            either: set[asyncio.Future[Any]] = {getting, leaving}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not getting.done():
                getting.cancel()
                return
            item = getting.result()
            if item is End.CUT:
                scope["state"]["abort"]()
                # Until the server knows that the connection is gone, it would complain of half an answer.
                await leaving
                return
            if isinstance(item, End):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            await send({"type": "http.response.body", "body": _event(item), "more_body": True})
            self._session.note_sent()


async def client_left(receive: Receive) -> None:
    """Return when the client of a request without content goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(message: bytes) -> bytes:
    # The JSON hub protocol escapes line ends within texts and writes none between them.
    return b"data: " + message + b"\r\n\r\n"
