"""Credentials that an application writes itself: any object with azure-core's methods, whatever it returns."""

import asyncio
import contextvars
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from azure.core.credentials import AccessToken, AccessTokenInfo

from emulator.support import Azure
from entra.clients import AsyncCredential, Client, assert_accepted, client_with, credential_of, requests
from hubpass import HubpassError, ServiceError
from hubpass.aio import SignalRServiceClient as AsyncClient
from signalr.client_kind import ASYNC, SYNC, ClientKind

SCOPE = "https://signalr.azure.com/.default"


class BoomError(Exception):
    """What a broken credential raises."""


def method_of(kind: ClientKind, name: str, give: Callable[[], Any]) -> Any:
    """A credential of the kind, with one method that gives or raises what ``give`` does."""

    def fetch(_: Any, *scopes: str, **__: Any) -> Any:
        assert scopes == (SCOPE,)
        return give()

    async def fetch_async(_: Any, *scopes: str, **__: Any) -> Any:
        await asyncio.sleep(0)
        return fetch(None, *scopes)

    return type("Homemade", (), {name: fetch_async if kind.name == "async" else fetch})()


def refused(kind: ClientKind, azure: Azure, give: Callable[[], Any], name: str = "get_token") -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        client_with(kind, azure, method_of(kind, name, give)).warm_up()
    assert caught.value.code == "identity_unavailable"
    assert requests(azure, "access_key") == 0
    return caught.value


@pytest.mark.parametrize("in_seconds", [int, float], ids=["int", "float"])
def test_get_token_is_enough(client_kind: ClientKind, azure: Azure, in_seconds: type[int] | type[float]) -> None:
    token = AccessToken(azure.entra_token(), in_seconds(time.time() + 3000))  # type: ignore[arg-type]
    client = client_with(client_kind, azure, method_of(client_kind, "get_token", lambda: token))
    assert_accepted(azure, client.negotiate("ada").access_token)
    assert client.status["credential"] == "Homemade"


def test_get_token_info_is_enough(client_kind: ClientKind, azure: Azure) -> None:
    token = AccessTokenInfo(azure.entra_token(), int(time.time()) + 3000, refresh_on=int(time.time()) + 1500)
    client = client_with(client_kind, azure, method_of(client_kind, "get_token_info", lambda: token))
    assert_accepted(azure, client.negotiate("ada").access_token)


def test_get_token_info_is_preferred(client_kind: ClientKind, azure: Azure) -> None:
    credential = credential_of(client_kind, azure.entra_token())
    token = AccessTokenInfo(azure.entra_token(), int(time.time()) + 3000)
    credential.get_token_info = method_of(client_kind, "get_token_info", lambda: token).get_token_info
    client_with(client_kind, azure, credential).warm_up()
    assert credential.calls == []


def test_the_token_is_kept(client_kind: ClientKind, azure: Azure) -> None:
    """For keys and requests of all hubs; asking the credential again is up to its age."""
    credential = credential_of(client_kind, azure.entra_token())
    client = client_with(client_kind, azure, credential)
    client.send_to_all("hello")
    client.warm_up()
    client.for_hub("other").send_to_all("hello")
    assert credential.calls == [SCOPE]


def test_the_scope_is_an_option(client_kind: ClientKind, azure: Azure) -> None:
    credential = credential_of(client_kind, azure.entra_token())
    client_with(client_kind, azure, credential, scope="https://other.example/.default").warm_up()
    assert credential.calls == ["https://other.example/.default"]


def test_what_a_credential_raises_is_the_cause(client_kind: ClientKind, azure: Azure) -> None:
    raised = BoomError("canary of the credential")

    def give() -> None:
        raise raised

    error = refused(client_kind, azure, give)
    assert error.__cause__ is raised
    assert "Homemade" in error.message
    assert "BoomError" in error.message
    assert "canary" not in f"{error} {error!r} {vars(error)}"


def test_calls_of_a_failed_credential_fail_at_once_with_the_same_cause(client_kind: ClientKind, azure: Azure) -> None:
    raised = BoomError()
    calls: list[None] = []

    def give() -> None:
        calls.append(None)
        raise raised

    client = client_with(client_kind, azure, method_of(client_kind, "get_token", give))
    for _ in range(3):
        with pytest.raises(ServiceError) as caught:
            client.negotiate("ada")
        assert caught.value.__cause__ is raised
        assert caught.value.retry_after is not None
    assert len(calls) == 1


