"""Hubpass answers ``POST /negotiate`` for Azure SignalR Service.

    from hubpass import SignalRServiceClient

    client = SignalRServiceClient.from_connection_string(connection_string, hub="chat")
    answer = client.negotiate(user_id)  # {"url": ..., "accessToken": ...}

The same names with coroutines are in :mod:`hubpass.aio`.
"""

from hubpass._native import __version__
from hubpass._signalr import SignalRServiceClient
from hubpass.exceptions import (
    ClientClosedError,
    ConfigurationError,
    DeadlineExceededError,
    ErrorCode,
    HubpassError,
    HubpassWarning,
    InvalidArgumentError,
    NetworkBlockedError,
    PermissionMissingError,
    ServiceError,
    TokenTooLongError,
)
from hubpass.models import ClaimValue, Event, NegotiationResponse, Transport

__all__ = [
    "ClaimValue",
    "ClientClosedError",
    "ConfigurationError",
    "DeadlineExceededError",
    "ErrorCode",
    "Event",
    "HubpassError",
    "HubpassWarning",
    "InvalidArgumentError",
    "NegotiationResponse",
    "NetworkBlockedError",
    "PermissionMissingError",
    "ServiceError",
    "SignalRServiceClient",
    "TokenTooLongError",
    "Transport",
    "__version__",
]
