"""What only annotations mention.

Nothing imports this at run time unless it is asked for by name: ``typing``, which it needs, would take longer to import
than all the rest of the package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, TypedDict, Union

if TYPE_CHECKING:
    from typing_extensions import Required

ClaimValue: TypeAlias = Union[str, bool, int, float, Sequence["ClaimValue"], Mapping[str, "ClaimValue"], None]  # noqa: UP007 - `|` cannot take a name that is still to be defined
"""The value of a claim: what JSON can say, with integers of at most 64 bits and no NaN or infinity."""

Transport: TypeAlias = Literal["WebSockets", "ServerSentEvents", "LongPolling"]
"""A way to connect, by the name that ``@microsoft/signalr`` gives it."""

ClientProtocol: TypeAlias = Literal["Default", "MQTT", "SocketIO"]
"""How a client of Azure Web PubSub speaks to the service."""

ErrorCode: TypeAlias = Literal[
    "certificate_unusable",
    "claim_names_user",
    "client_closed",
    "connection_failed",
    "connection_string_key_misspelt",
    "credential_unavailable",
    "credential_unsupported",
    "deadline_exceeded",
    "identity_conflict",
    "identity_missing",
    "identity_unavailable",
    "insecure_endpoint",
    "invalid_application_name",
    "invalid_argument",
    "invalid_authentication_expires_on",
    "invalid_claim",
    "invalid_client_protocol",
    "invalid_connection_string",
    "invalid_endpoint",
    "invalid_group",
    "invalid_hub",
    "invalid_jwt_header",
    "invalid_lifetime",
    "invalid_message",
    "invalid_role",
    "invalid_transports",
    "invalid_user_id",
    "key_refused",
    "key_unchanged",
    "name_resolution_failed",
    "network_blocked",
    "not_found",
    "permission_missing",
    "redirect_refused",
    "request_refused",
    "reserved_claim",
    "service_unavailable",
    "settings_conflict",
    "settings_invalid",
    "settings_missing",
    "throttled",
    "tls_failed",
    "token_too_long",
    "transport_unavailable",
    "unauthorized",
    "unexpected_response",
]
"""Every ``code``; ``docs/errors.md`` explains each of them."""


class AccessKeyCredential(Protocol):
    """What a credential has to have; ``azure.core.credentials.AzureKeyCredential`` has it."""

    @property
    def key(self) -> str:
        """The access key as it is now. It is read at each call, so that ``update()`` takes effect at the next one."""


class Token(Protocol):
    """An access token: azure-core's ``AccessToken`` and ``AccessTokenInfo``."""

    @property
    def token(self) -> str:
        """The token."""

    @property
    def expires_on(self) -> int:
        """When it expires, in seconds since 1970."""


class TokenCredential(Protocol):
    """A credential whose methods block: azure-core's ``TokenCredential``. ``get_token_info`` is preferred."""

    def get_token(self, *scopes: str) -> Token:
        """Give a token for the scopes."""


class AsyncTokenCredential(Protocol):
    """A credential whose methods are coroutines: azure-core's ``AsyncTokenCredential``."""

    async def get_token(self, *scopes: str) -> Token:
        """Give a token for the scopes."""


class ErrorStatus(TypedDict):
    """An error in a status."""

    code: ErrorCode
    message: str
    hint: str
    status: int | None


class KeyCounters(TypedDict):
    """How often things happened since the client was made."""

    key_requests: int
    keys_renewed: int
    keys_unchanged: int
    keys_refused: int
    keys_failed: int


class ClientStatus(TypedDict, total=False):
    """What ``status()`` gives; an access key has ``mode`` and ``ready`` alone, and only SignalR has temporary keys."""

    mode: Required[Literal["access_key", "entra"]]
    ready: Required[bool]
    credential: str
    kid: str | None
    age: float | None
    renews_in: float | None
    expires_in: float | None
    last_error: ErrorStatus | None
    counters: KeyCounters


class NegotiateOptions(TypedDict, total=False):
    """The keywords of ``negotiate`` that go with a user and with an anonymous client alike."""

    claims: Mapping[str, ClaimValue] | Iterable[tuple[str, ClaimValue]] | None
    lifetime: timedelta
    allow_long_lifetime: bool
    close_on_authentication_expiration: bool
    authentication_expires_on: datetime | None
    transports: Iterable[Transport] | None
    enable_detailed_errors: bool
    timeout: float | None


class WebPubSubNegotiateOptions(TypedDict, total=False):
    """The keywords of Web PubSub's ``negotiate`` that go with a user and with an anonymous client alike."""

    roles: Iterable[str] | None
    groups: Iterable[str] | None
    lifetime: timedelta
    client_protocol: ClientProtocol
    timeout: float | None
