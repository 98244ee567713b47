"""What the pytest fixtures give: one service of the local Azure, from the side of a test."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from hubpass import testing

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

    from hubpass.emulator.control_client import ControlClient
    from hubpass.emulator.control_records import FaultRoute, JournalEntry
    from hubpass.emulator.process import Emulator

_SEPARATOR = "\x1e"
# Longer than any key, token or pause lives: afterwards every client begins anew.
_EVERYTHING_HAS_EXPIRED = timedelta(days=2)
_INSTALL_HINT = 'pip install "hubpass[pytest]"'
_INVOCATION, _CLOSE = 1, 7


class NotConnectedError(AssertionError):
    """A connection was refused, or has ended; the text says why."""


@dataclass(frozen=True)
class Invocation:
    """A call of a client's method: what ``connection.on(target, ...)`` would have been called with."""

    target: str
    arguments: list[Any]


class SignalRConnection:
    """A client that is connected to the local Azure SignalR Service over a WebSocket, as a browser would be."""

    def __init__(self, websocket: ClientConnection, connection_id: str) -> None:
        self._websocket = websocket
        self._records: list[str] = []
        self.connection_id = connection_id

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

    def close(self) -> None:
        """Leave."""
        self._websocket.close()

    def _shake_hands(self) -> None:
        self._websocket.send(json.dumps({"protocol": "json", "version": 1}) + _SEPARATOR)
        refused = self._next(time.monotonic() + 10.0).get("error")
        if refused is not None:
            raise NotConnectedError(f"the handshake was refused: {refused}")

    def _next(self, deadline: float) -> dict[str, Any]:
        from websockets.exceptions import ConnectionClosed

        while not self._records:
            try:
                text = self._websocket.recv(timeout=max(0.0, deadline - time.monotonic()))
            except ConnectionClosed as error:
                raise NotConnectedError(f"the connection has ended: {error}") from None
            self._records += [record for record in str(text).split(_SEPARATOR) if record]
        message: dict[str, Any] = json.loads(self._records.pop(0))
        return message


class Tester:
    """What the testers of both services have in common."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self._is_clean = False

    @property
    def control(self) -> ControlClient:
        """The control API of the local Azure: roles, clocks, faults and more."""
        return self.emulator.control

    def advance(self, by: timedelta) -> None:
        """Let time pass, for the local Azure and for the clients of this process (:func:`hubpass.testing.advance`)."""
        testing.advance(by)
        self.control.advance_clock(by.total_seconds())

    def fail(self, route: FaultRoute, *, times: int = 1, **fault: Any) -> None:
        """Let the next calls of a route fail.

        Args:
            route: Which calls: ``access_key`` (temporary keys), ``token`` and ``managed_identity`` (Entra), ``send``
                (REST), ``negotiate`` and ``connect`` (clients), or ``*``.
            times: How many.
            **fault: What happens: ``status=503`` with ``headers=``, ``body=`` and ``retry_after=``, ``drop=True``,
                ``garbage=True``, ``delay=`` (seconds), or ``hold=True`` until ``control.release()``.
        """
        self._is_clean = False
        self.control.fail_next(route, times=times, **fault)

    @property
    def journal(self) -> tuple[JournalEntry, ...]:
        """What the local Azure has seen since the test began, oldest first. No credential is in it."""
        return self.control.journal()

    def reset(self) -> None:
        """Make everything as new, the keys and the pauses of this process's clients included."""
        self.control.clear_faults()
        self.control.release()
        for connection in self.control.connections():
            self.control.close_connection(connection.connection_id)
        if not self._is_clean:
            ahead = testing.advance(_EVERYTHING_HAS_EXPIRED)
            # The local Azure may have been started after time had passed for the clients.
            self.control.reset_clock()
            self.control.advance_clock(ahead.total_seconds())
        self.control.clear_journal()
        self._is_clean = True


class SignalRTester(Tester):
    """The local Azure SignalR Service, from the side of a test: the fixture ``signalr``."""

    def __init__(self, emulator: Emulator) -> None:
        super().__init__(emulator)
        self._connections: list[SignalRConnection] = []
        self._open_connections = ExitStack()

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
        websocket = _open(self._open_connections, f"{url.replace('http', 'ws', 1)}&{query}")
        connection = SignalRConnection(websocket, promised["connectionId"])
        connection._shake_hands()  # noqa: SLF001 - a connection is made here and nowhere else
        self._connections.append(connection)
        return connection

    def receive(self, timeout: float = 10.0) -> Invocation:
        """Give the next call that the client connected last receives; see :meth:`SignalRConnection.receive`."""
        if not self._connections:
            raise NotConnectedError("no client is connected: call connect(answer) first")
        return self._connections[-1].receive(timeout)

    def revoke_keys(self) -> int:
        """Revoke the temporary keys that have been given out; says how many.

        Tokens that they have signed are refused from now on. The application is not told, as in Azure:
        ``client.invalidate_key(kid)`` makes it fetch another.
        """
        self._is_clean = False
        return self.control.revoke_temporary_keys()

    def close(self) -> None:
        """Let every client leave."""
        self._connections.clear()
        self._open_connections.close()


def _negotiate(url: str, token: str) -> dict[str, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10.0)
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


def _open(stack: ExitStack, url: str, **options: Any) -> ClientConnection:
    """A WebSocket that closes with the stack."""
    try:
        from websockets.exceptions import InvalidHandshake
        from websockets.sync.client import connect
    except ModuleNotFoundError:
        raise ModuleNotFoundError(f"connect() needs the package websockets. Run: {_INSTALL_HINT}") from None
    try:
        websocket: ClientConnection = stack.enter_context(connect(url, proxy=None, **options))
    except InvalidHandshake as error:
        raise NotConnectedError(f"the service refused the client: {error}") from None
    return websocket
