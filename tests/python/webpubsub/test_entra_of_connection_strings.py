"""Identities that a connection string names: a managed identity, and an application with a secret."""

import json
from collections.abc import Iterator
from typing import Any

import jwt
import pytest

from hubpass.emulator import Emulator
from signalr.service_double import Answer, ServiceDouble
from webpubsub.kinds import SCOPE, WebPubSubKind, token_answer

RESOURCE = SCOPE.removesuffix("/.default")


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceDouble]:
    """Stands for the platform: answers with what App Service's endpoint answers with."""
    with ServiceDouble() as double:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{double.endpoint}/msi/token")
        monkeypatch.setenv("IDENTITY_HEADER", "a-made-up-header")
        body = {"access_token": "of-the-platform", "expires_on": "4102444800", "resource": RESOURCE}
        double.answer(Answer(200, body=json.dumps(body).encode()))
        yield double


@pytest.mark.parametrize("client_id", [None, "99999999-0000-0000-0000-000000000000"])
def test_a_managed_identity(
    kind: WebPubSubKind, service: ServiceDouble, identity: ServiceDouble, client_id: str | None
) -> None:
    chosen = "" if client_id is None else f"ClientId={client_id};"
    client = kind.from_connection_string(f"Endpoint={service.endpoint};AuthType=azure.msi;{chosen}Version=1.0;")
    service.answer(token_answer())
    assert client.token(user_id="ada")["token"]
    asked = dict(identity.take().query)
    assert (asked["resource"], asked.get("client_id")) == (RESOURCE, client_id)
    assert service.take().bearer == "of-the-platform"
    assert client.status["credential"] == "ManagedIdentityCredential"


@pytest.fixture(scope="module")
def entra() -> Iterator[Emulator]:
    """An Entra that we have not scripted."""
    with Emulator() as emulator:
        yield emulator


def test_an_application_with_a_secret(kind: WebPubSubKind, service: ServiceDouble, entra: Emulator) -> None:
    client = kind.from_connection_string(
        f"Endpoint={service.endpoint};AuthType=azure.app;ClientId={entra.client_id};TenantId={entra.tenant_id};"
        f"ClientSecret={entra.client_secret};Version=1.0;",
        authority=entra.authority,
        ca_file=entra.ca_file,
    )
    service.answer(token_answer())
    assert client.negotiate("ada")["url"]
    claims: dict[str, Any] = jwt.decode(service.take().bearer, options={"verify_signature": False})
    assert claims["aud"].rstrip("/") == RESOURCE
    assert claims["oid"] == entra.object_id


@pytest.mark.parametrize("text", ["AuthType=azure", ""])
def test_the_default_credential(kind: WebPubSubKind, text: str) -> None:
    client = kind.from_connection_string(f"Endpoint=https://demo.webpubsub.azure.com;{text};Version=1.0;")
    assert client.status["credential"] == "DefaultAzureCredential"
