"""What the control API answers, as typed records on the standard library alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

FaultRoute = Literal[
    "negotiate",
    "connect",
    "server_sent_events",
    "poll",
    "client_send",
    "client_stop",
    "send",
    "send_to_group",
    "add_user_to_group",
    "health",
    "access_key",
    "token",
    "openid_metadata",
    "signing_keys",
    "managed_identity",
    "unsupported",
    "web_pubsub_connect",
    "web_pubsub_other_client",
    "web_pubsub_health",
    "web_pubsub_generate_token",
    "web_pubsub_send_to_all",
    "web_pubsub_send_to_group",
    "web_pubsub_send_to_user",
    "web_pubsub_send_to_connection",
    "web_pubsub_add_to_group",
    "web_pubsub_remove_from_group",
    "web_pubsub_connection_exists",
    "web_pubsub_group_exists",
    "web_pubsub_user_exists",
    "web_pubsub_close_connection",
    "imds_token",
    "arc_token",
    "az",
    "azd",
    "kubernetes_metadata",
    "kubernetes_keys",
    "*",
]


class ControlError(RuntimeError):
    """The control API refused an order; the text says why."""


class WaitTimeoutError(AssertionError):
    """What a test waited for did not happen in time; the text shows the last state."""


@dataclass(frozen=True)
class ClientConnection:
    """One open connection. `user_id` is None for an anonymous client, times are Unix seconds.

    `transport` is `WebSockets`, `ServerSentEvents` or `LongPolling`, `protocol` is `json` or `messagepack`, for
    Web PubSub the subprotocol or `none`.
    `groups` are sorted. `roles` and `subprotocol` (None: a client without one) are of Web PubSub and empty for SignalR.
    """

    connection_id: str
    hub: str
    transport: str
    protocol: str
    user_id: str | None
    claims: Mapping[str, Any]
    connected_at: float
    closes_at: float | None
    service: Literal["SignalR", "WebPubSub"] = "SignalR"
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    subprotocol: str | None = None


@dataclass(frozen=True)
class HeldCall:
    """A call that waits for its release. `path` carries no credential."""

    number: int
    route: str
    method: str
    path: str


@dataclass(frozen=True)
class JournalEntry:
    """One call, or one event of a client's connection.

    The routes of events are `handshake`, `invoke` and `disconnect`, for Web PubSub `web_pubsub_message` and
    `web_pubsub_disconnect`.
    `time` is in Unix seconds by the emulator's clock. `status` is None if no answer was sent; `reason` says
    why a call was refused; `action` says what became of it. `permission` is the data action that the route
    needs, `object_id` the Entra identity that called, `kid` the temporary key that was given out or that has
    signed the token. No credential is in any of the texts.
    """

    number: int
    time: float
    route: str
    method: str
    path: str
    status: int | None
    hub: str | None
    user_id: str | None
    connection_id: str | None
    permission: str | None
    object_id: str | None
    kid: str | None
    target: str | None
    reason: str | None
    action: str


@dataclass(frozen=True)
class TemporaryKey:
    """One temporary access key, without its text. `age` is in seconds, the other times are Unix seconds.

    `alive` says whether it signs, `current` whether it is the newest, which is given out until it is too old
    for that.
    """

    kid: str
    issued_at: float
    age: float
    expires_at: float
    revoked: bool
    alive: bool
    current: bool


@dataclass(frozen=True)
class State:
    """What the emulator looks like at one moment; `version` goes up with every change.

    `key_life`, `key_issue_for` and `token_lifetime` are in seconds, the last one None for Entra's own
    defaults; `roles` are the names of the roles of each object id that has any.
    """

    version: int
    service_mode: str
    now: float
    clock_offset: float
    connections: tuple[ClientConnection, ...]
    held: tuple[HeldCall, ...]
    faults: tuple[Mapping[str, Any], ...]
    temporary_keys: tuple[TemporaryKey, ...]
    key_life: float
    key_issue_for: float
    roles: Mapping[str, tuple[str, ...]]
    local_auth_disabled: bool
    network_denied: bool
    token_lifetime: int | None


@dataclass(frozen=True, repr=False)
class ConnectionStrings:
    """Both connection strings after a rotation. Their text is secret and absent from `repr`."""

    primary: str
    secondary: str


@dataclass(frozen=True)
class Application:
    """An application of the local Entra. Its secret and its connection string are absent from `repr`."""

    tenant_id: str
    client_id: str
    object_id: str
    client_secret: str = field(repr=False)
    connection_string: str = field(repr=False)


def state_of(content: Mapping[str, Any]) -> State:
    """Read the JSON of the state."""
    return State(
        version=content["version"],
        service_mode=content["service_mode"],
        now=content["clock"]["now"],
        clock_offset=content["clock"]["offset"],
        connections=tuple(_connection_of(found) for found in content["connections"]),
        held=tuple(HeldCall(**found) for found in content["held"]),
        faults=tuple(content["faults"]),
        temporary_keys=tuple(TemporaryKey(**found) for found in content["temporary_keys"]),
        key_life=content["key_life"],
        key_issue_for=content["key_issue_for"],
        roles={object_id: tuple(roles) for object_id, roles in content["roles"].items()},
        local_auth_disabled=content["local_auth_disabled"],
        network_denied=content["network_denied"],
        token_lifetime=content["token_lifetime"],
    )


def _connection_of(content: Mapping[str, Any]) -> ClientConnection:
    lists = {name: tuple(content.get(name, ())) for name in ("roles", "groups")}
    return ClientConnection(**{**content, **lists})
