"""An open WebSocket of a Web PubSub client: what the client says, and what is written to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from hubpass.emulator import web_pubsub_messages as messages
from hubpass.emulator.journal import Call
from hubpass.emulator.service import Service, log
from hubpass.emulator.web_pubsub_connections import Socket, WebPubSubClose, WebPubSubConnection
from hubpass.emulator.web_pubsub_messages import Data, Message
from hubpass.emulator.web_pubsub_requests import (
    GroupRequest,
    JoinGroup,
    MalformedError,
    Ping,
    SendEvent,
    SendToGroup,
    SequenceAck,
    parse_request,
)

# The service's limit for one message of a client ("Azure Web PubSub service internals" of its documentation).
_MOST_BYTES = 1024 * 1024
_NORMAL_CLOSURE, _NO_STATUS = 1000, 1005
_INVALID_TYPE, _INVALID_PAYLOAD, _POLICY_VIOLATION, _TOO_BIG, _INTERNAL_ERROR = 1003, 1007, 1008, 1009, 1011
# How long a client may take to answer a close frame before its connection is cut.
_FAREWELL_SECONDS = 2.0


@dataclass(frozen=True)
class PlainMode:
    """Where the frames of a client without a subprotocol go: to a group, or to the event handler (None)."""

    group: str | None = None
    no_echo: bool = False


class WebPubSubSession:
    """One task writes what is queued for the WebSocket, the other reads what the client says."""

    def __init__(
        self,
        service: Service,
        websocket: WebSocket,
        connection: WebPubSubConnection,
        socket: Socket,
        mode: PlainMode,
        call: Call,
    ) -> None:
        self._service = service
        self._connections = service.web_pubsub.connections
        self._websocket = websocket
        self._connection = connection
        self._socket = socket
        self._mode = mode
        self._call = call
        self._ended_by: str | None = None

    async def run(self) -> None:
        """Serve the WebSocket until it ends."""
        writing = asyncio.ensure_future(self._write())
        reading = asyncio.ensure_future(self._read())
        try:
            await asyncio.wait({writing, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait({reading}, timeout=_FAREWELL_SECONDS)
            elif not writing.done() and self._socket.closing:
                await asyncio.wait({writing}, timeout=_FAREWELL_SECONDS)
        finally:
            writing.cancel()
            reading.cancel()
            results = await asyncio.gather(writing, reading, return_exceptions=True)
            self._record("web_pubsub_disconnect", self._ended_by or "connection lost")
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
                raise result

    async def _write(self) -> None:
        while True:
            item = await self._socket.outgoing.get()
            if isinstance(item, WebPubSubClose):
                self._ended_by = self._ended_by or f"closed: {item.reason}"
                if item.announced and self._connection.subprotocol is not None:
                    await self._websocket.send_text(messages.disconnected(item.reason))
                # As much of the reason as a close frame has room for: the WebSocket layer sees to that.
                await self._websocket.close(item.code, item.reason)
                return
            if isinstance(item, str):
                await self._websocket.send_text(item)
            else:
                await self._websocket.send_bytes(item)

    async def _read(self) -> None:
        while True:
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                self._take_leave(message)
                return
            if self._socket.closing:
                # What the client said before it heard of the end has no effect.
                continue
            content: str | bytes = message["bytes"] if message.get("text") is None else message["text"]
            order = self._too_big(content)
            if order is None:
                plain = self._connection.subprotocol is None
                order = self._handle_frame(content) if plain else self._handle_message(content)
            if order is not None:
                self._connections.end(self._connection, order)

    def _take_leave(self, message: Any) -> None:
        """A close frame is a farewell unless it tells of an error; only then may a reliable client come back."""
        code = message.get("code", _NO_STATUS)
        # The server has no reason to pass on where the connection was cut.
        if "reason" in message and code in {_NORMAL_CLOSURE, _NO_STATUS}:
            self._ended_by = self._ended_by or "closed by the client"
            self._connections.end(self._connection, None)

    def _too_big(self, content: str | bytes) -> WebPubSubClose | None:
        size = len(content.encode()) if isinstance(content, str) else len(content)
        return WebPubSubClose(_TOO_BIG, "The message is too large.") if size > _MOST_BYTES else None

    def _handle_frame(self, content: str | bytes) -> WebPubSubClose | None:
        """Act on a frame of a client without a subprotocol; the way to end its connection if it must end."""
        group = self._mode.group
        if group is None:
            # Nobody acknowledges a bare frame, so a failure is told by the end of the connection.
            return WebPubSubClose(_INTERNAL_ERROR, self._refuse_event("message", "refused"))
        if not self._connection.identity.may_send_to(group):
            reason = "No role of the client allows it to send to this group."
            self._record("web_pubsub_message", "refused", reason, group)
            return WebPubSubClose(_POLICY_VIOLATION, reason)
        data = Data.of_text(content) if isinstance(content, str) else Data.of_binary(content)
        self._send_to_group(group, data, no_echo=self._mode.no_echo)
        return None

    def _handle_message(self, content: str | bytes) -> WebPubSubClose | None:
        """Act on a message of a JSON subprotocol; the way to end the connection if it is not one."""
        if not isinstance(content, str):
            return WebPubSubClose(_INVALID_TYPE, "The JSON subprotocols use text messages.")
        try:
            request = parse_request(content, reliable=self._connection.reliable)
        except MalformedError as error:
            self._record("web_pubsub_message", "refused", str(error))
            return WebPubSubClose(_INVALID_PAYLOAD, str(error))
        if isinstance(request, Ping):
            self._connection.tell(messages.pong())
        elif isinstance(request, SequenceAck):
            self._connection.acknowledge(request.sequence_id)
        elif request.ack_id is not None and self._connection.has_done(request.ack_id):
            text = f"The message with ackId {request.ack_id} has been processed already."
            self._connection.tell(messages.refused(request.ack_id, "Duplicate", text))
        elif isinstance(request, SendEvent):
            action = "dropped" if request.ack_id is None else "refused"
            self._answer(request.ack_id, "InternalServerError", self._refuse_event(request.event, action))
        else:
            self._carry_out(request)
        return None

    def _carry_out(self, request: GroupRequest) -> None:
        """Do what is asked of a group if a role of the client allows it."""
        identity, group = self._connection.identity, request.group
        sending = isinstance(request, SendToGroup)
        if not (identity.may_send_to(group) if sending else identity.may_join_or_leave(group)):
            wish = "send to" if sending else "join or leave"
            reason = f"No role of the client allows it to {wish} the group {group}."
            self._record("web_pubsub_message", "refused", reason, group)
            self._answer(request.ack_id, "Forbidden", reason)
            return
        if isinstance(request, SendToGroup):
            # The sender's own copy comes before the acknowledgement.
            self._send_to_group(group, request.data, no_echo=request.no_echo)
        elif isinstance(request, JoinGroup):
            self._connections.join(self._connection, group)
            self._record("web_pubsub_message", "joined", target=group)
        else:
            self._connections.leave(self._connection, group)
            self._record("web_pubsub_message", "left", target=group)
        if request.ack_id is not None:
            self._connection.remember(request.ack_id)
            self._connection.tell(messages.acknowledged(request.ack_id))

    def _answer(self, ack_id: int | None, name: str, reason: str) -> None:
        """Tell that a request failed; whoever gave no ackId hears nothing of it."""
        if ack_id is not None:
            self._connection.tell(messages.refused(ack_id, name, reason))

    def _send_to_group(self, group: str, data: Data, *, no_echo: bool) -> None:
        connection = self._connection
        delivered = self._connections.deliver(
            self._connections.of_group(connection.hub, group),
            Message(data, group, connection.identity.user_id),
            {connection.connection_id} if no_echo else (),
        )
        self._record("web_pubsub_message", f"sent to {delivered}", target=group)

    def _refuse_event(self, event: str, action: str) -> str:
        """Without an event handler nobody can take an event; why, as text for the client."""
        reason = f"No event handler is configured for the event '{event}'."
        log.warning("Hub %s: an event from a client was %s. %s", self._call.hub, action, reason)
        self._record("web_pubsub_message", action, reason, event)
        return reason

    def _record(self, route: str, action: str, reason: str | None = None, target: str | None = None) -> None:
        """Journal something that happened on the open WebSocket."""
        self._service.journal.record(
            Call(
                route=route,
                method="WEBSOCKET",
                path=self._call.path,
                hub=self._call.hub,
                user_id=self._call.user_id,
                connection_id=self._call.connection_id,
                target=target,
                reason=reason,
                action=action,
                era=self._call.era,
            )
        )
