"""The MessagePack hub protocol, version 1: arrays in MessagePack, each preceded by its length.

Source: "MessagePack (MsgPack) encoding" of "SignalR Hub Protocol" in dotnet/aspnetcore
(`src/SignalR/docs/specs/HubProtocol.md`).
"""

from __future__ import annotations

import math
from typing import Any

import msgpack  # type: ignore[import-untyped]

from hubpass.emulator.hub_protocol import (
    CANCEL_INVOCATION,
    CLOSE,
    COMPLETION,
    INVOCATION,
    MAX_MESSAGE_BYTES,
    PING,
    STREAM_INVOCATION,
    STREAM_ITEM,
    HubMessage,
    ProtocolError,
)

_ERROR_RESULT = 1
# A length has at most five bytes of seven bits each.
_MOST_LENGTH_BYTES = 5
_CONTINUES, _SEVEN_BITS = 0x80, 0x7F
_INTEGERS = range(-(2**63), 2**64)
# Where the fields that the emulator looks at stand in the array of each type of message.
_FIELDS: dict[int, dict[str, int]] = {
    INVOCATION: {"invocationId": 2, "target": 3, "arguments": 4, "streamIds": 5},
    STREAM_ITEM: {"invocationId": 2, "item": 3},
    COMPLETION: {"invocationId": 2},
    STREAM_INVOCATION: {"invocationId": 2, "target": 3, "arguments": 4, "streamIds": 5},
    CANCEL_INVOCATION: {"invocationId": 2},
    PING: {},
    CLOSE: {},
}
# Older clients leave the ids of their streams out.
_OPTIONAL = frozenset({"streamIds"})


class MessagePackHubProtocol:
    """See `HubProtocol`."""

    name = "messagepack"
    binary = True

    def invocation(self, target: str, arguments: list[Any]) -> bytes:
        """A call of a client method; raises `ProtocolError` for arguments that are nested too deeply."""
        try:
            return _encode([INVOCATION, {}, None, target, [_expressible(argument) for argument in arguments], []])
        except (ValueError, RecursionError):
            raise ProtocolError("The arguments of a message are nested too deeply for MessagePack.") from None

    def failed_completion(self, invocation_id: str, error: str) -> bytes:
        """The answer to an invocation that could not be carried out."""
        return _encode([COMPLETION, {}, invocation_id, _ERROR_RESULT, error])

    def ping(self) -> bytes:
        """A keep-alive."""
        return _encode([PING])

    def close(self, error: str | None, allow_reconnect: bool) -> bytes:
        """The last message."""
        return _encode([CLOSE, error, allow_reconnect])

    def take(self, received: bytearray) -> HubMessage | None:
        """Remove the first complete message from what was received, or None; raises `ProtocolError`."""
        found = _length(received)
        if found is None:
            return None
        start, length = found
        if length > MAX_MESSAGE_BYTES:
            raise ProtocolError(f"A message may have at most {MAX_MESSAGE_BYTES} bytes.")
        end = start + length
        if len(received) < end:
            return None
        content = bytes(received[start:end])
        del received[:end]
        return _parse(content)


def _encode(message: list[Any]) -> bytes:
    # Half of a surrogate pair can be written in JSON but not in UTF-8.
    content: bytes = msgpack.packb(message, unicode_errors="replace")
    length, prefix = len(content), bytearray()
    while length > _SEVEN_BITS:
        prefix.append(length & _SEVEN_BITS | _CONTINUES)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + content


def _expressible(value: Any) -> Any:
    """The value with floating-point numbers in place of integers of more than 64 bits, which MessagePack lacks."""
    if isinstance(value, int) and value not in _INTEGERS:
        return _as_float(value)
    if isinstance(value, list):
        return [_expressible(item) for item in value]
    if isinstance(value, dict):
        return {name: _expressible(item) for name, item in value.items()}
    return value


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _length(received: bytearray) -> tuple[int, int] | None:
    """How many bytes the length has, and the length itself; None if it is not complete yet."""
    length = 0
    for index, byte in enumerate(received[:_MOST_LENGTH_BYTES]):
        length |= (byte & _SEVEN_BITS) << (7 * index)
        if not byte & _CONTINUES:
            return index + 1, length
    if len(received) >= _MOST_LENGTH_BYTES:
        raise ProtocolError("The length of a message has more than five bytes.")
    return None


def _parse(content: bytes) -> HubMessage:
    try:
        message = msgpack.unpackb(content, raw=False, strict_map_key=False)
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException):
        raise ProtocolError("A message is not valid MessagePack.") from None
    if not isinstance(message, list) or not message or isinstance(message[0], bool) or not isinstance(message[0], int):
        raise ProtocolError("A message is not an array that begins with its type.")
    kind = message[0]
    parsed: HubMessage = {"type": kind}
    for name, index in _FIELDS.get(kind, {}).items():
        if index < len(message):
            parsed[name] = message[index]
        elif name not in _OPTIONAL:
            raise ProtocolError(f"A message of type {kind} has no {name}.")
    return parsed
