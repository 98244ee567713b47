"""What the tests of Web PubSub share: tokens made by PyJWT, requests over real sockets, and a bare client."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlencode

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from emulator.support import WATCHDOG_SECONDS, Azure, key_of, refusal_of

JSON = "json.webpubsub.azure.v1"
RELIABLE = "json.reliable.webpubsub.azure.v1"
API_VERSION = "2024-12-01"
SCOPE = "https://webpubsub.azure.com/.default"
BOTH_ROLES = ("webpubsub.joinLeaveGroup", "webpubsub.sendToGroup")


class PubSub:
    """The Web PubSub of an emulator together with everything a test needs to talk to it."""

    def __init__(self, azure: Azure) -> None:
        self.azure = azure
        self.control = azure.control
        self.endpoint = azure.emulator.web_pubsub_endpoint
        self.key = key_of(azure.emulator.web_pubsub_connection_string)
        self.secondary_key = key_of(azure.emulator.web_pubsub_secondary_connection_string)

    @property
    def websocket_endpoint(self) -> str:
        return self.endpoint.replace("http", "ws", 1)

    def token(
        self,
        hub: str = "chat",
        *,
        key: str | None = None,
        algorithm: str = "HS256",
        roles: Sequence[str] | None = None,
        groups: Sequence[str] | None = None,
        headers: Mapping[str, Any] | None = None,
        **claims: object,
    ) -> str:
        """A client token that is right in every respect, except for the claims that are given."""
        now = int(self.control.state().now)
        right: dict[str, object] = {"aud": f"{self.endpoint}/client/hubs/{hub}", "exp": now + 3600}
        if roles is not None:
            right["role"] = list(roles)
        if groups is not None:
            right["webpubsub.group"] = list(groups)
        return self.azure._sign({**right, **claims}, key or self.key, algorithm, headers)

    def rest_token(self, url: str, *, key: str | None = None, algorithm: str = "HS256", **claims: object) -> str:
        now = int(self.control.state().now)
        return self.azure._sign({"aud": url, "exp": now + 60, **claims}, key or self.key, algorithm, None)

    def url(self, path: str, query: Mapping[str, str | Sequence[str]] | None = None, hub: str = "chat") -> str:
        """The URL of a REST operation of a hub."""
        parameters = {"api-version": API_VERSION} if query is None else query
        return f"{self.endpoint}/api/hubs/{hub}{path}?{urlencode(parameters, doseq=True)}"

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | Sequence[str]] | None = None,
        content: bytes | None = None,
        content_type: str | None = None,
        token: str | None = None,
        hub: str = "chat",
    ) -> httpx.Response:
        """A request of a server, with a token signed for its whole URL unless another one is given."""
        url = self.url(path, query, hub)
        bearer = self.rest_token(url) if token is None else token
        headers = {"Authorization": f"Bearer {bearer}"}
        if content_type is not None:
            headers["Content-Type"] = content_type
        return self.azure.http.request(method, url, content=content, headers=headers)

    def send(self, path: str = "/:send", message: object = "hello", **options: Any) -> httpx.Response:
        """Send a JSON value."""
        content = json.dumps(message).encode()
        return self.call("POST", path, content=content, content_type="application/json", **options)

    def generate(self, bearer: str | None = None, hub: str = "chat", **query: Any) -> httpx.Response:
        """Ask for a client token, with a good Entra token unless another bearer is given."""
        token = self.azure.entra_token(scope=SCOPE) if bearer is None else bearer
        return self.call("POST", "/:generateToken", query={"api-version": API_VERSION, **query}, token=token, hub=hub)

    def generated(self, **query: Any) -> str:
        token: str = self.generate(**query).raise_for_status().json()["token"]
        return token

    @contextmanager
    def socket(
        self,
        token: str | None = None,
        *,
        subprotocols: Sequence[str] = (),
        path: str = "/client/hubs/chat",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[PubSubClient]:
        """A WebSocket. The token goes into the query, as the official clients do it."""
        parameters = {**(query or {}), **({} if token is None else {"access_token": token})}
        with connect(
            f"{self.websocket_endpoint}{path}?{urlencode(parameters)}",
            proxy=None,
            max_size=None,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            additional_headers=dict(headers or {}),
            open_timeout=WATCHDOG_SECONDS,
            close_timeout=WATCHDOG_SECONDS,
        ) as websocket:
            yield PubSubClient(websocket)

    @contextmanager
    def client(
        self, token: str | None = None, subprotocol: Literal["json", "reliable"] = "json", **claims: Any
    ) -> Iterator[PubSubClient]:
        """A client of a JSON subprotocol that has been told its connection id; it may do everything by default."""
        given = self.token(**{"roles": BOTH_ROLES, **claims}) if token is None else token
        with self.socket(given, subprotocols=[JSON if subprotocol == "json" else RELIABLE]) as client:
            client.welcome = client.hear()
            assert client.welcome["event"] == "connected"
            yield client

    def refused(self, token: str | None = None, **options: Any) -> httpx.Response:
        """The HTTP answer with which a WebSocket is refused; fails if it is accepted."""
        return refusal_of(self.socket(token, **options))


class PubSubClient:
    """The least that speaks the subprotocols."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self.welcome: dict[str, Any] = {}

    @property
    def connection_id(self) -> str:
        return str(self.welcome["connectionId"])

    def say(self, *messages: Mapping[str, object]) -> None:
        for message in messages:
            self.websocket.send(json.dumps(message))

    def hear_frame(self) -> str | bytes:
        return self.websocket.recv(timeout=WATCHDOG_SECONDS)

    def hear(self) -> dict[str, Any]:
        text = self.hear_frame()
        assert isinstance(text, str)
        message: dict[str, Any] = json.loads(text)
        return message

    def ask(self, **message: object) -> dict[str, Any]:
        """Say something and hear the answer to it."""
        self.say(message)
        return self.hear()

    def is_silent(self) -> bool:
        """Whether nothing was sent to this client: the answer to a ping is the next thing that it hears."""
        return self.ask(type="ping") == {"type": "pong"}

    def closed(self) -> tuple[int, str]:
        """Code and reason with which the service closes; fails if something else is heard first."""
        with pytest.raises(ConnectionClosed) as closed:
            self.websocket.recv(timeout=WATCHDOG_SECONDS)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code, closed.value.rcvd.reason
