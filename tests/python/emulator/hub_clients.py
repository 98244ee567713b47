"""The least that speaks the JSON hub protocol over each transport, so that one test body serves all three."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx

from emulator.support import SEPARATOR, Azure, HubClient

Message = dict[str, Any]


class WebSocketClient:
    """Over WebSockets."""

    def __init__(self, client: HubClient) -> None:
        self._client = client

    def say(self, *messages: object) -> None:
        self._client.say(*messages)

    def say_raw(self, data: bytes) -> None:
        self._client.websocket.send(data.decode())

    def hear(self, *, pings: bool = False) -> Message:
        return self._client.hear(pings=pings)

    def ends(self) -> bool:
        return self._client.close_code() == 1000

    def vanish(self) -> None:
        self._client.websocket.close_socket()


class RequestClient:
    """What Server-Sent Events and long polling share: everything that the client says is posted."""

    def __init__(self, azure: Azure, token: str, query: str) -> None:
        self._azure = azure
        self.headers = {"Authorization": f"Bearer {token}"}
        self.url = f"{azure.endpoint}/client/?{query}"
        self._records: list[str] = []

    def say(self, *messages: object) -> None:
        self.say_raw("".join(json.dumps(message) + SEPARATOR for message in messages).encode())

    def say_raw(self, data: bytes) -> None:
        answer = self.post(data)
        assert (answer.status_code, answer.content) == (200, b"")

    def post(self, data: bytes) -> httpx.Response:
        return self._azure.http.post(self.url, content=data, headers=self.headers)

    def delete(self) -> httpx.Response:
        return self._azure.http.delete(self.url, headers=self.headers)

    def hear(self, *, pings: bool = False) -> Message:
        while True:
            while not self._records:
                *self._records, rest = self.receive().split(SEPARATOR)
                # Only whole messages are sent, and nothing at all when a poll has timed out.
                assert rest == ""
            message: Message = json.loads(self._records.pop(0))
            if pings or message.get("type") != 6:
                return message

    def receive(self) -> str:
        raise NotImplementedError


class EventClient(RequestClient):
    """Over Server-Sent Events."""

    def __init__(self, azure: Azure, token: str, query: str, stack: ExitStack) -> None:
        super().__init__(azure, token, query)
        headers = {**self.headers, "Accept": "text/event-stream"}
        self.answer = stack.enter_context(azure.http.stream("GET", self.url, headers=headers))
        assert self.answer.status_code == 200
        self._chunks = self.answer.iter_bytes()
        self._rest = b""

    def receive(self) -> str:
        for event in self._events():
            return event
        raise AssertionError("the stream has ended")

    def ends(self) -> bool:
        return list(self._events()) == []

    def vanish(self) -> None:
        self.answer.close()

    def _events(self) -> Iterator[str]:
        """The data of each event until the end of the stream; comments are no events."""
        while True:
            while b"\r\n\r\n" in self._rest:
                event, _, self._rest = self._rest.partition(b"\r\n\r\n")
                if not event.startswith(b":"):
                    assert event.startswith(b"data: ")
                    assert b"\n" not in event
                    yield event.removeprefix(b"data: ").decode()
            chunk = next(self._chunks, None)
            if chunk is None:
                return
            self._rest += chunk


class PollingClient(RequestClient):
    """Over long polling."""

    def __init__(self, azure: Azure, token: str, query: str) -> None:
        super().__init__(azure, token, query)
        first = self.poll()
        assert (first.status_code, first.content) == (200, b"")

    def poll(self) -> httpx.Response:
        return self._azure.http.get(self.url, headers=self.headers)

    def receive(self) -> str:
        answer = self.poll()
        assert answer.status_code == 200
        return answer.text

    def ends(self) -> bool:
        return self.poll().status_code == 204

    def vanish(self) -> None:
        """A client that polls no more is noticed by its silence only."""


@contextmanager
def opened(azure: Azure, transport: str, token: str, query: str) -> Iterator[Any]:
    """A client of the transport before its handshake; the id is in the query."""
    with ExitStack() as stack:
        if transport == "WebSockets":
            yield WebSocketClient(stack.enter_context(azure.socket(token, query=query)))
        elif transport == "ServerSentEvents":
            yield EventClient(azure, token, query, stack)
        else:
            client = PollingClient(azure, token, query)
            yield client
            # Unlike the others it would be there until it has been silent for long enough.
            client.delete()


@contextmanager
def connected(azure: Azure, transport: str, token: str | None = None, *, query: str = "hub=chat") -> Iterator[Any]:
    """A client of the transport before its handshake, negotiated as real clients do it."""
    bearer = azure.token() if token is None else token
    promised = azure.negotiate(bearer, f"{query}&negotiateVersion=1").raise_for_status().json()
    with opened(azure, transport, bearer, f"{query}&id={promised['connectionToken']}") as client:
        yield client


@contextmanager
def joined(azure: Azure, transport: str, token: str | None = None, *, query: str = "hub=chat") -> Iterator[Any]:
    """A client that has its handshake behind it."""
    with connected(azure, transport, token, query=query) as client:
        client.say({"protocol": "json", "version": 1})
        assert client.hear() == {}
        yield client


def refused(azure: Azure, transport: str, token: str | None, query: str) -> httpx.Response:
    """The answer with which a client of the transport is refused when it connects."""
    if transport == "WebSockets":
        return azure.refused_socket(token, query=query)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if transport == "ServerSentEvents":
        headers["Accept"] = "text/event-stream"
    return azure.http.get(f"{azure.endpoint}/client/?{query}", headers=headers)
