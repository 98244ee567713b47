"""Our credentials, and none at all, in the clients of Hubpass."""

import threading
from typing import Any

import pytest

from emulator.support import Azure
from entra.clients import Client, assert_accepted, client_with, connected, requests
from hubpass import ConfigurationError
from hubpass.emulator import Emulator
from hubpass.identity import ClientSecretCredential
from hubpass.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from identity.doubles import ASYNC, Kind
from signalr.client_kind import ASYNC as ASYNC_CLIENT
from signalr.client_kind import SYNC as SYNC_CLIENT
from signalr.client_kind import ClientKind, settle


@pytest.fixture(scope="module")
def azure() -> Any:
    with Emulator() as emulator:
        local = Azure(emulator)
        yield local
        local.close()


@pytest.fixture(params=[SYNC_CLIENT, ASYNC_CLIENT], ids=["sync client", "async client"])
def client_kind(request: pytest.FixtureRequest) -> ClientKind:
    found: ClientKind = request.param
    return found


def with_secret(kind: Kind, azure: Azure) -> Any:
    emulator = azure.emulator
    return kind.make(
        "ClientSecretCredential",
        emulator.tenant_id,
        emulator.client_id,
        emulator.client_secret,
        authority=emulator.authority,
        ca_file=emulator.ca_file,
    )


def test_a_credential_is_used_without_python(client_kind: ClientKind, kind: Kind, azure: Azure) -> None:
    """In a client of either kind: what never runs Python code blocks no event loop and needs none."""
    credential = with_secret(kind, azure)
    before, tokens = threading.active_count(), requests(azure, "token")
    clients = [client_with(client_kind, azure, credential) for _ in range(3)]
    for client in clients:
        assert_accepted(azure, client.negotiate("ada").access_token)
        assert client.status["credential"] == "ClientSecretCredential"
    assert threading.active_count() == before
    # All of them share the token.
    assert requests(azure, "token") == tokens + 1
    assert settle(credential.get_token("https://signalr.azure.com/.default")).token
    assert requests(azure, "token") == tokens + 1


def test_a_class_derived_from_ours_has_its_way(client_kind: ClientKind, azure: Azure) -> None:
    calls: list[str] = []

    class Sync(ClientSecretCredential):
        def get_token_info(self, *scopes: str, **options: Any) -> Any:
            calls.extend(scopes)
            return super().get_token_info(*scopes, **options)

    class Async(AsyncClientSecretCredential):
        async def get_token_info(self, *scopes: str, **options: Any) -> Any:
            calls.extend(scopes)
            return await super().get_token_info(*scopes, **options)

    emulator = azure.emulator
    derived: Any = Async if client_kind is ASYNC_CLIENT else Sync
    credential = derived(
        emulator.tenant_id,
        emulator.client_id,
        emulator.client_secret,
        authority=emulator.authority,
        ca_file=emulator.ca_file,
    )
    client_with(client_kind, azure, credential).negotiate("ada")
    assert calls == ["https://signalr.azure.com/.default"]


@pytest.mark.parametrize("text", [None, "AuthType=azure;", ""], ids=["no credential", "AuthType=azure", "no AuthType"])
def test_the_default_credential(
    client_kind: ClientKind, azure: Azure, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    emulator = azure.emulator
    monkeypatch.setenv("AZURE_TENANT_ID", emulator.tenant_id)
    monkeypatch.setenv("AZURE_CLIENT_ID", emulator.client_id)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", emulator.client_secret)
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", emulator.authority)
    if text is None:
        client = Client(client_kind.make(azure.endpoint, credential=None, ca_file=emulator.ca_file).raw)
    else:
        client = connected(client_kind, azure, f"Endpoint={azure.endpoint};{text}Version=1.0;")
    assert_accepted(azure, client.negotiate("ada").access_token)
    assert client.status["credential"] == "DefaultAzureCredential"


def test_a_token_that_the_service_refuses_is_forgotten_everywhere(
    client_kind: ClientKind, kind: Kind, azure: Azure
) -> None:
    credential = with_secret(kind, azure)
    client = client_with(client_kind, azure, credential)
    client.send_to_all("hello")
    tokens = requests(azure, "token")
    azure.control.fail_next("send", status=401)
    client.send_to_all("hello")
    assert requests(azure, "token") == tokens + 1


class Looped:
    async def get_token(self, *scopes: str, **options: Any) -> Any:
        raise AssertionError((scopes, options))


def test_a_chain_with_a_member_that_needs_a_loop(azure: Azure) -> None:
    chain = ASYNC.make("ChainedTokenCredential", Looped())
    with pytest.raises(ConfigurationError) as caught:
        client_with(SYNC_CLIENT, azure, chain)
    assert caught.value.code == "credential_unsupported"
    assert client_with(ASYNC_CLIENT, azure, chain).status["credential"] == "ChainedTokenCredential"
