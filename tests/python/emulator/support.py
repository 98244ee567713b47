"""What the emulator's tests share: tokens made by PyJWT, requests over real sockets, and a hub client."""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from jwt.warnings import InsecureKeyLengthWarning
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hubpass.emulator import Emulator
from hubpass.emulator.process import _environment

SEPARATOR = "\x1e"
API_VERSION = "2024-12-01"
SCOPE = "https://signalr.azure.com/.default"
# Long enough for a loaded machine; a test that waits this long fails.
WATCHDOG_SECONDS = 20.0
# The one way to leave a claim out of a token that would otherwise have it.
ABSENT = object()


def key_of(connection_string: str) -> str:
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if part)
    return parts["AccessKey"]


class Azure:
    """An emulator together with everything a test needs to talk to it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        self.control = emulator.control
        self.endpoint = emulator.endpoint
        self.key = key_of(emulator.connection_string)
        self.secondary_key = key_of(emulator.secondary_connection_string)
        self.http = httpx.Client(trust_env=False, timeout=WATCHDOG_SECONDS)
        trusting = ssl.create_default_context(cafile=emulator.ca_file)
        self.tls = httpx.Client(trust_env=False, timeout=WATCHDOG_SECONDS, verify=trusting)

    def close(self) -> None:
        self.http.close()
        self.tls.close()

    @property
    def websocket_endpoint(self) -> str:
        return self.endpoint.replace("http", "ws", 1)

    def audience(self, hub: str) -> str:
        return f"{self.endpoint.rpartition(':')[0]}/client/?hub={hub}"

    def token(
        self,
        hub: str = "chat",
        *,
        key: str | None = None,
        algorithm: str = "HS256",
        headers: Mapping[str, Any] | None = None,
        **claims: object,
    ) -> str:
        """A client token that is right in every respect, except for the claims that are given."""
        now = int(self.control.state().now)
        return self._sign({"aud": self.audience(hub), "exp": now + 3600, **claims}, key, algorithm, headers)

    def user_token(self, claims: Mapping[str, object], hub: str = "chat") -> str:
        """A client token with claims whose names are no Python identifiers."""
        extra: dict[str, Any] = dict(claims)
        return self.token(hub, **extra)

    def rest_token(self, url: str, *, key: str | None = None, **claims: object) -> str:
        now = int(self.control.state().now)
        return self._sign({"aud": url, "exp": now + 300, **claims}, key, "HS256", None)

    def _sign(
        self, claims: dict[str, object], key: str | None, algorithm: str, headers: Mapping[str, Any] | None
    ) -> str:
        present = {name: value for name, value in claims.items() if value is not ABSENT}
        secret = self.key if key is None else key
        # PyJWT insists on its own idea of types; the defects that these tests need are none of its business.
        with warnings.catch_warnings():
            # A key of the service has 44 characters, less than PyJWT likes for the longer hashes.
            warnings.simplefilter("ignore", InsecureKeyLengthWarning)
            return jwt.PyJWS().encode(
                json.dumps(present).encode(),
                "" if algorithm == "none" else secret,
                algorithm=algorithm,
                headers=dict(headers or {}),
            )

    def ask_entra(
        self, tenant_id: str | None = None, *, headers: Mapping[str, str] | None = None, **form: Any
    ) -> httpx.Response:
        """A request for a token that is right in every respect, except for the parameters that are given."""
        emulator = self.emulator
        right = {
            "client_id": emulator.client_id,
            "client_secret": emulator.client_secret,
            "grant_type": "client_credentials",
            "scope": SCOPE,
        }
        present = {name: str(value) for name, value in {**right, **form}.items() if value is not ABSENT}
        url = f"{emulator.authority}/{tenant_id or emulator.tenant_id}/oauth2/v2.0/token"
        return self.tls.post(url, data=present, headers=dict(headers or {}))

    def entra_token(self, tenant_id: str | None = None, **form: Any) -> str:
        token: str = self.ask_entra(tenant_id, **form).raise_for_status().json()["access_token"]
        return token

    def ask_identity(self, *, header: str | None = None, **query: object) -> httpx.Response:
        """A request to the managed identity endpoint, right unless something else is given."""
        right = {"api-version": "2019-08-01", "resource": "https://signalr.azure.com"}
        named = {name.replace("api_version", "api-version"): value for name, value in query.items()}
        present = {name: value for name, value in {**right, **named}.items() if value is not ABSENT}
        secret = self.emulator.identity_header if header is None else header
        headers = {b"X-IDENTITY-HEADER": secret.encode("latin-1")} if secret else {}
        url = f"{self.emulator.identity_endpoint}?{urlencode(present, doseq=True)}"
        return self.http.get(url, headers=headers)

    def ask_key(self, token: str | None = None, path: str = "/api/v1/auth/accessKey") -> httpx.Response:
        """A request for the temporary key, with a good Entra token unless another bearer is given."""
        bearer = self.entra_token() if token is None else token
        return self.http.get(self.endpoint + path, headers={"Authorization": f"Bearer {bearer}"})

    def temporary_key(self) -> tuple[str, str]:
        """The id and the text of the key that is given out now."""
        answer = self.ask_key().raise_for_status().json()
        return answer["KeyId"], answer["AccessKey"]

    def signed_by(self, key: tuple[str, str], **claims: Any) -> str:
        """A good client token that this temporary key has signed."""
        kid, secret = key
        return self.token(key=secret, headers={"kid": kid}, **claims)

    def negotiate(
        self,
        token: str | None,
        query: str = "hub=chat&negotiateVersion=1",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        own = {} if token is None else {"Authorization": f"Bearer {token}"}
        return self.http.post(f"{self.endpoint}/client/negotiate?{query}", headers={**own, **(headers or {})})

    def send(
        self,
        hub: str = "chat",
        body: object = None,
        *,
        token: str | None = None,
        query: Mapping[str, str | list[str]] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        url = f"{self.endpoint}/api/hubs/{hub}/:send"
        parameters = urlencode({"api-version": API_VERSION} if query is None else query, doseq=True)
        if content is None:
            message = {"Target": "hello", "Arguments": ["world"]} if body is None else body
            content = json.dumps(message).encode()
        bearer = self.rest_token(url) if token is None else token
        own = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json; charset=utf-8"}
        return self.http.post(f"{url}?{parameters}", content=content, headers={**own, **(headers or {})})

    @contextmanager
    def socket(
        self,
        token: str | None = None,
        *,
        query: str = "hub=chat",
        path: str = "/client/",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[HubClient]:
        """A WebSocket before its handshake. The token goes into the query, as browsers do it."""
        secret = "" if token is None else f"&access_token={token}"
        with connect(
            f"{self.websocket_endpoint}{path}?{query}{secret}",
            proxy=None,
            additional_headers=dict(headers or {}),
            open_timeout=WATCHDOG_SECONDS,
            close_timeout=WATCHDOG_SECONDS,
        ) as websocket:
            yield HubClient(websocket)

    @contextmanager
    def client(self, token: str | None = None, *, query: str = "hub=chat") -> Iterator[HubClient]:
        """A client that has its handshake behind it and is known to the emulator."""
        with self.socket(self.token() if token is None else token, query=query) as client:
            client.shake_hands()
            yield client

    def refused_socket(self, token: str | None = None, **options: Any) -> httpx.Response:
        """The HTTP answer with which a WebSocket is refused; fails if it is accepted."""
        return refusal_of(self.socket(token, **options))


def refusal_of(opening: AbstractContextManager[object]) -> httpx.Response:
    """The HTTP answer with which the service refuses a WebSocket that is opened; fails if it is accepted."""
    try:
        with opening:
            pass
    except InvalidStatus as error:
        answer = error.response
        return httpx.Response(
            answer.status_code, headers=list(answer.headers.raw_items()), content=bytes(answer.body or b"")
        )
    raise AssertionError("the WebSocket was accepted")


class HubClient:
    """The least that speaks the JSON hub protocol."""

    def __init__(self, websocket: ClientConnection) -> None:
        self.websocket = websocket
        self._records: list[str] = []

    def say(self, *messages: object) -> None:
        self.websocket.send("".join(json.dumps(message) + SEPARATOR for message in messages))

    def hear(self, *, pings: bool = False) -> dict[str, Any]:
        """The next message that is no keep-alive, unless `pings` asks for those too."""
        while True:
            while not self._records:
                text = self.websocket.recv(timeout=WATCHDOG_SECONDS)
                assert isinstance(text, str)
                assert text.endswith(SEPARATOR)
                self._records = text.split(SEPARATOR)[:-1]
            message: dict[str, Any] = json.loads(self._records.pop(0))
            if pings or message.get("type") != 6:
                return message

    def shake_hands(self) -> None:
        self.say({"protocol": "json", "version": 1})
        assert self.hear() == {}

    def close_code(self) -> int:
        """The code with which the service closes; fails if something else is heard first."""
        with pytest.raises(ConnectionClosed) as closed:
            self.websocket.recv(timeout=WATCHDOG_SECONDS)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


def python(*arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment of a new interpreter that finds the package as this one does."""
    return [sys.executable, *arguments], {
        **_environment(),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": os.devnull,
    }


def poll(condition: Any, what: str) -> None:
    """Wait until `condition()` is true, under the watchdog."""
    deadline = time.monotonic() + WATCHDOG_SECONDS
    pause = 0.005
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(pause)
