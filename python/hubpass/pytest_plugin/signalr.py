"""Azure SignalR Service of the local Azure, from the side of a test: the fixture ``signalr``."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from hubpass.pytest_plugin.connections import ANSWER_SECONDS, Connection, open_websocket
from hubpass.pytest_plugin.testers import NotConnectedError, Tester

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_SEPARATOR = "\x1e"
_INVOCATION, _CLOSE = 1, 7


@dataclass(frozen=True)
class Invocation:
    """A call of a client's method: what ``connection.on(target, ...)`` would have been called with."""

    target: str
    arguments: list[Any]


class SignalRConnection(Connection):
    """A client of Azure SignalR Service, which speaks the hub protocol in JSON."""

    def __init__(self, websocket: ClientConnection, connection_id: str) -> None:
        super().__init__(websocket)
        self._records: list[str] = []
        self.connection_id = connection_id
        self._shake_hands()

    def receive(self, timeout: float = 10.0) -> Invocation:
        """Give the next call of one of the client's methods.

        Args:
            timeout: After how many seconds without one the test fails.

        Raises:
            TimeoutError: None came.
            NotConnectedError: The service has closed the connection; the text has its reason.
        """
        deadline = time.monotonic() + timeout
        while True:
            message = self._next(deadline)
            if message.get("type") == _INVOCATION:
                return Invocation(str(message["target"]), list(message["arguments"]))
            if message.get("type") == _CLOSE:
                raise NotConnectedError(f"the service has closed the connection: {message.get('error', 'no reason')}")

    def _shake_hands(self) -> None:
        self._websocket.send(json.dumps({"protocol": "json", "version": 1}) + _SEPARATOR)
        refused = self._next(time.monotonic() + ANSWER_SECONDS).get("error")
        if refused is not None:
            raise NotConnectedError(f"the handshake was refused: {refused}")

    def _next(self, deadline: float) -> dict[str, Any]:
        while not self._records:
            self._records += [record for record in self._next_text(deadline).split(_SEPARATOR) if record]
        message: dict[str, Any] = json.loads(self._records.pop(0))
        return message


class SignalRTester(Tester[SignalRConnection]):
    """Azure SignalR Service, from the side of a test: the fixture ``signalr``."""

    @property
    def endpoint(self) -> str:
        """The address of the service."""
        return self.emulator.endpoint

    @property
    def connection_string(self) -> str:
        """A connection string without a key: the service knows the application by its managed identity."""
        return self.emulator.managed_identity_connection_string

    def connect(self, answer: Mapping[str, Any]) -> SignalRConnection:
        """Connect a client with the answer to its ``POST /negotiate``, as ``@microsoft/signalr`` does.

        Args:
            answer: The JSON of the answer: ``url`` and ``accessToken``.

        Raises:
            NotConnectedError: The service refused it, with the reason that a browser would not see.
        """
        url, token = str(answer["url"]), str(answer["accessToken"])
        promised = _negotiate(url, token)
        query = urlencode({"id": promised["connectionToken"], "access_token": token})
        websocket = open_websocket(self._stack, f"{url.replace('http', 'ws', 1)}&{query}")
        return self._keep(SignalRConnection(websocket, promised["connectionId"]))

    def receive(self, timeout: float = 10.0) -> Invocation:
        """Give the next call that the client connected last receives; see :meth:`SignalRConnection.receive`."""
        return self._last.receive(timeout)

    def revoke_keys(self) -> int:
        """Revoke the temporary keys that have been given out; says how many.

        Tokens that they have signed are refused from now on. The application is not told, as in Azure:
        ``client.invalidate_key(kid)`` makes it fetch another.
        """
        return self.control.revoke_temporary_keys()


def _negotiate(url: str, token: str) -> dict[str, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=ANSWER_SECONDS)
    try:
        path = f"{parts.path}negotiate?{parts.query}&negotiateVersion=1"
        connection.request("POST", path, headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        body = response.read()
    finally:
        connection.close()
    if response.status != http.client.OK:
        reason = response.headers.get("WWW-Authenticate") or body.decode("utf-8", "replace")
        raise NotConnectedError(f"the service refused the client with {response.status}: {reason}")
    promised: dict[str, Any] = json.loads(body)
    return promised
