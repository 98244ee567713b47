"""The JSON hub protocol, version 1: JSON texts, each followed by a record separator.

Source: "SignalR Hub Protocol" in dotnet/aspnetcore (`src/SignalR/docs/specs/HubProtocol.md`).
"""

from __future__ import annotations

import json
from typing import Any

from hubpass.emulator.hub_protocol import (
    CLOSE,
    COMPLETION,
    INVOCATION,
    MAX_MESSAGE_BYTES,
    PING,
    HubMessage,
    ProtocolError,
)

SEPARATOR = b"\x1e"


class JsonHubProtocol:
    """See `HubProtocol`."""

    name = "json"
    binary = False

    def invocation(self, target: str, arguments: list[Any]) -> bytes:
        """A call of a client method that expects no answer."""
        return encode({"type": INVOCATION, "target": target, "arguments": arguments})

    def failed_completion(self, invocation_id: str, error: str) -> bytes:
        """The answer to an invocation that could not be carried out."""
        return encode({"type": COMPLETION, "invocationId": invocation_id, "error": error})

    def ping(self) -> bytes:
        """A keep-alive."""
        return encode({"type": PING})

    def close(self, error: str | None, allow_reconnect: bool) -> bytes:
        """The last message; fields that say nothing are left out."""
        message: HubMessage = {"type": CLOSE}
        if error is not None:
            message["error"] = error
        if allow_reconnect:
            message["allowReconnect"] = True
        return encode(message)

    def take(self, received: bytearray) -> HubMessage | None:
        """Remove the first complete message from what was received, or None; raises `ProtocolError`."""
        record = take_record(received)
        return None if record is None else parse(record)


def take_record(received: bytearray) -> bytes | None:
    """Remove the first record and its separator, or None if none is complete; raises `ProtocolError` if too long."""
    end = received.find(SEPARATOR)
    if (len(received) if end < 0 else end) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"A message may have at most {MAX_MESSAGE_BYTES} bytes.")
    if end < 0:
        return None
    record = bytes(received[:end])
    del received[: end + len(SEPARATOR)]
    return record


def encode(message: HubMessage) -> bytes:
    """One record. Non-ASCII characters are escaped, so that half of a surrogate pair can be passed on."""
    return json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii") + SEPARATOR


def parse(record: bytes) -> HubMessage:
    """The JSON object of a record; raises `ProtocolError` if it is none."""
    try:
        message = json.loads(record.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ProtocolError("A message is not valid JSON.") from None
    if not isinstance(message, dict):
        raise ProtocolError("A message is not a JSON object.")
    return message
