"""The requests that the clients of both services send, each as a call that fails if its request does."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential

from entra.clients import Client, credential_of
from hubpass import HubpassError
from signalr.client_kind import ASYNC, KEY, ClientKind, settle
from webpubsub import kinds

SECRET = "canary-client-secret"
TOKEN = "canary-entra-token"
TENANT = "00000000-0000-0000-0000-0000000000aa"
APPLICATION = (
    f"AuthType=azure.app;ClientId=11111111-0000-0000-0000-000000000000;TenantId={TENANT};ClientSecret={SECRET}"
)


@dataclass(frozen=True)
class Call:
    """A request that goes to an address."""

    name: str
    act: Callable[[ClientKind, str, dict[str, Any], float | None], None]

    def __str__(self) -> str:
        return self.name

    @property
    def setting(self) -> str:
        """What a hint calls the setting that names the host."""
        return "authority=" if self.name == "token" else "Endpoint (or server_endpoint=)"

    def __call__(self, kind: ClientKind, address: str, *, timeout: float | None = None, **options: Any) -> None:
        self.act(kind, address, options, timeout)

    def failure(self, kind: ClientKind, address: str, *, timeout: float | None = None, **options: Any) -> HubpassError:
        """The error of the call, from which no secret can be read."""
        with pytest.raises(HubpassError) as caught:
            self(kind, address, timeout=timeout, **options)
        error = caught.value
        shown = f"{error!r} {error} {error.__cause__!r} {vars(error)}"
        assert not any(secret in shown for secret in (KEY, SECRET, TOKEN, "canary"))
        return error


def _send(kind: ClientKind, address: str, options: dict[str, Any], timeout: float | None) -> None:
    kind.make(address, credential=AzureKeyCredential(KEY), **options).send_to_all("say", timeout=timeout)


def _key(kind: ClientKind, address: str, options: dict[str, Any], timeout: float | None) -> None:
    Client(kind.make(address, credential=credential_of(kind, TOKEN), **options).raw).warm_up(timeout=timeout)


def _token(kind: ClientKind, address: str, options: dict[str, Any], timeout: float | None) -> None:
    text = f"Endpoint=https://nowhere.invalid;{APPLICATION}"
    client = Client(kind.from_connection_string(text, authority=address, **options).raw)
    client.warm_up(timeout=timeout)


def _group(kind: ClientKind, address: str, options: dict[str, Any], timeout: float | None) -> None:
    client = kind.make(address, credential=AzureKeyCredential(KEY), **options)
    settle(client.raw.add_user_to_group("ada", "readers", timeout=timeout))


def _generate(kind: ClientKind, address: str, options: dict[str, Any], timeout: float | None) -> None:
    web_pubsub = kinds.ASYNC if kind is ASYNC else kinds.SYNC
    web_pubsub.make(address, credential=credential_of(kind, TOKEN), **options).negotiate("ada", timeout=timeout)


SEND, KEY_REQUEST, TOKEN_REQUEST = Call("send", _send), Call("key", _key), Call("token", _token)
CALLS = (SEND, Call("group", _group), KEY_REQUEST, TOKEN_REQUEST, Call("generate", _generate))
