"""What a client of a JSON subprotocol may say.

Sources: "JSON WebSocket subprotocol" and "Reliable JSON WebSocket subprotocol" of the documentation of Azure Web
PubSub, and Microsoft's own emulator (Azure/azure-webpubsub, `tools/emulator`) for what is malformed.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

from hubpass.emulator.strict_json import parse_json
from hubpass.emulator.web_pubsub_identity import is_group_name
from hubpass.emulator.web_pubsub_messages import Data

_HIGHEST_UINT64 = 2**64 - 1
_LONGEST_TTL = 300
_EVENT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]{0,127}")


class MalformedError(ValueError):
    """The message is not one of the protocol; the text may be shown to the client."""


@dataclass(frozen=True)
class JoinGroup:
    """Join a group."""

    ack_id: int | None
    group: str


@dataclass(frozen=True)
class LeaveGroup:
    """Leave a group."""

    ack_id: int | None
    group: str


@dataclass(frozen=True)
class SendToGroup:
    """Send to a group; with `no_echo` the sender does not get it back."""

    ack_id: int | None
    group: str
    data: Data
    no_echo: bool


@dataclass(frozen=True)
class SendEvent:
    """Send an event to the event handler of the application."""

    ack_id: int | None
    event: str
    data: Data


@dataclass(frozen=True)
class SequenceAck:
    """Everything up to this sequence id has arrived."""

    sequence_id: int


@dataclass(frozen=True)
class Ping:
    """A keep-alive."""


GroupRequest = JoinGroup | LeaveGroup | SendToGroup
Request = GroupRequest | SendEvent | SequenceAck | Ping


def parse_request(text: str, *, reliable: bool) -> Request:
    """Read a message; raises `MalformedError`."""
    try:
        message = parse_json(text)
    except ValueError:
        raise MalformedError("The message is not valid JSON.") from None
    if not isinstance(message, dict):
        raise MalformedError("The message is not a JSON object.")
    kind = _text(message, "type").lower()
    ack_id = _uint64(message, "ackId")
    if kind == "ping":
        return Ping()
    if kind == "sequenceack" and reliable:
        sequence_id = _uint64(message, "sequenceId")
        if sequence_id is None:
            raise MalformedError("sequenceId is missing.")
        return SequenceAck(sequence_id)
    if kind == "joingroup":
        return JoinGroup(ack_id, _group(message))
    if kind == "leavegroup":
        return LeaveGroup(ack_id, _group(message))
    if kind == "sendtogroup":
        _check_ttl(message)
        return SendToGroup(ack_id, _group(message), _data(message), _flag(message, "noEcho"))
    if kind == "event":
        event = _text(message, "event")
        if not _EVENT_NAME.fullmatch(event):
            raise MalformedError("The event name is not valid.")
        return SendEvent(ack_id, event, _data(message))
    raise MalformedError("The local Azure has no message of this type.")


def _data(message: dict[str, Any]) -> Data:
    kind = _text(message, "dataType").lower() if "dataType" in message else "json"
    if message.get("data") is None:
        raise MalformedError("data is missing.")
    value = message["data"]
    if kind == "json":
        return Data.of_json(value)
    if kind == "text":
        return Data.of_text(_text(message, "data"))
    if kind != "binary":
        raise MalformedError("dataType must be json, text or binary.")
    try:
        return Data.of_binary(base64.b64decode(_text(message, "data"), validate=True))
    except (binascii.Error, ValueError):
        raise MalformedError("data is not base64.") from None


def _group(message: dict[str, Any]) -> str:
    group = _text(message, "group")
    if not is_group_name(group):
        raise MalformedError("The group name is not valid.")
    return group


def _text(message: dict[str, Any], name: str) -> str:
    value = message.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"{name} must be a text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MalformedError(f"{name} has half of a surrogate pair in it.") from None
    return value


def _uint64(message: dict[str, Any], name: str) -> int | None:
    value = message.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _HIGHEST_UINT64:
        raise MalformedError(f"{name} must be an unsigned integer of 64 bits.")
    return value


def _flag(message: dict[str, Any], name: str) -> bool:
    value = message.get(name, False)
    if not isinstance(value, bool):
        raise MalformedError(f"{name} must be true or false.")
    return value


def _check_ttl(message: dict[str, Any]) -> None:
    ttl = _uint64(message, "ttlSeconds")
    if ttl is not None and ttl > _LONGEST_TTL:
        raise MalformedError(f"ttlSeconds must be from 0 to {_LONGEST_TTL}.")
