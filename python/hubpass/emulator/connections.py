"""Who is connected: promised connection ids, open connections, and delivery to them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from hubpass.emulator import hub_handshake
from hubpass.emulator.changes import Changes
from hubpass.emulator.claims import Identity
from hubpass.emulator.clock import Clock
from hubpass.emulator.hub_protocol import HubProtocol, ProtocolError
from hubpass.emulator.transports import WEB_SOCKETS, Transport
from hubpass.emulator.user_groups import UserGroups

# The service answers 404 to a client that connects late (troubleshooting guide of Azure SignalR Service); the
# time is the one in which ASP.NET Core gives up on a connection that was negotiated and never opened.
NEGOTIATED_ID_LIFETIME = 15.0
# A client that does not read must not make the emulator's memory grow without end.
_MOST_UNSENT_MESSAGES = 10_000


class UnknownIdError(Exception):
    """The connection id was never given out for this hub, or was given out too long ago."""


class IdInUseError(Exception):
    """A connection with this id exists; `connection` is that connection."""

    def __init__(self, connection: Connection) -> None:
        super().__init__("a connection with this id exists")
        self.connection = connection


@dataclass(frozen=True)
class Negotiated:
    """An id that was promised to a client which has not connected yet.

    `early` is what the client has posted meanwhile, which ASP.NET Core keeps until the transport is there.
    """

    connection_id: str
    connection_token: str
    hub: str
    expires_at: float
    early: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True)
class CloseOrder:
    """Ends a connection after everything that was queued before it."""

    error: str | None = None
    allow_reconnect: bool = False


class End(Enum):
    """The last item of a queue: after `FAREWELL` the transport is closed in order, on `CUT` it is cut."""

    FAREWELL = "farewell"
    CUT = "cut"


@dataclass(eq=False)
class Connection:
    """One client. Its transport carries what is in `outgoing`; nothing else of a connection depends on transports.

    `early` is what the client posted before the transport was there. `protocol` is None until the handshake;
    `connected_at` is the time of the handshake. `ended_by` says why the connection ended, once it is `closing`.
    """

    connection_id: str
    connection_token: str
    hub: str
    identity: Identity
    transport: Transport
    early: bytes = b""
    connected_at: float = 0.0
    protocol: HubProtocol | None = None
    groups: set[str] = field(default_factory=set)
    outgoing: asyncio.Queue[bytes | End] = field(default_factory=lambda: asyncio.Queue(maxsize=_MOST_UNSENT_MESSAGES))
    ended_by: str | None = None

    @property
    def closing(self) -> bool:
        """Whether the end is queued already, or even over."""
        return self.ended_by is not None

    def send(self, message: bytes) -> bool:
        """Queue a message; False if the client is going away or has not read what was sent before."""
        if self.closing or self.outgoing.full():
            return False
        self.outgoing.put_nowait(message)
        return True

    def close(self, order: CloseOrder, ended_by: str | None = None) -> None:
        """Queue the end of an open connection; only the first order counts."""
        if self.protocol is not None:
            farewell = self.protocol.close(order.error, order.allow_reconnect)
            self._end(farewell, ended_by or (f"closed: {order.error}" if order.error else "closed by the service"))

    def refuse(self, reason: str) -> None:
        """Queue the answer to a bad handshake, and the end."""
        self._end(hub_handshake.refused(reason), f"handshake refused: {reason}")

    def leave(self, ended_by: str) -> None:
        """Queue the end without a word, because the client has asked for it or is gone."""
        self._end(None, ended_by)

    def cut(self, ended_by: str) -> None:
        """End the connection at once, as a broken network does; what was queued is lost."""
        if self.closing:
            return
        while not self.outgoing.empty():
            self.outgoing.get_nowait()
        self.ended_by = ended_by
        self.outgoing.put_nowait(End.CUT)

    def describe(self) -> dict[str, Any]:
        """What the control API shows; the connection token stays secret."""
        return {
            "connection_id": self.connection_id,
            "hub": self.hub,
            "transport": self.transport.name,
            "protocol": self.protocol.name if self.protocol else None,
            "user_id": self.identity.user_id,
            "claims": self.identity.claims,
            "connected_at": self.connected_at,
            "closes_at": self.identity.closes_at,
            "groups": sorted(self.groups),
        }

    def _end(self, farewell: bytes | None, ended_by: str) -> None:
        if self.closing:
            return
        self.ended_by = ended_by
        last: list[bytes | End] = [End.FAREWELL] if farewell is None else [farewell, End.FAREWELL]
        while self.outgoing.qsize() + len(last) > _MOST_UNSENT_MESSAGES:
            # There is no room for a farewell, so the oldest messages make place for the end.
            self.outgoing.get_nowait()
        for item in last:
            self.outgoing.put_nowait(item)


class Connections:
    """All connections of the service: those that shake hands, and those that are open."""

    def __init__(self, clock: Clock, changes: Changes) -> None:
        self._clock = clock
        self._changes = changes
        self._negotiated: dict[str, Negotiated] = {}
        self._by_token: dict[str, Connection] = {}
        self._open: dict[str, Connection] = {}
        self.user_groups = UserGroups(clock)

    def negotiate(self, hub: str, version: int) -> Negotiated:
        """Promise an id. Version 0 of the negotiation has no token: the id itself opens the connection."""
        now = self._clock.now()
        self._negotiated = {key: held for key, held in self._negotiated.items() if held.expires_at > now}
        connection_id = _new_id()
        token = _new_id() if version > 0 else connection_id
        promised = Negotiated(connection_id, token, hub, now + NEGOTIATED_ID_LIFETIME)
        self._negotiated[token] = promised
        return promised

    def promised(self, hub: str, token: str) -> Negotiated:
        """The id that was promised and that nobody has taken up; raises `UnknownIdError`."""
        found = self._negotiated.get(token)
        if found is None or found.hub != hub or found.expires_at <= self._clock.now():
            raise UnknownIdError
        return found

    def find(self, hub: str, token: str) -> Connection | None:
        """The connection with this token, open or before its handshake."""
        found = self._by_token.get(token)
        return found if found is not None and found.hub == hub else None

    def claim(self, hub: str, token: str | None, identity: Identity, transport: Transport) -> Connection:
        """Take up a promised id, or a fresh one if the client skipped the negotiation (`token` is None).

        Raises `UnknownIdError` or `IdInUseError`. Whoever claims must `release` in the end.
        """
        if token is None:
            promised = Negotiated(_new_id(), _new_id(), hub, 0.0)
        else:
            existing = self.find(hub, token)
            if existing is not None:
                raise IdInUseError(existing)
            promised = self.promised(hub, token)
            del self._negotiated[token]
        connection = Connection(
            promised.connection_id, promised.connection_token, hub, identity, transport, bytes(promised.early)
        )
        self._by_token[connection.connection_token] = connection
        return connection

    def open(self, connection: Connection, protocol: HubProtocol) -> None:
        """The handshake is done: from now on the connection receives what is sent to its hub and its user's groups."""
        connection.protocol = protocol
        connection.groups = self.user_groups.of(connection.hub, connection.identity.user_id)
        connection.connected_at = self._clock.now()
        self._open[connection.connection_id] = connection
        self._changes.notify()

    def retire(self, connection: Connection) -> bool:
        """The connection is no longer open, though its token is still known; False if it was not open."""
        if self._open.pop(connection.connection_id, None) is None:
            return False
        self._changes.notify()
        return True

    def release(self, connection: Connection) -> None:
        """The client is gone, and its token is unknown from now on."""
        self.retire(connection)
        self._by_token.pop(connection.connection_token, None)

    def get(self, connection_id: str) -> Connection | None:
        """The open connection with this id."""
        return self._open.get(connection_id)

    def all(self) -> list[Connection]:
        """The open connections, oldest first."""
        return list(self._open.values())

    def of_hub(self, hub: str) -> list[Connection]:
        """The open connections of a hub, oldest first."""
        return [connection for connection in self.all() if connection.hub == hub]

    def of_group(self, hub: str, group: str) -> list[Connection]:
        """The open connections that are in a group; case matters in its name."""
        return [connection for connection in self.of_hub(hub) if group in connection.groups]

    def add_user_to_group(self, hub: str, user_id: str, group: str, seconds: float) -> int:
        """Put the connections that the user has into the group, and those that it makes within so many seconds.

        Returns how many there are now.
        """
        self.user_groups.remember(hub, user_id, group, seconds)
        present = [connection for connection in self.of_hub(hub) if connection.identity.user_id == user_id]
        for connection in present:
            connection.groups.add(group)
        self._changes.notify()
        return len(present)

    def deliver(
        self, receivers: Iterable[Connection], target: str, arguments: list[Any], excluded: Collection[str]
    ) -> int:
        """Queue an invocation for the receivers but the excluded connection ids; returns how many got it."""
        encoded: dict[str, bytes] = {}
        delivered = 0
        for connection in receivers:
            protocol = connection.protocol
            if protocol is None or connection.connection_id in excluded:
                continue
            try:
                if protocol.name not in encoded:
                    encoded[protocol.name] = protocol.invocation(target, arguments)
            except ProtocolError as error:
                connection.close(CloseOrder(str(error)))
                continue
            if connection.send(encoded[protocol.name]):
                delivered += 1
            else:
                connection.close(CloseOrder("The client does not read its messages."))
        return delivered

    async def close_expired(self) -> None:
        """Run for ever: end each connection at its time by the emulator's clock, however that clock moves."""
        while True:
            version, now = self._changes.version, self._clock.now()
            pending: list[float] = []
            for connection in self.all():
                closes_at = connection.identity.closes_at
                if closes_at is None or connection.closing:
                    continue
                if closes_at <= now:
                    # ASP.NET Core closes an expired connection without an error and lets the client come
                    # back.
                    connection.close(CloseOrder(allow_reconnect=True))
                else:
                    pending.append(closes_at - now)
            await self._changes.wait_beyond(version, min(pending, default=None))

    def cut_requests(self) -> None:
        """End what HTTP requests carry, so that a server which stops need not wait for them."""
        for connection in list(self._by_token.values()):
            if connection.transport is not WEB_SOCKETS:
                connection.cut("the service stops")


def _new_id() -> str:
    return secrets.token_urlsafe(16)
