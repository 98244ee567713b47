"""Messages to Web PubSub clients, and the two forms in which clients get them.

Sources: "JSON WebSocket subprotocol" and "Reliable JSON WebSocket subprotocol" of the documentation of Azure Web
PubSub.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Literal

DataType = Literal["json", "text", "binary"]
Frame = str | bytes


@dataclass(frozen=True)
class Data:
    """What a message carries: a JSON value with its text, a text, or bytes."""

    kind: DataType
    value: Any
    text: str = ""

    @classmethod
    def of_json(cls, value: Any, text: str | None = None) -> Data:
        """A JSON value; `text` is how its sender wrote it."""
        return cls("json", value, _encode(value) if text is None else text)

    @classmethod
    def of_text(cls, text: str) -> Data:
        """A text."""
        return cls("text", text, text)

    @classmethod
    def of_binary(cls, content: bytes) -> Data:
        """Bytes."""
        return cls("binary", content)

    def bare(self) -> Frame:
        """The frame that a client without a subprotocol gets: no envelope, and JSON is a text."""
        return bytes(self.value) if self.kind == "binary" else self.text


@dataclass(frozen=True)
class Message:
    """Data on its way to clients; `group` is None if a server sent it to other targets than a group."""

    data: Data
    group: str | None = None
    from_user_id: str | None = None

    def enveloped(self, sequence_id: int | None) -> str:
        """The text that a client of a JSON subprotocol gets."""
        data, group = self.data, self.group
        message: dict[str, Any] = {"type": "message", "from": "server" if group is None else "group"}
        if group is not None:
            message["group"] = group
        if self.from_user_id is not None:
            message["fromUserId"] = self.from_user_id
        message["dataType"] = data.kind
        message["data"] = base64.b64encode(data.value).decode() if data.kind == "binary" else data.value
        if sequence_id is not None:
            message["sequenceId"] = sequence_id
        return _encode(message)


def connected(connection_id: str, user_id: str | None, reconnection_token: str | None) -> str:
    """The first message of a connection; only a reliable one has a token to come back with."""
    message = {"type": "system", "event": "connected", "userId": user_id, "connectionId": connection_id}
    if reconnection_token is not None:
        message["reconnectionToken"] = reconnection_token
    return _encode(message)


def disconnected(reason: str) -> str:
    """The last message of a connection that the service ends."""
    return _encode({"type": "system", "event": "disconnected", "message": reason})


def acknowledged(ack_id: int) -> str:
    """What the client asked for is done."""
    return _encode({"type": "ack", "ackId": ack_id, "success": True})


def refused(ack_id: int, name: str, message: str) -> str:
    """What the client asked for is not done; `name` is for programs, `message` for people."""
    return _encode({"type": "ack", "ackId": ack_id, "success": False, "error": {"name": name, "message": message}})


def pong() -> str:
    """The answer to a ping."""
    return _encode({"type": "pong"})


def _encode(value: Any) -> str:
    # Non-ASCII characters are escaped, so that half of a surrogate pair inside JSON data can be passed on.
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
