"""The connection of a client to the local Azure: a WebSocket whose texts a test waits for."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from hubpass.pytest_plugin.testers import NotConnectedError

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

ANSWER_SECONDS = 10.0
"""How long the local Azure may take to answer before a test fails."""

_INSTALL_HINT = 'pip install "hubpass[pytest]"'


class Connection:
    """A client that is connected over a WebSocket, as a browser would be."""

    connection_id: str
    """The id under which the service knows the connection."""

    def __init__(self, websocket: ClientConnection) -> None:
        self._websocket = websocket

    def close(self) -> None:
        """Leave."""
        self._websocket.close()

    def _next_text(self, deadline: float) -> str:
        """What the service says next; `deadline` is by the monotonic clock."""
        from websockets.exceptions import ConnectionClosed

        try:
            return str(self._websocket.recv(timeout=max(0.0, deadline - time.monotonic())))
        except ConnectionClosed as error:
            raise NotConnectedError(f"the connection has ended: {error}") from None


def open_websocket(stack: ExitStack, url: str, **options: Any) -> ClientConnection:
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
