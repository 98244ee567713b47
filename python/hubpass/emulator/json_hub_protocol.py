"""Texts of the JSON hub protocol, version 1.

Source: "SignalR Hub Protocol" in dotnet/aspnetcore (`src/SignalR/docs/specs/HubProtocol.md`).
"""

from __future__ import annotations

import json
from typing import Any

SEPARATOR = "\x1e"
PROTOCOL = "json"
VERSION = 1
# The service's own limit for a message of a client is 1 MB.
MAX_RECORD_CHARACTERS = 1024 * 1024

INVOCATION, STREAM_ITEM, COMPLETION, STREAM_INVOCATION, CANCEL_INVOCATION, PING, CLOSE = range(1, 8)
HANDSHAKE_ACCEPTED = "{}" + SEPARATOR


class ProtocolError(Exception):
    """The peer sent something that the protocol does not allow; the text may be shown to the peer."""


class RecordReader:
    """Cuts what arrives into records, which may be spread over several WebSocket messages."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """The records that are complete by now; raises `ProtocolError` if one grows too long."""
        *records, self._rest = (self._rest + text).split(SEPARATOR)
        if len(self._rest) > MAX_RECORD_CHARACTERS:
            raise ProtocolError(f"A message may have at most {MAX_RECORD_CHARACTERS} characters.")
        return records


def encode(message: dict[str, Any]) -> str:
    """One record. Non-ASCII characters are escaped, so that half of a surrogate pair can be passed on."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False) + SEPARATOR


def invocation(target: str, arguments: list[Any]) -> str:
    """A call of a client method that expects no answer."""
    return encode({"type": INVOCATION, "target": target, "arguments": arguments})


def failed_completion(invocation_id: str, error: str) -> str:
    """The answer to an invocation that could not be carried out."""
    return encode({"type": COMPLETION, "invocationId": invocation_id, "error": error})


def ping() -> str:
    """A keep-alive."""
    return encode({"type": PING})


def close(error: str | None, allow_reconnect: bool) -> str:
    """The last message of a connection; `allow_reconnect` lets clients with automatic reconnect come back."""
    message: dict[str, Any] = {"type": CLOSE}
    if error is not None:
        message["error"] = error
    if allow_reconnect:
        message["allowReconnect"] = True
    return encode(message)


def handshake_refused(error: str) -> str:
    """The answer to a handshake that the service cannot accept."""
    return encode({"error": error})


def check_handshake(record: str) -> None:
    """Raise `ProtocolError` unless the record asks for this protocol in this version."""
    request = parse(record)
    protocol, version = request.get("protocol"), request.get("version")
    if not isinstance(protocol, str) or isinstance(version, bool) or not isinstance(version, int):
        raise ProtocolError("A handshake needs 'protocol' and 'version'.")
    if protocol != PROTOCOL:
        raise ProtocolError(f"The protocol '{protocol}' is not supported. The local Azure supports '{PROTOCOL}' only.")
    if version != VERSION:
        raise ProtocolError(f"Version {version} of '{PROTOCOL}' is not supported. Use version {VERSION}.")


def parse(record: str) -> dict[str, Any]:
    """The JSON object of a record; raises `ProtocolError` if it is none."""
    try:
        message = json.loads(record)
    except (ValueError, RecursionError):
        raise ProtocolError("A message is not valid JSON.") from None
    if not isinstance(message, dict):
        raise ProtocolError("A message is not a JSON object.")
    return message
