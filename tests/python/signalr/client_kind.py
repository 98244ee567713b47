"""One face for the sync and the async client, so that one test body runs over both."""

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

from azure.core.credentials import AzureKeyCredential

import hubpass
import hubpass.aio
from hubpass import NegotiationResponse

KEY = "a-made-up-access-key-of-44-characters-000000="
"""An access key as Azure makes them: 44 characters, of which the last is padding."""

ENDPOINT = "https://demo.service.signalr.net"


def settle(value: Any) -> Any:
    """What a call gave; if it gave a coroutine, what that gives on an event loop of its own."""
    if not inspect.iscoroutine(value):
        return value

    async def outermost() -> Any:
        return await value

    return asyncio.run(outermost())


class AnyClient:
    """A client of either kind, whose methods wait for their result."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def negotiate(self, *args: Any, **options: Any) -> NegotiationResponse:
        answer = settle(self.raw.negotiate(*args, **options))
        assert isinstance(answer, NegotiationResponse)
        return answer

    def send_to_all(self, *args: Any, **options: Any) -> None:
        result: None = settle(self.raw.send_to_all(*args, **options))
        assert result is None

    def for_hub(self, *args: Any, **options: Any) -> "AnyClient":
        return AnyClient(self.raw.for_hub(*args, **options))

    def close(self, **options: Any) -> None:
        settle(self.raw.close(**options))

    def inside_with(self, body: Callable[["AnyClient"], None]) -> None:
        """Run ``body`` with the client as its context manager gives it."""
        if hasattr(self.raw, "__enter__"):
            with self.raw as entered:
                body(AnyClient(entered))
            return

        async def enter() -> None:
            async with self.raw as entered:
                # The body runs event loops of its own, which a thread of its own allows.
                await asyncio.to_thread(body, AnyClient(entered))

        asyncio.run(enter())


class ClientKind:
    """The sync or the async client."""

    service = "signalr"

    def __init__(self, name: str, client_class: Any) -> None:
        self.name = name
        self.client_class = client_class

    def __str__(self) -> str:
        return self.name

    @property
    def module(self) -> str:
        """The module that applications import this client from."""
        return "hubpass.aio" if self.name == "async" else "hubpass"

    def make(self, endpoint: Any = ENDPOINT, hub: Any = "chat", credential: Any = ..., **options: Any) -> AnyClient:
        """A client made by the constructor, with a key credential if nothing else is said."""
        chosen = AzureKeyCredential(KEY) if credential is ... else credential
        return AnyClient(self.client_class(endpoint, hub, chosen, **options))

    def from_connection_string(self, text: Any, hub: Any = "chat", **options: Any) -> AnyClient:
        return AnyClient(self.client_class.from_connection_string(text, hub, **options))

    def from_env(self, hub: Any = "chat", **options: Any) -> AnyClient:
        return AnyClient(self.client_class.from_env(hub, **options))


SYNC = ClientKind("sync", hubpass.SignalRServiceClient)
ASYNC = ClientKind("async", hubpass.aio.SignalRServiceClient)
