"""Hubpass answers ``POST /negotiate`` for Azure SignalR Service and Azure Web PubSub.

    from azure.identity import DefaultAzureCredential
    from hubpass import SignalRServiceClient

    client = SignalRServiceClient("https://<resource>.service.signalr.net", "chat", DefaultAzureCredential())
    answer = client.negotiate(user_id)  # {"url": ..., "accessToken": ...}

The same names with coroutines are in :mod:`hubpass.aio`.
"""

from hubpass._native import __version__
from hubpass._signalr import SignalRServiceClient
from hubpass._webpubsub import WebPubSubServiceClient
from hubpass.exceptions import (
    ClientAuthenticationError,
    ClientClosedError,
    ConfigurationError,
    CredentialUnavailableError,
    DeadlineExceededError,
    HubpassError,
    HubpassWarning,
    InvalidArgumentError,
    NetworkBlockedError,
    PermissionMissingError,
    ServiceError,
    TokenTooLongError,
)
from hubpass.grants import ANONYMOUS, Forbidden, Grant
from hubpass.models import ClientAccessToken, Event, KeyPolicy, NegotiationResponse, WebPubSubNegotiationResponse

# Type checkers know the name; to import it from `typing` would double the time that the package takes to import.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from hubpass._annotations import ClaimValue, ClientProtocol, ClientStatus, ErrorCode, Transport
del TYPE_CHECKING

__all__ = [
    "ANONYMOUS",
    "ClaimValue",
    "ClientAccessToken",
    "ClientAuthenticationError",
    "ClientClosedError",
    "ClientProtocol",
    "ClientStatus",
    "ConfigurationError",
    "CredentialUnavailableError",
    "DeadlineExceededError",
    "ErrorCode",
    "Event",
    "Forbidden",
    "Grant",
    "HubpassError",
    "HubpassWarning",
    "InvalidArgumentError",
    "KeyPolicy",
    "NegotiationResponse",
    "NetworkBlockedError",
    "PermissionMissingError",
    "ServiceError",
    "SignalRServiceClient",
    "TokenTooLongError",
    "Transport",
    "WebPubSubNegotiationResponse",
    "WebPubSubServiceClient",
    "__version__",
]


def __getattr__(name: str) -> object:
    """Give the names that only annotations mention; see ``_annotations``."""
    if name in {"ClaimValue", "ClientProtocol", "ClientStatus", "ErrorCode", "Transport"}:
        from hubpass import _annotations

        return getattr(_annotations, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
