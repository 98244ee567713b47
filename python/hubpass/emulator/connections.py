"""Who is connected: promised connection ids, open connections, and delivery to them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from hubpass.emulator.changes import Changes
from hubpass.emulator.claims import Identity
from hubpass.emulator.clock import Clock

# The service answers 404 to a client that connects late (troubleshooting guide of Azure SignalR Service); the
# time is the one in which ASP.NET Core gives up on a connection that was negotiated and never opened.
NEGOTIATED_ID_LIFETIME = 15.0
# A client that does not read must not make the emulator's memory grow without end.
_MOST_UNSENT_RECORDS = 10_000


class UnknownIdError(Exception):
    """The connection id was never given out for this hub, or was given out too long ago."""


class IdInUseError(Exception):
    """A connection with this id is open."""


@dataclass(frozen=True)
class Negotiated:
    """An id that was promised to a client which has not connected yet."""

    connection_id: str
    connection_token: str
    hub: str
    expires_at: float


@dataclass(frozen=True)
class CloseOrder:
    """Ends a connection after everything that was queued before it."""

    error: str | None = None
    allow_reconnect: bool = False


@dataclass(eq=False)
class Connection:
    """One client; its WebSocket is written by whoever empties `outgoing`."""

    connection_id: str
    connection_token: str
    hub: str
    identity: Identity
    connected_at: float
    outgoing: asyncio.Queue[str | CloseOrder] = field(
        default_factory=lambda: asyncio.Queue(maxsize=_MOST_UNSENT_RECORDS)
    )
    closing: bool = False

    def send(self, record: str) -> bool:
        """Queue a record; False if the client is going away or has not read what was sent before."""
        if self.closing or self.outgoing.full():
            return False
        self.outgoing.put_nowait(record)
        return True

    def close(self, order: CloseOrder) -> None:
        """Queue the end of the connection; only the first order counts."""
        if self.closing:
            return
        self.closing = True
        if self.outgoing.full():
            # There is no room for a farewell, so the oldest record makes place for the order to end.
            self.outgoing.get_nowait()
        self.outgoing.put_nowait(order)

    def describe(self) -> dict[str, Any]:
        """What the control API shows; the connection token stays secret."""
        return {
            "connection_id": self.connection_id,
            "hub": self.hub,
            "user_id": self.identity.user_id,
            "claims": self.identity.claims,
            "connected_at": self.connected_at,
            "closes_at": self.identity.closes_at,
        }


class Connections:
    """All connections of the service, by hub key."""

    def __init__(self, clock: Clock, changes: Changes) -> None:
        self._clock = clock
        self._changes = changes
        self._negotiated: dict[str, Negotiated] = {}
        self._connecting: set[str] = set()
        self._open: dict[str, Connection] = {}

    def negotiate(self, hub: str, version: int) -> Negotiated:
        """Promise an id. Version 0 of the negotiation has no token: the id itself opens the connection."""
        now = self._clock.now()
        self._negotiated = {key: held for key, held in self._negotiated.items() if held.expires_at > now}
        connection_id = _new_id()
        token = _new_id() if version > 0 else connection_id
        promised = Negotiated(connection_id, token, hub, now + NEGOTIATED_ID_LIFETIME)
        self._negotiated[token] = promised
        return promised

    def claim(self, hub: str, token: str | None) -> Negotiated:
        """Take up a promised id, or a fresh one if the client skipped the negotiation (`token` is None).

        Raises `UnknownIdError` or `IdInUseError`. Whoever claims must `release` in the end.
        """
        if token is None:
            promised = self._fresh(hub)
        elif token in self._connecting:
            raise IdInUseError
        else:
            found = self._negotiated.get(token)
            if found is None or found.hub != hub or found.expires_at <= self._clock.now():
                raise UnknownIdError
            promised = self._negotiated.pop(token)
        self._connecting.add(promised.connection_token)
        return promised

    def add(self, promised: Negotiated, identity: Identity) -> Connection:
        """Open the connection: from now on it receives what is sent to its hub."""
        connection = Connection(
            promised.connection_id, promised.connection_token, promised.hub, identity, self._clock.now()
        )
        self._open[connection.connection_id] = connection
        self._changes.notify()
        return connection

    def release(self, promised: Negotiated) -> None:
        """The client is gone."""
        self._connecting.discard(promised.connection_token)
        if self._open.pop(promised.connection_id, None) is not None:
            self._changes.notify()

    def get(self, connection_id: str) -> Connection | None:
        """The open connection with this id."""
        return self._open.get(connection_id)

    def all(self) -> list[Connection]:
        """The open connections, oldest first."""
        return list(self._open.values())

    def broadcast(self, hub: str, record: str, excluded: Collection[str]) -> int:
        """Queue a record for every client of the hub except the excluded connection ids; returns how many."""
        delivered = 0
        for connection in self.all():
            if connection.hub != hub or connection.connection_id in excluded:
                continue
            if connection.send(record):
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

    def _fresh(self, hub: str) -> Negotiated:
        return Negotiated(_new_id(), _new_id(), hub, self._clock.now() + NEGOTIATED_ID_LIFETIME)


def _new_id() -> str:
    return secrets.token_urlsafe(16)
