"""What only annotations mention.

Nothing imports this at run time unless it is asked for by name: ``typing``, which it needs, would take longer to import
than all the rest of the package.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol, TypeAlias, TypedDict, Union

ClaimValue: TypeAlias = Union[str, bool, int, float, Sequence["ClaimValue"], Mapping[str, "ClaimValue"], None]  # noqa: UP007 - `|` cannot take a name that is still to be defined
"""The value of a claim: what JSON can say, with integers of at most 64 bits and no NaN or infinity."""

Transport: TypeAlias = Literal["WebSockets", "ServerSentEvents", "LongPolling"]
"""A way to connect, by the name that ``@microsoft/signalr`` gives it."""

ErrorCode: TypeAlias = Literal[
    "claim_names_user",
    "client_closed",
    "connection_failed",
    "connection_string_key_misspelt",
    "credential_missing",
    "credential_unsupported",
    "deadline_exceeded",
    "identity_conflict",
    "identity_missing",
    "insecure_endpoint",
    "invalid_application_name",
    "invalid_argument",
    "invalid_authentication_expires_on",
    "invalid_claim",
    "invalid_connection_string",
    "invalid_endpoint",
    "invalid_hub",
    "invalid_lifetime",
    "invalid_message",
    "invalid_transports",
    "invalid_user_id",
    "name_resolution_failed",
    "network_blocked",
    "not_found",
    "permission_missing",
    "redirect_refused",
    "request_refused",
    "reserved_claim",
    "service_unavailable",
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
