"""Who is connected to Web PubSub, in which groups, and delivery to them.

A reliable connection outlives its WebSocket: what is sent meanwhile waits, and the client can take the connection up
again. Source of the rules and the limits: "Web PubSub Client Spec" in Azure/azure-webpubsub.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from hubpass.emulator.changes import Changes
from hubpass.emulator.clock import Clock
from hubpass.emulator.web_pubsub_identity import WebPubSubIdentity
from hubpass.emulator.web_pubsub_messages import Frame, Message

JSON_SUBPROTOCOL = "json.webpubsub.azure.v1"
RELIABLE_SUBPROTOCOL = "json.reliable.webpubsub.azure.v1"
# For so long a client that lost its WebSocket may come back, in seconds by the emulator's clock.
RECOVERY_SECONDS = 30.0
_MOST_UNACKNOWLEDGED = 1000
_MOST_UNACKNOWLEDGED_CHARACTERS = 16 * 1024 * 1024
_MOST_REMEMBERED_ACK_IDS = 1000
# A client that does not read must not make the emulator's memory grow without end.
_MOST_UNSENT_FRAMES = 10_000
_NORMAL_CLOSURE, _POLICY_VIOLATION = 1000, 1008


@dataclass(frozen=True)
class WebPubSubClose:
    """Ends a connection after everything that was queued before it.

    With `announced` a client of a JSON subprotocol is told the reason in a message first.
    """

    code: int
    reason: str
    announced: bool = False


@dataclass(eq=False)
class Socket:
    """One WebSocket; it is written by whoever empties `outgoing`, and cut by `abort`."""

    abort: Callable[[], None]
    outgoing: asyncio.Queue[Frame | WebPubSubClose] = field(
        default_factory=lambda: asyncio.Queue(maxsize=_MOST_UNSENT_FRAMES)
    )
    closing: bool = False

    def send(self, frame: Frame) -> bool:
        """Queue a frame; False if the client has not read what was sent before."""
        if self.closing:
            return True
        if self.outgoing.full():
            return False
        self.outgoing.put_nowait(frame)
        return True

    def close(self, order: WebPubSubClose) -> None:
        """Queue the end; only the first order counts."""
        if self.closing:
            return
        self.closing = True
        if self.outgoing.full():
            # There is no room for a farewell, so the oldest frame makes place for the order to end.
            self.outgoing.get_nowait()
        self.outgoing.put_nowait(order)


@dataclass(eq=False)
class WebPubSubConnection:
    """One client, with or without a WebSocket at the moment. `subprotocol` is None for a client without one."""

    connection_id: str
    hub: str
    identity: WebPubSubIdentity
    subprotocol: str | None
    connected_at: float
    groups: set[str]
    reconnection_token: str | None
    socket: Socket | None = None
    lost_at: float | None = None
    _sequence_id: int = 0
    _unacknowledged: deque[tuple[int, str]] = field(default_factory=deque)
    _unacknowledged_characters: int = 0
    _ack_ids: dict[int, None] = field(default_factory=dict)

    @property
    def reliable(self) -> bool:
        """Whether the connection can be taken up again."""
        return self.reconnection_token is not None

    def has_done(self, ack_id: int) -> bool:
        """Whether the request with this id was carried out already."""
        return ack_id in self._ack_ids

    def remember(self, ack_id: int) -> None:
        """Note that the request with this id was carried out."""
        self._ack_ids[ack_id] = None
        if len(self._ack_ids) > _MOST_REMEMBERED_ACK_IDS:
            del self._ack_ids[next(iter(self._ack_ids))]

    def tell(self, text: str) -> None:
        """Queue a message about the connection itself, which is lost if there is no WebSocket."""
        if self.socket is not None:
            self.socket.send(text)

    def take(self, message: Message) -> bool:
        """Queue a message; False if too much waits for this client already."""
        if self.subprotocol is None:
            return self.socket is None or self.socket.send(message.data.bare())
        if not self.reliable:
            return self.socket is None or self.socket.send(message.enveloped(None))
        text = message.enveloped(self._sequence_id + 1)
        if (
            len(self._unacknowledged) >= _MOST_UNACKNOWLEDGED
            or self._unacknowledged_characters + len(text) > _MOST_UNACKNOWLEDGED_CHARACTERS
        ):
            return False
        self._sequence_id += 1
        self._unacknowledged.append((self._sequence_id, text))
        self._unacknowledged_characters += len(text)
        return self.socket is None or self.socket.send(text)

    def acknowledge(self, sequence_id: int) -> None:
        """The client has everything up to this id."""
        while self._unacknowledged and self._unacknowledged[0][0] <= sequence_id:
            self._unacknowledged_characters -= len(self._unacknowledged.popleft()[1])

    def attach(self, socket: Socket) -> None:
        """Go on with another WebSocket, beginning with what the client has not acknowledged."""
        previous, self.socket, self.lost_at = self.socket, socket, None
        for _, text in self._unacknowledged:
            socket.send(text)
        if previous is not None:
            previous.abort()

    def describe(self) -> dict[str, Any]:
        """What the control API shows; the reconnection token stays secret."""
        return {
            "service": "WebPubSub",
            "connection_id": self.connection_id,
            "hub": self.hub,
            "transport": "WebSockets",
            "protocol": self.subprotocol or "none",
            "user_id": self.identity.user_id,
            "claims": self.identity.claims,
            "connected_at": self.connected_at,
            "closes_at": None,
            "roles": list(self.identity.roles),
            "groups": sorted(self.groups),
            "subprotocol": self.subprotocol,
        }


class WebPubSubConnections:
    """All connections of the resource."""

    def __init__(self, clock: Clock, changes: Changes) -> None:
        self._clock = clock
        self._changes = changes
        self._known: dict[str, WebPubSubConnection] = {}

    def add(
        self, hub: str, identity: WebPubSubIdentity, subprotocol: str | None, socket: Socket
    ) -> WebPubSubConnection:
        """Open a connection, which is in the groups of its token from the first moment."""
        reliable = subprotocol is not None and subprotocol.lower() == RELIABLE_SUBPROTOCOL
        connection = WebPubSubConnection(
            connection_id=secrets.token_urlsafe(16),
            hub=hub,
            identity=identity,
            subprotocol=subprotocol,
            connected_at=self._clock.now(),
            groups=set(identity.groups),
            reconnection_token=secrets.token_urlsafe(32) if reliable else None,
            socket=socket,
        )
        self._known[connection.connection_id] = connection
        self._changes.notify()
        return connection

    def recover(
        self, hub: str, connection_id: str, token: str, subprotocol: str | None, socket: Socket
    ) -> WebPubSubConnection | None:
        """Take a reliable connection up again; None if there is none that this token and subprotocol fit."""
        connection = self.get(hub, connection_id)
        if connection is None or connection.reconnection_token is None or connection.subprotocol is None:
            return None
        if subprotocol is None or subprotocol.lower() != connection.subprotocol.lower():
            return None
        if not hmac.compare_digest(connection.reconnection_token.encode(), token.encode()):
            return None
        connection.attach(socket)
        self._changes.notify()
        return connection

    def lose(self, connection: WebPubSubConnection, socket: Socket) -> None:
        """The WebSocket is gone without a farewell; a reliable connection waits for another one."""
        if connection.socket is not socket:
            return
        connection.socket, connection.lost_at = None, self._clock.now()
        if not connection.reliable:
            self._known.pop(connection.connection_id, None)
        self._changes.notify()

    def end(self, connection: WebPubSubConnection, order: WebPubSubClose | None) -> None:
        """Forget the connection and close its WebSocket, unless the client has done so already (`order` is None)."""
        if self._known.pop(connection.connection_id, None) is not None:
            self._changes.notify()
        if connection.socket is not None and order is not None:
            connection.socket.close(order)

    def close(self, connection: WebPubSubConnection, reason: str) -> None:
        """End a connection because a server or the control API wants it."""
        self.end(connection, WebPubSubClose(_NORMAL_CLOSURE, reason, announced=True))

    def open(self) -> list[WebPubSubConnection]:
        """The connections that have a WebSocket, oldest first."""
        return [connection for connection in self._present() if connection.socket is not None]

    def known(self) -> list[WebPubSubConnection]:
        """The same and those that wait to be taken up again."""
        return self._present()

    def get(self, hub: str, connection_id: str) -> WebPubSubConnection | None:
        """The connection of the hub with this id, with or without a WebSocket."""
        return next((found for found in self.of_hub(hub) if found.connection_id == connection_id), None)

    def of_hub(self, hub: str) -> list[WebPubSubConnection]:
        """The connections of the hub, including those that wait to be taken up again."""
        return [connection for connection in self._present() if connection.hub == hub]

    def of_group(self, hub: str, group: str) -> list[WebPubSubConnection]:
        """The connections in a group; a group exists as long as there are any."""
        return [connection for connection in self.of_hub(hub) if group in connection.groups]

    def of_user(self, hub: str, user_id: str) -> list[WebPubSubConnection]:
        """The connections of a user."""
        return [connection for connection in self.of_hub(hub) if connection.identity.user_id == user_id]

    def join(self, connection: WebPubSubConnection, group: str) -> None:
        """Put a connection into a group."""
        connection.groups.add(group)
        self._changes.notify()

    def leave(self, connection: WebPubSubConnection, group: str) -> None:
        """Take a connection out of a group, if it is in it."""
        connection.groups.discard(group)
        self._changes.notify()

    def deliver(
        self, receivers: Iterable[WebPubSubConnection], message: Message, excluded: Collection[str] = ()
    ) -> int:
        """Queue a message for the receivers but the excluded connection ids; returns how many got it."""
        delivered = 0
        for connection in receivers:
            if connection.connection_id in excluded:
                continue
            if connection.take(message):
                delivered += 1
            else:
                self.end(connection, WebPubSubClose(_POLICY_VIOLATION, "The client does not read its messages."))
        return delivered

    def _present(self) -> list[WebPubSubConnection]:
        """All connections, oldest first, once those are forgotten whose clients did not come back in time."""
        earliest = self._clock.now() - RECOVERY_SECONDS
        for connection in list(self._known.values()):
            if connection.lost_at is not None and connection.lost_at < earliest:
                del self._known[connection.connection_id]
        return list(self._known.values())
