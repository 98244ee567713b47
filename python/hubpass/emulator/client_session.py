"""What happens on a connection, whatever transport carries it: handshake, messages of the client, silence."""

from __future__ import annotations

import asyncio

from hubpass.emulator import hub_handshake
from hubpass.emulator.connections import CloseOrder, Connection
from hubpass.emulator.hub_protocol import (
    CANCEL_INVOCATION,
    CLOSE,
    COMPLETION,
    INVOCATION,
    PING,
    STREAM_INVOCATION,
    STREAM_ITEM,
    HubMessage,
    HubProtocol,
    ProtocolError,
)
from hubpass.emulator.journal import Call
from hubpass.emulator.json_hub_protocol import take_record
from hubpass.emulator.service import Service, log

# What the service answers in the handshake, as quoted in aspnet/AzureSignalR-samples issue 133.
_NO_HUB_SERVER = (
    "SignalR Service is now in 'Default' service mode. Current mode works as a proxy that routes client "
    "traffic to the connected app servers. However app servers are not connected."
)
_NO_UPSTREAM = "Invocation failed: the service is in Serverless mode and no upstream is configured for '{}'."


class Session:
    """One connection from its admission to its end; the transport feeds `hear` and empties the connection's queue.

    `inherent_keep_alive` is said of a transport whose requests show by themselves that the client is alive, so that
    the service sends no keep-alives over it.
    """

    def __init__(
        self, service: Service, connection: Connection, call: Call, *, inherent_keep_alive: bool = False
    ) -> None:
        self.connection = connection
        self.ended = asyncio.Event()
        self._service = service
        self._call = call
        self._pings = not inherent_keep_alive
        self._received = bytearray()
        self._refused_streams: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._started_at = self._heard_at = self._sent_at = self._loop.time()

    def hear(self, data: bytes) -> None:
        """Act on what the client says; answers go into the queue."""
        self.note_life()
        connection = self.connection
        if connection.closing:
            return
        self._received += data
        try:
            if connection.protocol is None and not self._shake_hands():
                return
            while connection.protocol is not None and not connection.closing:
                message = connection.protocol.take(self._received)
                if message is None:
                    return
                self._handle(connection.protocol, message)
        except ProtocolError as error:
            self.complain(str(error))

    def hear_early(self) -> None:
        """Act on what the client posted before its transport was there."""
        early, self.connection.early = self.connection.early, b""
        if early:
            self.hear(early)

    def complain(self, reason: str) -> None:
        """End the connection because of something that the client did or did not do."""
        if self.connection.closing:
            return
        if self.connection.protocol is None:
            self._record("handshake", "refused", reason)
            self.connection.refuse(reason)
        else:
            self.connection.close(CloseOrder(reason))

    def note_life(self) -> None:
        """The client has shown that it is there."""
        self._heard_at = self._loop.time()

    def silence(self) -> float:
        """For how many seconds nothing was heard of the client."""
        return self._loop.time() - self._heard_at

    def note_sent(self) -> None:
        """Something was sent, so that no keep-alive is due for a while."""
        self._sent_at = self._loop.time()

    async def watch(self) -> None:
        """Send keep-alives and end the connection of a silent client; returns when the connection is closing."""
        timing, connection = self._service.timing, self.connection
        while not connection.closing:
            if connection.protocol is None:
                rest = self._started_at + timing.handshake_timeout - self._loop.time()
                complaint = "The handshake took too long."
            else:
                rest = timing.client_timeout - self.silence()
                complaint = "The client has been silent for too long."
            if rest <= 0:
                self.complain(complaint)
                return
            pause = self._sent_at + timing.ping_interval - self._loop.time()
            if pause <= 0:
                if self._pings and connection.protocol is not None and connection.outgoing.empty():
                    connection.send(connection.protocol.ping())
                self.note_sent()
                pause = timing.ping_interval
            # The handshake may be done long before its limit, and from then on the other limit counts.
            await asyncio.sleep(min(rest, pause, timing.client_timeout))

    def depart(self) -> None:
        """The client has been told of the end, or cannot be told: it is no longer among the open connections."""
        self.connection.leave("client left")
        if self._service.connections.retire(self.connection):
            self._record("disconnect", self.connection.ended_by or "client left", None)

    def finish(self) -> None:
        """The connection is over, and its id is worth nothing any more."""
        if not self.ended.is_set():
            self.depart()
            self.ended.set()
            self._service.connections.release(self.connection)

    def _shake_hands(self) -> bool:
        """Read the handshake; False if it is not complete yet, or if it was refused."""
        record = take_record(self._received)
        if record is None:
            return False
        protocol = hub_handshake.chosen_protocol(record, self.connection.transport)
        if self._service.service_mode == "Default":
            log.error(
                "A client was refused because hub %s has no hub server in service mode Default. Set the "
                "Service Mode of the resource to Serverless (here: --service-mode Serverless).",
                self._call.hub,
            )
            self.complain(_NO_HUB_SERVER)
            return False
        self.connection.send(hub_handshake.ACCEPTED)
        self._service.connections.open(self.connection, protocol)
        return True

    def _handle(self, protocol: HubProtocol, message: HubMessage) -> None:
        kind = message.get("type")
        invocation_id = message.get("invocationId")
        if kind in (INVOCATION, STREAM_INVOCATION):
            self._refuse_invocation(protocol, message.get("target"), invocation_id, message.get("streamIds"))
        elif kind in (STREAM_ITEM, COMPLETION):
            # Items of an upload may be on their way when the invocation that announced them has been refused.
            if not isinstance(invocation_id, str) or invocation_id not in self._refused_streams:
                raise ProtocolError("The client answered an invocation that the service never made.")
        elif kind == CLOSE:
            self.connection.close(CloseOrder(), "closed by the client")
        elif kind not in (PING, CANCEL_INVOCATION):
            raise ProtocolError("The local Azure does not support this type of message.")

    def _refuse_invocation(
        self, protocol: HubProtocol, target: object, invocation_id: object, stream_ids: object
    ) -> None:
        """Without an upstream nobody can serve an invocation; only a caller that waits can be told."""
        if not isinstance(target, str) or not isinstance(invocation_id, (str, type(None))):
            raise ProtocolError("An invocation needs a target, and its id must be a string.")
        if isinstance(stream_ids, list):
            self._refused_streams.update(item for item in stream_ids if isinstance(item, str))
        reason = _NO_UPSTREAM.format(target)
        action = "dropped" if invocation_id is None else "refused"
        log.warning("Hub %s: an invocation from a client was %s. %s", self._call.hub, action, reason)
        self._record("invoke", action, reason, target)
        if invocation_id is not None:
            self.connection.send(protocol.failed_completion(invocation_id, reason))

    def _record(self, route: str, action: str, reason: str | None, target: str | None = None) -> None:
        """Journal something that happened on the connection, under the request that opened it."""
        call = self._call
        self._service.journal.record(
            Call(
                route=route,
                method=call.method,
                path=call.path,
                hub=call.hub,
                user_id=call.user_id,
                connection_id=call.connection_id,
                target=target,
                reason=reason,
                action=action,
                era=call.era,
            )
        )
