"""What the two hub protocols have in common: the types of messages, and what a session needs from either.

Source: "SignalR Hub Protocol" in dotnet/aspnetcore (`src/SignalR/docs/specs/HubProtocol.md`).
"""

from __future__ import annotations

from typing import Any, Protocol

# The service's own limit for a message of a client is 1 MB.
MAX_MESSAGE_BYTES = 1024 * 1024

INVOCATION, STREAM_ITEM, COMPLETION, STREAM_INVOCATION, CANCEL_INVOCATION, PING, CLOSE = range(1, 8)

# A message under the names that it has in the JSON hub protocol, whatever protocol it came in.
HubMessage = dict[str, Any]


class ProtocolError(Exception):
    """The peer sent something that the protocol does not allow; the text may be shown to the peer."""


class HubProtocol(Protocol):
    """Writes messages for a client and reads those of a client. `binary` says whether its messages are no text."""

    name: str
    binary: bool

    def invocation(self, target: str, arguments: list[Any]) -> bytes:
        """A call of a client method that expects no answer; raises `ProtocolError` if it cannot be expressed."""

    def failed_completion(self, invocation_id: str, error: str) -> bytes:
        """The answer to an invocation that could not be carried out."""

    def ping(self) -> bytes:
        """A keep-alive."""

    def close(self, error: str | None, allow_reconnect: bool) -> bytes:
        """The last message; `allow_reconnect` lets clients with automatic reconnect come back."""

    def take(self, received: bytearray) -> HubMessage | None:
        """Remove the first complete message from what was received, or None; raises `ProtocolError`."""
