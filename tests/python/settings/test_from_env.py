"""Clients from the variables that Azure's own tools set; errors name variables and never values."""

import os
from typing import Any

import pytest
from azure.core.credentials import AzureKeyCredential

import hubpass
import hubpass.aio
from emulator.support import Azure
from entra.clients import credential_of
from hubpass import ConfigurationError, InvalidArgumentError
from signalr.client_kind import ASYNC, SYNC, ClientKind, settle
from signalr.tokens import unverified

CANARY = "canary-of-a-setting"
SIGNALR = "https://demo.service.signalr.net"
WEB_PUBSUB = "https://demo.webpubsub.azure.com"

SIGNALR_STRINGS = (
    "AZURE_SIGNALR_CONNECTIONSTRING",
    "AzureSignalRConnectionString",
    "Azure__SignalR__ConnectionString",
)
SIGNALR_URI = "AzureSignalRConnectionString__serviceUri"
WEB_PUBSUB_STRINGS = ("AZURE_WEBPUBSUB_CONNECTIONSTRING", "WebPubSubConnectionString")
WEB_PUBSUB_HOST, WEB_PUBSUB_URI = "AZURE_WEBPUBSUB_HOST", "WebPubSubConnectionString__serviceUri"
NAMES = {
    "signalr": (*SIGNALR_STRINGS, SIGNALR_URI),
    "web_pubsub": (*WEB_PUBSUB_STRINGS, WEB_PUBSUB_HOST, WEB_PUBSUB_URI),
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AZURE_", "Azure", "WebPubSub", "IDENTITY_")):
            monkeypatch.delenv(name)


@pytest.fixture(params=["signalr", "web_pubsub"])
def service(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


def client_class(service: str, kind: ClientKind) -> Any:
    name = "SignalRServiceClient" if service == "signalr" else "WebPubSubServiceClient"
    return getattr(hubpass.aio if kind.name == "async" else hubpass, name)


def address(service: str) -> str:
    return SIGNALR if service == "signalr" else WEB_PUBSUB


def strings_of(service: str) -> tuple[str, ...]:
    return SIGNALR_STRINGS if service == "signalr" else WEB_PUBSUB_STRINGS


@pytest.mark.parametrize("kind", [SYNC, ASYNC], ids=str)
def test_each_connection_string_works_alone(service: str, kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in strings_of(service):
        monkeypatch.setenv(name, f"Endpoint={address(service)};AccessKey={CANARY};Version=1.0;")
        client = client_class(service, kind).from_env("chat")
        assert (client.endpoint, client.hub) == (address(service), "chat")
        assert client.status()["mode"] == "access_key"
        assert settle(client.negotiate("ada"))["url"].startswith(("https://demo", "wss://demo"))
        monkeypatch.delenv(name)


def test_nothing_set_lists_everything_that_was_tried(service: str, client_kind: ClientKind) -> None:
    with pytest.raises(ConfigurationError) as caught:
        client_class(service, client_kind).from_env("chat")
    assert caught.value.code == "settings_missing"
    assert caught.value.hint.startswith("Set one of the environment variables ")
    for name in NAMES[service]:
        assert name in caught.value.hint


def test_an_empty_variable_is_not_set(service: str, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES[service]:
        monkeypatch.setenv(name, "")
    with pytest.raises(ConfigurationError) as caught:
        client_class(service, client_kind).from_env("chat")
    assert caught.value.code == "settings_missing"


def test_two_that_disagree_are_both_named(
    service: str, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = strings_of(service)[:2]
    monkeypatch.setenv(first, f"Endpoint={address(service)};AccessKey={CANARY}")
    monkeypatch.setenv(second, f"Endpoint=https://other.example;AccessKey={CANARY}")
    with pytest.raises(ConfigurationError) as caught:
        client_class(service, client_kind).from_env("chat")
    error = caught.value
    assert error.code == "settings_conflict"
    for text in (error.message, error.hint):
        assert first in text
        assert second in text
        assert CANARY not in text
        assert "other.example" not in text
    monkeypatch.setenv(second, os.environ[first])
    assert client_class(service, client_kind).from_env("chat").endpoint == address(service)


@pytest.mark.parametrize(
    "text", ["canary", f"AccessKey={CANARY}", f"Endpoint=x;AccessKey={CANARY}", f"Endpoint=https://a;AccesKey={CANARY}"]
)
def test_a_connection_string_that_cannot_be_read_is_not_shown(
    service: str, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv(strings_of(service)[0], text)
    with pytest.raises(ConfigurationError) as caught:
        client_class(service, client_kind).from_env("chat")
    assert caught.value.code in {"invalid_connection_string", "connection_string_key_misspelt"}
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "hint"),
    [
        ({SIGNALR_URI: "canary"}, f"Set {SIGNALR_URI}=https://"),
        ({SIGNALR_URI: SIGNALR, "AzureSignalRConnectionString__credential": "canary"}, "=managedidentity, or unset it"),
        ({SIGNALR_URI: SIGNALR, "AzureSignalRConnectionString__clientSecret": "canary"}, "__clientId and "),
    ],
    ids=["address", "credential", "secret"],
)
def test_a_variable_that_cannot_be_used(
    client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], hint: str
) -> None:
    if variables[SIGNALR_URI] == "canary":
        variables = {SIGNALR_URI: "https://canary:canary@a"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as caught:
        client_class("signalr", client_kind).from_env("chat")
    assert caught.value.code == "settings_invalid"
    assert hint in caught.value.hint
    assert "canary" not in str(caught.value)


def test_an_address_goes_with_a_credential_of_ones_own(
    service: str, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SIGNALR_URI if service == "signalr" else WEB_PUBSUB_URI, address(service))
    credential = credential_of(client_kind, "token")
    client = client_class(service, client_kind).from_env("chat", credential=credential)
    assert client.endpoint == address(service)
    assert client.status()["credential"] == type(credential).__name__
    key = client_class(service, client_kind).from_env("chat", credential=AzureKeyCredential(CANARY))
    assert key.status()["mode"] == "access_key"


def test_a_bare_host_is_an_address(client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WEB_PUBSUB_HOST, "demo.webpubsub.azure.com")
    credential = credential_of(client_kind, "token")
    client = client_class("web_pubsub", client_kind).from_env("chat", credential=credential)
    assert client.endpoint == WEB_PUBSUB


def test_where_the_platform_has_an_identity_an_address_is_enough(
    client_kind: ClientKind, azure: Azure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Azure Functions has it: the address in a setting, the identity in the platform."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", azure.emulator.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", azure.emulator.identity_header)
    monkeypatch.setenv(SIGNALR_URI, azure.endpoint)
    answer = settle(client_class("signalr", client_kind).from_env("chat").negotiate("ada"))
    assert azure.negotiate(answer["accessToken"]).status_code == 200
    monkeypatch.setenv("AzureSignalRConnectionString__clientId", azure.emulator.user_assigned_client_id)
    answer = settle(client_class("signalr", client_kind).from_env("chat").negotiate("ada"))
    assert unverified(answer["accessToken"])["asrs.s.uid"] == "ada"
    callers = [call.object_id for call in azure.control.journal("access_key")]
    assert callers == [azure.emulator.managed_identity_object_id, azure.emulator.user_assigned_object_id]


def test_the_environment_is_read_at_construction(client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SIGNALR_STRINGS[0], f"Endpoint={SIGNALR};AccessKey={CANARY}")
    client = client_class("signalr", client_kind).from_env("chat")
    monkeypatch.setenv(SIGNALR_STRINGS[0], "Endpoint=https://other.example;AccessKey=other")
    assert client.endpoint == SIGNALR
    assert "other.example" not in settle(client.negotiate("ada"))["url"]


def test_unknown_keywords_and_hubs_are_refused(
    service: str, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(strings_of(service)[0], f"Endpoint={address(service)};AccessKey={CANARY}")
    with pytest.raises(TypeError):
        client_class(service, client_kind).from_env("chat", hubname="x")
    with pytest.raises(InvalidArgumentError) as caught:
        client_class(service, client_kind).from_env("a b")
    assert caught.value.code == "invalid_hub"
