"""Azure Web PubSub of the local Azure, from the side of a test: the fixture ``web_pubsub``."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from hubpass.pytest_plugin.connections import ANSWER_SECONDS, Connection, open_websocket
from hubpass.pytest_plugin.testers import NotConnectedError, Tester

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from hubpass.emulator.control_records import JournalEntry

_SUBPROTOCOL = "json.webpubsub.azure.v1"


class RefusedError(AssertionError):
    """The service refused what a client asked for; ``name`` is its word for the reason, such as ``Forbidden``."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


@dataclass(frozen=True)
class Message:
    """What a client receives: ``data`` as it was sent, binary data in base64.

    ``group`` is the one that it was sent to, and ``from_user_id`` the user who sent it; both are ``None`` for what a
    server sent otherwise.
    """

    data: Any
    group: str | None = None
    from_user_id: str | None = None


class WebPubSubConnection(Connection):
    """A client of Azure Web PubSub, which speaks ``json.webpubsub.azure.v1``."""

    user_id: str | None
    """Who the service takes the client for."""

    def __init__(self, websocket: ClientConnection) -> None:
        super().__init__(websocket)
        self._received: deque[Message] = deque()
        self._ack_ids = count(1)
        welcome = self._next(time.monotonic() + ANSWER_SECONDS)
        self.connection_id, self.user_id = welcome["connectionId"], welcome.get("userId")

    def receive(self, timeout: float = 10.0) -> Message:
        """Give the next message.

        Args:
            timeout: After how many seconds without one the test fails.

        Raises:
            TimeoutError: None came.
            NotConnectedError: The service has closed the connection; the text has its reason.
        """
        deadline = time.monotonic() + timeout
        while not self._received:
            self._take(self._next(deadline))
        return self._received.popleft()

    def send_to_group(self, group: str, data: Any, *, no_echo: bool = False) -> None:
        """Send to a group, as a client with the role ``webpubsub.sendToGroup`` may; returns when it is done.

        Args:
            group: The group.
            data: What JSON can express.
            no_echo: Whether this client does not get it, though it is in the group.

        Raises:
            RefusedError: The client's token has no role for it (``Forbidden``).
        """
        self._ask("sendToGroup", group, dataType="json", data=data, noEcho=no_echo)

    def join_group(self, group: str) -> None:
        """Join a group, as a client with the role ``webpubsub.joinLeaveGroup`` may; returns when it is done.

        Raises:
            RefusedError: The client's token has no role for it (``Forbidden``).
        """
        self._ask("joinGroup", group)

    def leave_group(self, group: str) -> None:
        """Leave a group; as :meth:`join_group`."""
        self._ask("leaveGroup", group)

    def _ask(self, kind: str, group: str, **more: Any) -> None:
        ack_id = next(self._ack_ids)
        self._websocket.send(json.dumps({"type": kind, "group": group, "ackId": ack_id, **more}))
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            message = self._next(deadline)
            if message["type"] != "ack":
                self._take(message)
            elif message["ackId"] == ack_id:
                break
        if not message["success"]:
            raise RefusedError(message["error"]["name"], message["error"]["message"])

    def _take(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            self._received.append(Message(message["data"], message.get("group"), message.get("fromUserId")))

    def _next(self, deadline: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._next_text(deadline))
        if message.get("event") == "disconnected":
            raise NotConnectedError(f"the service has closed the connection: {message.get('message', 'no reason')}")
        return message


class WebPubSubTester(Tester[WebPubSubConnection]):
    """Azure Web PubSub, from the side of a test: the fixture ``web_pubsub``.

    The names of its routes for :meth:`~hubpass.pytest_plugin.testers.Tester.fail` begin with ``web_pubsub_``, such as
    ``web_pubsub_generate_token``; ``token`` and ``managed_identity`` are those of Entra.
    """

    @property
    def endpoint(self) -> str:
        """The address of the service."""
        return self.emulator.web_pubsub_endpoint

    @property
    def connection_string(self) -> str:
        """A connection string without a key: the service knows the application by its managed identity."""
        return self.emulator.web_pubsub_managed_identity_connection_string

    @property
    def access_key_connection_string(self) -> str:
        """A connection string with the primary access key as it is when a test begins."""
        return self.emulator.web_pubsub_connection_string

    def connect(self, answer: Mapping[str, Any]) -> WebPubSubConnection:
        """Connect a client with the answer to its ``POST /negotiate``, as ``@azure/web-pubsub-client`` does.

        Args:
            answer: The JSON of the answer, of which ``url`` counts.

        Raises:
            NotConnectedError: The service refused it; the text has the reason from its journal, which a browser would
                not see.
        """
        seen = len(self._attempts())
        try:
            websocket = open_websocket(self._stack, str(answer["url"]), subprotocols=[_SUBPROTOCOL])
        except NotConnectedError as error:
            reasons = [entry.reason for entry in self._attempts()[seen:] if entry.reason]
            raise NotConnectedError(": ".join([str(error), *reasons[-1:]])) from None
        return self._keep(WebPubSubConnection(websocket))

    def receive(self, timeout: float = 10.0) -> Message:
        """Give the next message of the client connected last; see :meth:`WebPubSubConnection.receive`."""
        return self._last.receive(timeout)

    def revoke_keys(self) -> int:
        """Regenerate both access keys; says how many those are.

        Tokens that the old ones have signed are refused from now on, until the next test has the old ones again. An
        application with an identity does not notice, because Web PubSub has no temporary keys.
        """
        self.control.rotate_web_pubsub_keys("primary")
        self.control.rotate_web_pubsub_keys("secondary")
        return 2

    def _attempts(self) -> tuple[JournalEntry, ...]:
        return self.control.journal("web_pubsub_connect")
