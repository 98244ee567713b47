"""What is wrong with an application, its secret, its tenant or the platform's endpoint, and what to do about it."""

import re
from typing import Any

import pytest

from emulator.support import Azure
from entra.clients import Client, connected, entra_client, requests
from hubpass import ClientAuthenticationError, CredentialUnavailableError, HubpassError, ServiceError
from signalr.client_kind import ClientKind

NOBODY = "00000000-0000-0000-0000-00000000000f"


def refused(client: Client) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        client.negotiate("ada")
    return caught.value


def with_property(azure: Azure, name: str, value: str) -> str:
    text = re.sub(rf"{name}=[^;]*", f"{name}={value}", azure.emulator.entra_connection_string)
    assert f"{name}={value}" in text
    return text


@pytest.mark.parametrize(
    ("name", "value", "code", "hint"),
    [
        ("ClientSecret", "canary-wrong", "AADSTS7000215", "az ad app credential reset"),
        ("ClientId", NOBODY, "AADSTS700016", "ClientId="),
        ("TenantId", NOBODY, "AADSTS90002", "TenantId="),
    ],
)
def test_entra_refuses(client_kind: ClientKind, azure: Azure, name: str, value: str, code: str, hint: str) -> None:
    error = refused(connected(client_kind, azure, with_property(azure, name, value)))
    assert type(error).__mro__[1] is ClientAuthenticationError
    assert error.code == "identity_unavailable"
    assert error.status in (400, 401)
    assert re.search(rf"\b{code}\b", error.message)
    assert hint in error.hint
    assert "canary" not in str(error)
    assert requests(azure, "access_key") == 0


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ({"status": 503}, "identity_unavailable", 503),
        ({"status": 429, "retry_after": 7}, "throttled", 429),
        ({"status": 404}, "identity_unavailable", 404),
        ({"status": 302, "headers": {"location": "https://login.example/"}}, None, 302),
        ({"status": 200, "body": "<html>"}, "identity_unavailable", 200),
        ({"status": 200, "body": "{}"}, "identity_unavailable", 200),
        ({"status": 200, "body": '{"access_token": "t"}'}, "identity_unavailable", None),
        ({"garbage": True}, "identity_unavailable", 200),
        ({"drop": True}, "connection_failed", None),
    ],
    ids=["503", "429", "404", "302", "html", "empty", "no lifetime", "garbage", "dropped"],
)
@pytest.mark.parametrize("route", ["token", "managed_identity"])
def test_a_token_endpoint_in_trouble(
    client_kind: ClientKind,
    azure: Azure,
    monkeypatch: pytest.MonkeyPatch,
    route: Any,
    fault: dict[str, Any],
    code: str | None,
    status: int | None,
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.emulator.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", azure.emulator.identity_header)
    text = azure.emulator.entra_connection_string
    if route == "managed_identity":
        text = azure.emulator.managed_identity_connection_string
    azure.control.fail_next(route, **fault)
    error = refused(connected(client_kind, azure, text))
    assert code in (None, error.code)
    assert status in (None, error.status)
    assert error.hint
    # Advice about the application's secret or about the service would lead astray.
    assert not re.search("ClientSecret|Endpoint in|api/health", error.hint) or status == 404
    if status == 429:
        assert error.retry_after is not None
        assert error.retry_after >= 7
    assert requests(azure, "access_key") == 0


@pytest.mark.parametrize(
    ("variable", "value", "hint"),
    [
        ("IDENTITY_HEADER", "canary-wrong", "IDENTITY_HEADER"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:9/msi/token", "IDENTITY_ENDPOINT"),
        ("IDENTITY_ENDPOINT", "http://identity.example/msi/token", "IDENTITY_ENDPOINT"),
        ("IDENTITY_ENDPOINT", "no url", "IDENTITY_ENDPOINT"),
    ],
)
def test_a_platform_that_is_not_as_it_should_be(
    client_kind: ClientKind, azure: Azure, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, hint: str
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.emulator.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", azure.emulator.identity_header)
    monkeypatch.setenv(variable, value)
    with pytest.raises(HubpassError) as caught:
        connected(client_kind, azure, azure.emulator.managed_identity_connection_string).warm_up()
    assert hint in caught.value.hint
    assert "canary" not in str(caught.value)


def test_an_identity_that_the_app_does_not_have(
    client_kind: ClientKind, azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.emulator.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", azure.emulator.identity_header)
    error = refused(connected(client_kind, azure, f"Endpoint={azure.endpoint};AuthType=azure.msi;ClientId={NOBODY}"))
    assert isinstance(error, CredentialUnavailableError)
    assert (error.code, error.status) == ("credential_unavailable", 400)
    assert "az webapp identity assign" in error.hint
    assert "ClientId=" in error.hint


@pytest.mark.parametrize("authority", ["https://no-such-authority.invalid", "https://127.0.0.1:9"])
def test_an_authority_that_cannot_be_reached(client_kind: ClientKind, azure: Azure, authority: str) -> None:
    error = refused(entra_client(client_kind, azure, authority=authority))
    assert error.code in ("name_resolution_failed", "connection_failed")
    assert "authority" in error.hint
