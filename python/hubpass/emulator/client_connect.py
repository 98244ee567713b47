"""The WebSocket of a client: admission, handshake, and what the client says afterwards."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from starlette.websockets import WebSocket, WebSocketDisconnect

from hubpass.emulator import json_hub_protocol as protocol
from hubpass.emulator.authentication import client_claims, client_hub, single_query_value
from hubpass.emulator.claims import WEB_SOCKETS, Identity, identity_of
from hubpass.emulator.connections import CloseOrder, Connection, IdInUseError, Negotiated, UnknownIdError
from hubpass.emulator.interception import call_of
from hubpass.emulator.journal import Call
from hubpass.emulator.json_hub_protocol import ProtocolError, RecordReader
from hubpass.emulator.service import Service, log
from hubpass.emulator.tokens import Refusal, RefusedError

# What the service answers in the handshake, as quoted in aspnet/AzureSignalR-samples issue 133.
_NO_HUB_SERVER = (
    "SignalR Service is now in 'Default' service mode. Current mode works as a proxy that routes client "
    "traffic to the connected app servers. However app servers are not connected."
)
_NO_UPSTREAM = "Invocation failed: the service is in Serverless mode and no upstream is configured for '{}'."
# How long a client may take to answer a close frame before its connection is cut.
_FAREWELL_SECONDS = 2.0


async def serve_connection(service: Service, websocket: WebSocket) -> None:
    """Serve one WebSocket until it ends; raises `RefusedError` before it is accepted."""
    call = call_of(websocket.scope)
    identity, promised = _admit(service, websocket, call)
    try:
        await websocket.accept()
        records = await _shake_hands(service, websocket, call)
        if records is not None:
            connection = service.connections.add(promised, identity)
            await _Session(service, websocket, connection, call).run(*records)
    except WebSocketDisconnect:
        # The client went away before the handshake was over, which the journal shows as a connect without
        # more.
        return
    finally:
        service.connections.release(promised)


def _admit(service: Service, websocket: WebSocket, call: Call) -> tuple[Identity, Negotiated]:
    hub = client_hub(websocket)
    call.hub = hub.lower()
    identity = identity_of(client_claims(service, websocket, hub, query_allowed=True))
    call.user_id = identity.user_id
    if not identity.transports & WEB_SOCKETS:
        _refuse(404, "The token's asrs.s.htt does not allow WebSockets.")
    token = single_query_value(websocket, "id", required=False)
    try:
        promised = service.connections.claim(hub.lower(), token)
    except UnknownIdError:
        _refuse(404, "No connection with that ID: it was not negotiated for this hub, or too long ago.")
    except IdInUseError:
        _refuse(409, "A WebSocket with that ID is open already.")
    call.connection_id = promised.connection_id
    return identity, promised


async def _shake_hands(service: Service, websocket: WebSocket, call: Call) -> tuple[RecordReader, list[str]] | None:
    """The reader and the records that came along with the handshake, or None if it was refused."""
    reader = RecordReader()
    records: list[str] = []
    reason: str | None = None
    try:
        while not records:
            text = await asyncio.wait_for(_receive(websocket, binary_allowed=True), service.timing.handshake_timeout)
            records = reader.feed(text)
        protocol.check_handshake(records[0])
        if service.service_mode == "Default":
            log.error(
                "A client was refused because hub %s has no hub server in service mode Default. Set the "
                "Service Mode of the resource to Serverless (here: --service-mode Serverless).",
                call.hub,
            )
            reason = _NO_HUB_SERVER
    except ProtocolError as error:
        reason = str(error)
    except asyncio.TimeoutError:
        reason = "The handshake took too long."
    if reason is None:
        return reader, records[1:]
    _record(service, call, "handshake", "refused", reason)
    await websocket.send_text(protocol.handshake_refused(reason))
    await websocket.close()
    return None


class _Session:
    """An open connection: one task writes what is queued, the other reads what the client says."""

    def __init__(self, service: Service, websocket: WebSocket, connection: Connection, call: Call) -> None:
        self._service = service
        self._websocket = websocket
        self._connection = connection
        self._call = call
        self._refused_streams: set[str] = set()
        self._ended_by: str | None = None

    async def run(self, reader: RecordReader, records: list[str]) -> None:
        self._connection.send(protocol.HANDSHAKE_ACCEPTED)
        writing = asyncio.ensure_future(self._write())
        reading = asyncio.ensure_future(self._read(reader, records))
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait({reading}, timeout=_FAREWELL_SECONDS)
            elif not writing.done() and self._connection.closing:
                await asyncio.wait({writing}, timeout=_FAREWELL_SECONDS)
        finally:
            writing.cancel()
            reading.cancel()
            results = await asyncio.gather(writing, reading, return_exceptions=True)
            _record(self._service, self._call, "disconnect", self._ended_by or "client left", None)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                raise result

    async def _write(self) -> None:
        while True:
            try:
                item = await asyncio.wait_for(self._connection.outgoing.get(), self._service.timing.ping_interval)
            except asyncio.TimeoutError:
                item = protocol.ping()
            if isinstance(item, CloseOrder):
                ended_by = f"closed: {item.error}" if item.error else "closed by the service"
                self._ended_by = self._ended_by or ended_by
                await self._websocket.send_text(protocol.close(item.error, item.allow_reconnect))
                await self._websocket.close()
                return
            await self._websocket.send_text(item)

    async def _read(self, reader: RecordReader, records: list[str]) -> None:
        try:
            while True:
                for record in records:
                    if self._handle(record):
                        return
                text = await asyncio.wait_for(
                    _receive(self._websocket, binary_allowed=False), self._service.timing.client_timeout
                )
                records = reader.feed(text)
        except ProtocolError as error:
            self._connection.close(CloseOrder(str(error)))
        except asyncio.TimeoutError:
            self._connection.close(CloseOrder("The client has been silent for too long."))

    def _handle(self, record: str) -> bool:
        """Act on one record; True when the client says goodbye."""
        message = protocol.parse(record)
        kind = message.get("type")
        invocation_id = message.get("invocationId")
        if kind in (protocol.INVOCATION, protocol.STREAM_INVOCATION):
            self._refuse_invocation(message.get("target"), invocation_id, message.get("streamIds"))
        elif kind in (protocol.STREAM_ITEM, protocol.COMPLETION):
            # Items of an upload may be on their way when the invocation that announced them has been refused.
            if not isinstance(invocation_id, str) or invocation_id not in self._refused_streams:
                raise ProtocolError("The client answered an invocation that the service never made.")
        elif kind == protocol.CLOSE:
            self._ended_by = "closed by the client"
            self._connection.close(CloseOrder())
            return True
        elif kind not in (protocol.PING, protocol.CANCEL_INVOCATION):
            raise ProtocolError("The local Azure does not support this type of message.")
        return False

    def _refuse_invocation(self, target: object, invocation_id: object, stream_ids: object) -> None:
        """Without an upstream nobody can serve an invocation; only a caller that waits can be told."""
        if not isinstance(target, str) or not isinstance(invocation_id, (str, type(None))):
            raise ProtocolError("An invocation needs a target, and its id must be a string.")
        if isinstance(stream_ids, list):
            self._refused_streams.update(item for item in stream_ids if isinstance(item, str))
        reason = _NO_UPSTREAM.format(target)
        action = "dropped" if invocation_id is None else "refused"
        log.warning("Hub %s: an invocation from a client was %s. %s", self._call.hub, action, reason)
        _record(self._service, self._call, "invoke", action, reason, target)
        if invocation_id is not None:
            self._connection.send(protocol.failed_completion(invocation_id, reason))


async def _receive(websocket: WebSocket, *, binary_allowed: bool) -> str:
    """The text of the next message; raises `WebSocketDisconnect` when there will be none.

    The handshake is JSON in a binary message too when the client means to speak a binary protocol afterwards.
    """
    message = await websocket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    if isinstance(text, str):
        return text
    if not binary_allowed:
        raise ProtocolError("The JSON hub protocol uses text messages.")
    try:
        return bytes(message["bytes"]).decode("utf-8")
    except UnicodeDecodeError:
        raise ProtocolError("The handshake is not UTF-8.") from None


def _record(
    service: Service, call: Call, route: str, action: str, reason: str | None, target: str | None = None
) -> None:
    """Journal something that happened on an open WebSocket."""
    service.journal.record(
        Call(
            route=route,
            method="WEBSOCKET",
            path=call.path,
            hub=call.hub,
            user_id=call.user_id,
            connection_id=call.connection_id,
            target=target,
            reason=reason,
            action=action,
        )
    )


def _refuse(status: int, text: str) -> NoReturn:
    raise RefusedError(Refusal(status, text, body=text))
