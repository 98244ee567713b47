"""The managed identity endpoint, with plain requests and with azure-identity."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential
from azure.identity.aio import ManagedIdentityCredential as AsyncManagedIdentityCredential

from emulator.support import ABSENT, SCOPE, Azure

RESOURCE = "https://signalr.azure.com"


def object_id_of(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["oid"])


def test_the_answer_for_the_system_assigned_identity(azure: Azure) -> None:
    before = int(azure.control.state().now)
    answer = azure.ask_identity()
    assert answer.status_code == 200
    content = answer.json()
    assert object_id_of(content.pop("access_token")) == azure.emulator.managed_identity_object_id
    assert set(content) == {"expires_on", "resource", "token_type", "client_id"}
    assert (content["resource"], content["token_type"]) == (RESOURCE, "Bearer")
    assert isinstance(content["expires_on"], str)
    assert 0 <= int(content["expires_on"]) - before - 86_400 < 60
    entry = azure.control.journal("managed_identity")[-1]
    assert entry.object_id == azure.emulator.managed_identity_object_id


@pytest.mark.parametrize("selector", ["client_id", "object_id", "principal_id", "mi_res_id"])
def test_the_user_assigned_identity_has_to_be_named(azure: Azure, selector: str) -> None:
    emulator = azure.emulator
    value = {
        "client_id": emulator.user_assigned_client_id,
        "object_id": emulator.user_assigned_object_id,
        "principal_id": emulator.user_assigned_object_id,
        "mi_res_id": emulator.user_assigned_resource_id,
    }[selector]
    good = azure.ask_identity(**{selector: value})
    assert object_id_of(good.json()["access_token"]) == emulator.user_assigned_object_id
    bad = azure.ask_identity(**{selector: f"{value}x"})
    assert bad.status_code == 400
    assert bad.json()["statusCode"] == 400
    assert "No User Assigned" in bad.json()["message"]


@pytest.mark.parametrize(
    "query",
    [
        {"resource": ABSENT},
        {"resource": ""},
        {"resource": SCOPE},
        {"resource": [RESOURCE, RESOURCE]},
        {"api_version": ABSENT},
        {"api_version": "2017-09-01"},
    ],
    ids=str,
)
def test_a_bad_query_is_refused(azure: Azure, query: dict[str, Any]) -> None:
    assert azure.ask_identity(**query).status_code == 400
    assert azure.ask_identity().status_code == 200


def test_an_identity_is_named_once(azure: Azure) -> None:
    own = azure.emulator.user_assigned_client_id
    assert azure.ask_identity(client_id=own, object_id=azure.emulator.user_assigned_object_id).status_code == 400
    assert azure.ask_identity(client_id=[own, own]).status_code == 400
    assert azure.ask_identity(client_id=own).status_code == 200


@pytest.mark.parametrize("header", ["", "wrong", "ä"])
def test_the_header_is_checked_before_anything_is_told(azure: Azure, header: str) -> None:
    answer = azure.ask_identity(header=header, client_id="nobody")
    assert (answer.status_code, answer.json()["statusCode"]) == (401, 401)
    assert azure.ask_identity().status_code == 200


def test_its_tokens_are_good_for_the_service(entra: Azure) -> None:
    token = entra.ask_identity().json()["access_token"]
    assert entra.ask_key(token).status_code == 200
    entra.control.remove_role(entra.emulator.managed_identity_object_id)
    assert entra.ask_key(token).status_code == 403
    # The other identities keep theirs.
    named = entra.ask_identity(client_id=entra.emulator.user_assigned_client_id).json()["access_token"]
    assert entra.ask_key(named).status_code == 200
    slashed = entra.ask_identity(resource=f"{RESOURCE}/", client_id=entra.emulator.user_assigned_client_id)
    assert entra.ask_key(slashed.json()["access_token"]).status_code == 200


def test_the_lifetime_of_tokens_can_be_set(entra: Azure) -> None:
    entra.control.set_token_lifetime(60)
    content = entra.ask_identity().json()
    assert 0 < int(content["expires_on"]) - entra.control.state().now <= 60


@pytest.fixture
def app_service(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> Azure:
    """The environment that App Service gives to an app."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.emulator.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", azure.emulator.identity_header)
    return azure


def test_azure_identity_gets_a_token(app_service: Azure) -> None:
    emulator = app_service.emulator
    with ManagedIdentityCredential(retry_total=0) as credential:
        token = credential.get_token(SCOPE)
    assert object_id_of(token.token) == emulator.managed_identity_object_id
    assert abs(token.expires_on - time.time() - 86_400) < 60
    selectors: list[dict[str, Any]] = [
        {"client_id": emulator.user_assigned_client_id},
        {"identity_config": {"object_id": emulator.user_assigned_object_id}},
        {"identity_config": {"resource_id": emulator.user_assigned_resource_id}},
    ]
    for selector in selectors:
        with ManagedIdentityCredential(retry_total=0, **selector) as credential:
            assert object_id_of(credential.get_token(SCOPE).token) == emulator.user_assigned_object_id
    with (
        ManagedIdentityCredential(client_id="nobody", retry_total=0) as credential,
        pytest.raises(ClientAuthenticationError, match="No User Assigned"),
    ):
        credential.get_token(SCOPE)


def test_asynchronous_azure_identity_gets_a_token(app_service: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    async def get() -> str:
        async with AsyncManagedIdentityCredential(retry_total=0) as credential:
            return str((await credential.get_token(SCOPE)).token)

    assert object_id_of(asyncio.run(get())) == app_service.emulator.managed_identity_object_id
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    with pytest.raises(ClientAuthenticationError, match="X-IDENTITY-HEADER"):
        asyncio.run(get())
