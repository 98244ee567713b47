"""pysignalr against the local Azure, let in by Hubpass. It has WebSockets only, and both hub protocols."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from pysignalr.client import SignalRClient
from pysignalr.messages import CompletionMessage, Message
from pysignalr.protocol.abstract import Protocol
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol

from clients_of_others.application import serving
from emulator.support import WATCHDOG_SECONDS, Azure

PROTOCOLS = [(JSONProtocol, "json"), (MessagepackProtocol, "messagepack")]


class Client:
    """A client and what it has received."""

    def __init__(self, url: str, protocol: Protocol) -> None:
        self.client = SignalRClient(url, protocol=protocol)
        self.opened: asyncio.Queue[None] = asyncio.Queue()
        self.received: asyncio.Queue[Any] = asyncio.Queue()
        self.answers: asyncio.Queue[Message] = asyncio.Queue()
        self.client.on_open(self._open)
        self.client.on("hello", self.received.put)
        self.client.on_error(self.answers.put)

    async def _open(self) -> None:
        await self.opened.put(None)


@asynccontextmanager
async def running(url: str, protocol: Protocol) -> AsyncIterator[Client]:
    client = Client(url, protocol)
    task = asyncio.ensure_future(client.client.run())
    try:
        await asyncio.wait_for(client.opened.get(), WATCHDOG_SECONDS)
        yield client
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        # It has no way to stop but this one, which leaves its WebSocket open.
        websocket = client.client._transport._ws
        if websocket is not None:
            await websocket.close()


@pytest.mark.parametrize(("kind", "name"), PROTOCOLS)
def test_it_follows_the_negotiation_into_the_service(azure: Azure, kind: type[Any], name: str) -> None:
    async def scenario(url: str) -> None:
        async with running(url, kind()) as client:
            (connection,) = azure.control.connections("chat")
            assert (connection.user_id, connection.protocol) == ("ann", name)
            azure.send(body={"target": "hello", "arguments": ["Grüße", 1, {"a": None}]})
            arguments = await asyncio.wait_for(client.received.get(), WATCHDOG_SECONDS)
            assert arguments == ["Grüße", 1, {"a": None}]
            await client.client.send("ask", [{}], client.answers.put)
            refusal = await asyncio.wait_for(client.answers.get(), WATCHDOG_SECONDS)
            assert isinstance(refusal, CompletionMessage)
            assert "no upstream is configured for 'ask'" in str(refusal.error)

    with serving(azure.emulator.connection_string, "chat", user_id="ann") as url:
        asyncio.run(scenario(url))


@pytest.mark.parametrize(("kind", "name"), PROTOCOLS)
def test_it_comes_back_after_its_connection_broke(azure: Azure, kind: type[Any], name: str) -> None:
    async def scenario(url: str) -> None:
        async with running(url, kind()) as client:
            (first,) = azure.control.connections("chat")
            azure.control.drop_connection(first.connection_id)
            await asyncio.wait_for(client.opened.get(), WATCHDOG_SECONDS)
            azure.control.wait_for_connections(1)
            (second,) = azure.control.connections("chat")
            assert second.connection_id != first.connection_id
            assert second.protocol == name
            azure.send()
            assert await asyncio.wait_for(client.received.get(), WATCHDOG_SECONDS) == ["world"]

    with serving(azure.emulator.connection_string, "chat", user_id="ann") as url:
        asyncio.run(scenario(url))
