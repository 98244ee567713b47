"""signalrcore against the local Azure, let in by Hubpass.

After a redirect it opens a WebSocket without a second negotiation, so the other transports are of use to it only when
it negotiates with the service itself; then it speaks version 0. Its long polling sends no token with its polls, which
the service refuses.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from signalrcore.hub_connection_builder import HubConnectionBuilder  # type: ignore[import-untyped]
from signalrcore.types import HttpTransportType, HubProtocolEncoding  # type: ignore[import-untyped]

from clients_of_others.application import serving
from emulator.support import WATCHDOG_SECONDS, Azure

JSON, MESSAGEPACK = HubProtocolEncoding.text, HubProtocolEncoding.binary


class Client:
    """A hub connection and what it has received."""

    def __init__(self, url: str, options: dict[str, Any], encoding: Any) -> None:
        builder = HubConnectionBuilder().with_url(url, options=options).with_hub_protocol(encoding)
        builder.configure_logging(logging.CRITICAL, handler=logging.NullHandler())
        self.connection = builder.build()
        self.received: list[list[Any]] = []
        self.opened, self.arrived = threading.Event(), threading.Event()
        self.connection.on_open(self.opened.set)
        self.connection.on("hello", self._take)

    def _take(self, arguments: list[Any]) -> None:
        self.received.append(arguments)
        self.arrived.set()


@contextmanager
def started(*arguments: Any, **options: Any) -> Iterator[Client]:
    client = Client(*arguments, **options)
    client.connection.start()
    try:
        assert client.opened.wait(WATCHDOG_SECONDS)
        yield client
    finally:
        client.connection.stop()


@pytest.mark.parametrize(("encoding", "protocol"), [(JSON, "json"), (MESSAGEPACK, "messagepack")])
def test_it_follows_the_negotiation_into_the_service(azure: Azure, encoding: Any, protocol: str) -> None:
    with (
        serving(azure.emulator.connection_string, "chat", user_id="ann") as url,
        started(url, {}, encoding) as client,
    ):
        (connection,) = azure.control.connections("chat")
        assert (connection.user_id, connection.transport) == ("ann", "WebSockets")
        assert connection.protocol == protocol
        azure.send(body={"target": "hello", "arguments": ["Grüße", 1, {"a": None}]})
        assert client.arrived.wait(WATCHDOG_SECONDS)
        assert client.received == [["Grüße", 1, {"a": None}]]


@pytest.mark.parametrize(
    ("transport", "encoding", "expected"),
    [
        (HttpTransportType.web_sockets, JSON, ("WebSockets", "json")),
        (HttpTransportType.web_sockets, MESSAGEPACK, ("WebSockets", "messagepack")),
        (HttpTransportType.server_sent_events, JSON, ("ServerSentEvents", "json")),
    ],
)
def test_it_negotiates_with_the_service_in_version_0(
    azure: Azure, transport: Any, encoding: Any, expected: tuple[str, str]
) -> None:
    token = azure.token()
    options = {"access_token_factory": lambda: token, "transport": transport}
    with started(f"{azure.endpoint}/client/?hub=chat", options, encoding) as client:
        (connection,) = azure.control.connections("chat")
        assert (connection.transport, connection.protocol) == expected
        azure.send()
        assert client.arrived.wait(WATCHDOG_SECONDS)
        assert client.received == [["world"]]


def test_its_long_polling_is_refused_because_its_polls_have_no_token(azure: Azure) -> None:
    token = azure.token()
    options = {"access_token_factory": lambda: token, "transport": HttpTransportType.long_polling}
    client = Client(f"{azure.endpoint}/client/?hub=chat", options, JSON)
    client.connection.start()
    entry = azure.control.wait_for_journal(lambda entry: entry.route == "poll")
    assert (entry.status, entry.reason) == (401, "the bearer token is missing")
    client.connection.stop()
    assert not client.opened.is_set()
