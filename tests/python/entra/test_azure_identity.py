"""Credentials of azure-identity, as applications pass them, and identities that need no package."""

import asyncio
from typing import Any

import pytest
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

import hubpass.aio
from emulator.support import Azure
from entra.clients import Client, assert_accepted, client_with, connected, entra_client, requests
from hubpass import ClientAuthenticationError, ConfigurationError
from signalr.client_kind import ASYNC, SYNC, ClientKind


def secret_options(azure: Azure) -> dict[str, Any]:
    emulator = azure.emulator
    return {
        "tenant_id": emulator.tenant_id,
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
        "authority": emulator.authority,
        "disable_instance_discovery": True,
        "connection_verify": emulator.ca_file,
    }


@pytest.fixture
def app_service(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Azure:
    """The local Azure as App Service shows it to an app."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.emulator.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", azure.emulator.identity_header)
    return azure


def use(client: Client, azure: Azure, object_id: str) -> None:
    """Negotiate and send, as this identity."""
    assert_accepted(azure, client.negotiate("ada").access_token)
    client.send_to_all("hello", 1)
    assert_served(azure, object_id)


def assert_served(azure: Azure, object_id: str) -> None:
    for route in ("access_key", "send"):
        entry = azure.control.journal(route)[-1]
        assert entry.object_id == object_id
        assert entry.status in (200, 202)


def use_async(azure: Azure, credential: Any, object_id: str) -> None:
    async def main() -> None:
        async with credential, hubpass.aio.SignalRServiceClient(azure.endpoint, "chat", credential) as client:
            assert_accepted(azure, (await client.negotiate("ada")).access_token)
            await client.send_to_all("hello", 1)

    asyncio.run(main())
    assert_served(azure, object_id)


def test_a_client_secret(azure: Azure) -> None:
    with ClientSecretCredential(**secret_options(azure)) as credential:
        client = client_with(SYNC, azure, credential)
        use(client, azure, azure.emulator.object_id)
    assert client.status["credential"] == "ClientSecretCredential"
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1)


def test_an_async_client_secret(azure: Azure) -> None:
    use_async(azure, AsyncClientSecretCredential(**secret_options(azure)), azure.emulator.object_id)
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1)


def test_a_managed_identity(app_service: Azure) -> None:
    with ManagedIdentityCredential() as credential:
        client = client_with(SYNC, app_service, credential)
        use(client, app_service, app_service.emulator.managed_identity_object_id)
    assert requests(app_service, "managed_identity") == 1


def test_an_async_managed_identity(app_service: Azure) -> None:
    emulator = app_service.emulator
    credential = AsyncManagedIdentityCredential(client_id=emulator.user_assigned_client_id)
    use_async(app_service, credential, emulator.user_assigned_object_id)


def test_the_secret_in_the_connection_string(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure)
    use(client, azure, azure.emulator.object_id)
    assert client.status["credential"] == "ClientSecretCredential"
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1)


def test_the_secret_with_the_new_name_of_the_auth_type(client_kind: ClientKind, azure: Azure) -> None:
    text = azure.emulator.entra_connection_string.replace("AuthType=azure.app", "AuthType=aad")
    assert text != azure.emulator.entra_connection_string
    use(connected(client_kind, azure, text), azure, azure.emulator.object_id)


@pytest.mark.parametrize("auth_type", ["azure.msi", "aad"])
@pytest.mark.parametrize("is_user_assigned", [False, True], ids=["system", "user"])
def test_the_managed_identity_of_the_connection_string(
    client_kind: ClientKind, app_service: Azure, auth_type: str, is_user_assigned: bool
) -> None:
    emulator = app_service.emulator
    text = f"Endpoint={app_service.endpoint};AuthType={auth_type};"
    if is_user_assigned:
        text += f"ClientId={emulator.user_assigned_client_id};"
    client = connected(client_kind, app_service, text)
    object_id = emulator.user_assigned_object_id if is_user_assigned else emulator.managed_identity_object_id
    use(client, app_service, object_id)
    assert requests(app_service, "managed_identity") == 1


def test_the_environment_is_read_at_construction(
    client_kind: ClientKind, app_service: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = connected(client_kind, app_service, app_service.emulator.managed_identity_connection_string)
    monkeypatch.delenv("IDENTITY_ENDPOINT")
    monkeypatch.delenv("IDENTITY_HEADER")
    client.warm_up()


@pytest.mark.parametrize("auth_type", ["azure.app", "aad"])
def test_a_certificate_that_is_not_there(client_kind: ClientKind, azure: Azure, auth_type: str) -> None:
    text = f"Endpoint={azure.endpoint};AuthType={auth_type};ClientId=a;TenantId=b;ClientCert=/no/such.pem"
    with pytest.raises(ClientAuthenticationError) as caught:
        connected(client_kind, azure, text).warm_up()
    assert caught.value.code == "certificate_unusable"
    assert "ClientCertPath=" in caught.value.hint
    assert "/no/such" not in str(caught.value)


def test_a_sync_client_refuses_an_async_credential(azure: Azure) -> None:
    credential = AsyncClientSecretCredential(**secret_options(azure))
    with pytest.raises(ConfigurationError) as caught:
        SYNC.make(azure.endpoint, credential=credential)
    asyncio.run(credential.close())
    assert caught.value.code == "credential_unsupported"
    assert "ClientSecretCredential is async" in caught.value.message
    assert "azure.identity," in caught.value.hint
    assert "hubpass.aio.SignalRServiceClient" in caught.value.hint


def test_an_async_client_refuses_a_sync_credential(azure: Azure) -> None:
    with ClientSecretCredential(**secret_options(azure)) as credential, pytest.raises(ConfigurationError) as caught:
        ASYNC.make(azure.endpoint, credential=credential)
    assert caught.value.code == "credential_unsupported"
    assert "ClientSecretCredential blocks" in caught.value.message
    assert "azure.identity.aio" in caught.value.hint
    assert "hubpass.SignalRServiceClient" in caught.value.hint


def test_one_program_after_another_on_loops_of_their_own(azure: Azure) -> None:
    """The client outlives a loop; the second program's credential belongs to its own client."""
    kept = entra_client(ASYNC, azure)

    async def program() -> str | None:
        credential = AsyncClientSecretCredential(**secret_options(azure))
        async with credential, hubpass.aio.SignalRServiceClient(azure.endpoint, "chat", credential) as client:
            await kept.raw.negotiate("ada")
            return (await client.negotiate("ada")).kid

    assert asyncio.run(program()) == asyncio.run(program()) == kept.kid()
    assert requests(azure, "access_key") == 3
