"""The WebSocket of a client: carries what its session says and hears."""

from __future__ import annotations

import asyncio

from starlette.websockets import WebSocket, WebSocketDisconnect

from hubpass.emulator.client_admission import admit, identify
from hubpass.emulator.client_session import Session
from hubpass.emulator.connections import End
from hubpass.emulator.interception import call_of
from hubpass.emulator.service import Service
from hubpass.emulator.transports import WEB_SOCKETS

# How long a client may take to answer a close frame before its connection is cut.
_FAREWELL_SECONDS = 2.0


async def serve_websocket(service: Service, websocket: WebSocket) -> None:
    """Serve one WebSocket until it ends; raises `RefusedError` before it is accepted."""
    hub, identity = identify(service, websocket, query_allowed=True)
    connection = admit(service, websocket, hub, identity, WEB_SOCKETS)
    session = Session(service, connection, call_of(websocket.scope))
    try:
        await websocket.accept()
        await _carry(session, websocket)
    finally:
        session.finish()


async def _carry(session: Session, websocket: WebSocket) -> None:
    """Write and read side by side until one of the two ends."""
    writing = asyncio.ensure_future(_write(session, websocket))
    reading = asyncio.ensure_future(_read(session, websocket))
    watching = asyncio.ensure_future(session.watch())
    try:
        await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            await asyncio.wait({reading}, timeout=_FAREWELL_SECONDS)
    finally:
        tasks = (writing, reading, watching)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
            raise result


async def _write(session: Session, websocket: WebSocket) -> None:
    connection = session.connection
    while True:
        item = await connection.outgoing.get()
        if item is End.CUT:
            websocket.scope["state"]["abort"]()
            return
        if isinstance(item, End):
            await websocket.close()
            return
        if connection.protocol is not None and connection.protocol.binary:
            await websocket.send_bytes(item)
        else:
            await websocket.send_text(item.decode("utf-8"))
        session.note_sent()


async def _read(session: Session, websocket: WebSocket) -> None:
    while True:
        message = await websocket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text")
        protocol = session.connection.protocol
        # A client that means to speak a binary protocol sends its handshake, which is JSON, in a binary message too.
        if protocol is not None and protocol.binary == isinstance(text, str):
            kind = "binary" if protocol.binary else "text"
            session.complain(f"The hub protocol '{protocol.name}' uses {kind} messages.")
            continue
        session.hear(text.encode("utf-8") if isinstance(text, str) else bytes(message["bytes"]))