@pytest.mark.parametrize(
    "token",
    [
        None,
        "a token",
        SimpleNamespace(token="t"),
        SimpleNamespace(expires_on=2**31),
        SimpleNamespace(token=b"t", expires_on=2**31),
        SimpleNamespace(token="t", expires_on="soon"),
        SimpleNamespace(token="t", expires_on=None),
        SimpleNamespace(token="", expires_on=2**31),
    ],
    ids=["nothing", "text", "no time", "no token", "bytes", "time as text", "no such time", "empty"],
)
def test_what_is_not_a_token_is_said_to_be_none(client_kind: ClientKind, azure: Azure, token: Any) -> None:
    """The credential raised nothing, and is not said to have."""
    error = refused(client_kind, azure, lambda: token)
    assert "Homemade" in error.message
    assert "raised" not in error.message


@pytest.mark.parametrize("expires_on", [0, -1, 1, 1.5, float("nan")])
def test_a_token_that_has_expired_is_not_sent(client_kind: ClientKind, azure: Azure, expires_on: float) -> None:
    error = refused(client_kind, azure, lambda: SimpleNamespace(token="t", expires_on=expires_on))
    assert "expired" in error.message
    assert "clock" in error.hint


@pytest.mark.parametrize("expires_on", [2**62, 2**70, float("inf"), 1e30])
def test_a_token_that_never_expires(client_kind: ClientKind, azure: Azure, expires_on: float) -> None:
    text = azure.entra_token()
    give = method_of(client_kind, "get_token", lambda: SimpleNamespace(token=text, expires_on=expires_on))
    client_with(client_kind, azure, give).warm_up()


@pytest.mark.parametrize("text", ["two\r\nlines: x", "nul\0", "\udc80"])
def test_a_token_that_no_header_can_carry(client_kind: ClientKind, azure: Azure, text: str) -> None:
    token = SimpleNamespace(token=text, expires_on=2**31)
    with pytest.raises(HubpassError):
        client_with(client_kind, azure, method_of(client_kind, "get_token", lambda: token)).warm_up()
    assert requests(azure, "access_key") == 0


def test_context_variables_of_the_construction_are_seen(azure: Azure) -> None:
    variable = contextvars.ContextVar("variable", default="nothing")
    text = azure.entra_token()
    seen: list[str] = []

    def give() -> AccessToken:
        seen.append(variable.get())
        variable.set("changed by the credential")
        return AccessToken(text, int(time.time()) + 3000)

    def make() -> Client:
        variable.set("construction")
        return client_with(SYNC, azure, method_of(SYNC, "get_token", give))

    client = contextvars.copy_context().run(make)
    variable.set("call")
    client.warm_up()
    assert seen == ["construction"]
    assert variable.get() == "call"


def test_a_cancelled_token_task_passes_the_duty_on(azure: Azure) -> None:
    """Whoever cancels all tasks of a loop must not strand those who wait elsewhere, or later."""
    text = azure.entra_token()

    class Stubborn(AsyncCredential):
        async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            token = await super().get_token(*scopes, **options)
            if len(self.calls) == 1:
                entered.set()
                await asyncio.Event().wait()
            return token

    async def main() -> None:
        first = asyncio.create_task(client.negotiate("first"))
        await entered.wait()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await client.negotiate("second", timeout=20)).kid

    entered = asyncio.Event()
    credential = Stubborn(text)
    client = AsyncClient(azure.endpoint, "chat", credential)
    asyncio.run(main())
    assert len(credential.calls) == 2


def test_a_credential_that_always_cancels_itself_is_not_asked_without_end(azure: Azure) -> None:
    calls: list[None] = []

    def give() -> None:
        calls.append(None)
        raise asyncio.CancelledError

    client = client_with(ASYNC, azure, method_of(ASYNC, "get_token", give), timeout=0.5)
    with pytest.raises(ServiceError):
        client.warm_up()
    assert len(calls) < 10


def test_a_sync_client_may_be_used_by_a_credential_of_another(azure: Azure) -> None:
    """Chains of identities exist; a wait inside a credential holds up nobody else."""
    inner = client_with(SYNC, azure, credential_of(SYNC, azure.entra_token()))
    text = azure.entra_token()

    def give() -> AccessToken:
        inner.warm_up()
        return AccessToken(text, int(time.time()) + 3000)

    outer = client_with(SYNC, azure, method_of(SYNC, "get_token", give))
    assert outer.kid() == inner.kid()
