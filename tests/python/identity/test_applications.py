"""Applications: secrets, assertions, tenants and clouds, and what Entra says of them."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from hubpass import ClientAuthenticationError, CredentialUnavailableError, InvalidArgumentError, ServiceError
from identity.doubles import CLIENT, SCOPE, TENANT, Entra, Kind, get, refusal, token
from secrecy.search import texts_of_exception, texts_of_value
from signalr.client_kind import settle
from signalr.service_double import Answer, ServiceDouble

TRACE = "3a7c1b52-5f3e-4c1e-9d0b-8f6f5a4b3c2d"
CORRELATION = "9d2b1c00-1f2e-4c1e-9d0b-8f6f5a4b3c2d"


def test_a_secret(kind: Kind, entra: Entra) -> None:
    entra.answer(token("given"))
    assert get(kind.with_secret(entra)) == "given"
    received, form = entra.take()
    assert received.path == f"/{TENANT}/oauth2/v2.0/token"
    assert form == {
        "client_id": CLIENT,
        "client_secret": "secret",
        "grant_type": "client_credentials",
        "scope": SCOPE,
    }


def test_an_assertion_is_asked_for_at_each_exchange(kind: Kind, entra: Entra) -> None:
    given = iter(["first", "second"])
    credential = kind.make("ClientAssertionCredential", TENANT, CLIENT, lambda: next(given), **entra.options)
    for scope, assertion in (("https://a/.default", "first"), ("https://b/.default", "second")):
        get(credential, scope)
        _, form = entra.take()
        assert form["client_assertion"] == assertion
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert "client_secret" not in form


@pytest.mark.parametrize("returned", ["", None, 5])
def test_a_function_that_gives_no_assertion(kind: Kind, entra: Entra, returned: Any) -> None:
    credential = kind.make("ClientAssertionCredential", TENANT, CLIENT, lambda: returned, **entra.options)
    with pytest.raises(ClientAuthenticationError) as caught:
        get(credential)
    assert caught.value.code == "identity_unavailable"
    assert "func=" in caught.value.hint


def test_what_the_function_raises_is_the_cause(kind: Kind, entra: Entra) -> None:
    def fail() -> str:
        raise RuntimeError("canary")

    credential = kind.make("ClientAssertionCredential", TENANT, CLIENT, fail, **entra.options)
    with pytest.raises(ClientAuthenticationError) as caught:
        get(credential)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "canary" not in str(caught.value)
    assert entra.is_idle


def test_the_federated_token_is_read_at_each_exchange(
    kind: Kind, entra: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "federated-token"
    file.write_text("first\n")
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(file))
    credential = kind.make("WorkloadIdentityCredential", **entra.options)
    get(credential, "https://a/.default")
    assert entra.take()[1]["client_assertion"] == "first"
    file.write_text("second")
    get(credential, "https://b/.default")
    assert entra.take()[1]["client_assertion"] == "second"
    file.unlink()
    with pytest.raises(CredentialUnavailableError) as caught:
        get(credential, "https://c/.default")
    assert caught.value.code == "credential_unavailable"
    assert "AZURE_FEDERATED_TOKEN_FILE" in caught.value.hint
    assert str(file) not in str(caught.value)


def test_a_workload_that_lacks_something(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    with pytest.raises(InvalidArgumentError) as caught:
        kind.make("WorkloadIdentityCredential", tenant_id=TENANT)
    assert "token_file_path= (AZURE_FEDERATED_TOKEN_FILE)" in caught.value.message
    assert "AZURE_CLIENT_ID" not in caught.value.message


def test_the_application_of_the_environment(kind: Kind, entra: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    half = kind.make("EnvironmentCredential", **entra.options)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "canary")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", entra.authority)
    whole = kind.make("EnvironmentCredential", ca_file=entra.ca_file)
    get(whole)
    assert entra.take()[1]["client_secret"] == "canary"
    with pytest.raises(CredentialUnavailableError) as caught:
        get(half)
    assert "AZURE_TENANT_ID, AZURE_CLIENT_ID is set" in caught.value.message
    assert "AZURE_CLIENT_SECRET" in caught.value.hint


def test_a_job_of_azure_pipelines(
    kind: Kind, entra: Entra, platform: ServiceDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "service_connection_id": "connection",
        "system_access_token": "canary-job",
    }
    with pytest.raises(CredentialUnavailableError) as elsewhere:
        get(kind.make("AzurePipelinesCredential", **options, **entra.options))
    assert "SYSTEM_OIDCREQUESTURI" in elsewhere.value.message
    monkeypatch.setenv("SYSTEM_OIDCREQUESTURI", f"{platform.endpoint}/oidc")
    credential = kind.make("AzurePipelinesCredential", **options, **entra.options)
    platform.answer(Answer(200, body=json.dumps({"oidcToken": "of-the-connection"}).encode()))
    get(credential)
    received = platform.take()
    assert received.method == "POST"
    assert received.query == [("api-version", "7.1"), ("serviceConnectionId", "connection")]
    assert received.bearer == "canary-job"
    assert received.headers["x-tfs-fedauthredirect"] == "Suppress"
    assert entra.take()[1]["client_assertion"] == "of-the-connection"
    platform.answer(Answer(401, body=b"canary-page"))
    with pytest.raises(ClientAuthenticationError) as refused:
        get(credential, "https://b/.default")
    assert (refused.value.code, refused.value.status) == ("identity_unavailable", 401)
    assert "system_access_token=" in refused.value.hint
    assert "canary" not in str(refused.value)


def test_tenants(kind: Kind, entra: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    credential = kind.with_secret(entra, additionally_allowed_tenants=["contoso.example"])
    get(credential, tenant_id="contoso.example")
    assert entra.take()[0].path == "/contoso.example/oauth2/v2.0/token"
    with pytest.raises(ClientAuthenticationError) as caught:
        get(credential, tenant_id="fabrikam.example")
    assert caught.value.code == "identity_unavailable"
    assert 'additionally_allowed_tenants=["fabrikam.example"]' in caught.value.hint
    monkeypatch.setenv("AZURE_IDENTITY_DISABLE_MULTITENANTAUTH", "1")
    get(kind.with_secret(entra), tenant_id="fabrikam.example")
    assert entra.take()[0].path == f"/{TENANT}/oauth2/v2.0/token"
    get(kind.make("ClientSecretCredential", "adfs", CLIENT, "s", **entra.options))
    assert entra.take()[0].path == "/adfs/oauth2/token"
    assert entra.is_idle


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (7000215, "az ad app credential reset"),
        (7000222, "client_secret="),
        (700016, "AZURE_CLIENT_ID"),
        (90002, "AZURE_TENANT_ID"),
        (500011, "scope="),
        (70021, "az ad app federated-credential list"),
        (700024, "timedatectl"),
        (700027, "az ad app credential reset"),
        (53003, "Conditional Access"),
        (7000229, "az ad sp create"),
        (999999, "ClientSecret"),
    ],
)
def test_what_entra_refuses(kind: Kind, entra: Entra, number: int, hint: str) -> None:
    entra.answer(refusal(number, 401, trace_id=TRACE, correlation_id=CORRELATION))
    with pytest.raises(ClientAuthenticationError) as caught:
        get(kind.with_secret(entra))
    error = caught.value
    assert (error.code, error.status) == ("identity_unavailable", 401)
    for part in (f"AADSTS{number} ", f"trace id {TRACE}", f"correlation id {CORRELATION}"):
        assert part in error.message
    assert hint in error.hint
    assert "canary" not in str(error)


def test_what_is_no_id_is_not_repeated(kind: Kind, entra: Entra) -> None:
    entra.answer(refusal(700016, trace_id="canary", correlation_id=5))
    with pytest.raises(ClientAuthenticationError) as caught:
        get(kind.with_secret(entra))
    assert "canary" not in str(caught.value)


def test_an_authority_that_is_not_there_is_no_refusal(kind: Kind, entra: Entra) -> None:
    credential = kind.with_secret(entra, authority="https://localhost:1")
    with pytest.raises(ServiceError) as caught:
        get(credential)
    assert not isinstance(caught.value, ClientAuthenticationError)
    assert caught.value.code == "connection_failed"
    assert "authority=" in caught.value.hint


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("", CLIENT, "s"), "tenant_id="),
        (("a/b", CLIENT, "s"), "tenant_id="),
        ((TENANT, "", "s"), "client_id="),
        ((TENANT, CLIENT, ""), "client_secret="),
        ((5, CLIENT, "s"), "tenant_id="),
        ((TENANT, CLIENT, b"canary"), "client_secret="),
    ],
)
def test_arguments_that_cannot_be_used(kind: Kind, arguments: Any, hint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        kind.make("ClientSecretCredential", *arguments)
    assert caught.value.code == "invalid_argument"
    assert hint in caught.value.hint
    assert "canary" not in str(caught.value)
    with pytest.raises(TypeError):
        kind.make("ClientSecretCredential", TENANT, CLIENT, "s", misspelt=1)


def test_scopes_that_cannot_be_used(kind: Kind, entra: Entra) -> None:
    credential = kind.with_secret(entra)
    for scopes in ((), ("",), ("two words",), (5,)):
        with pytest.raises(InvalidArgumentError) as caught:
            # `get` would put a scope in the place of none.
            settle(credential.get_token(*scopes))
        assert caught.value.code == "invalid_argument"
        assert "get_token(" in caught.value.hint or "scopes=" in caught.value.hint
    assert entra.is_idle


def test_no_credential_shows_what_it_holds(kind: Kind, entra: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "canary")
    entra.answer(token("canary"))
    held = kind.with_secret(entra, "canary")
    get(held)
    connection = {"service_connection_id": "a", "system_access_token": "canary"}
    made = [
        held,
        kind.make("EnvironmentCredential"),
        kind.make("DefaultAzureCredential"),
        kind.make("ChainedTokenCredential", held),
        kind.make("CertificateCredential", TENANT, CLIENT, "canary.pem", password="canary"),
        kind.make("AzurePipelinesCredential", tenant_id=TENANT, client_id=CLIENT, **connection),
    ]
    for credential in made:
        assert repr(credential) == f"<{kind.module.__name__}.{type(credential).__name__}>"
        assert not [text for text in texts_of_value(credential) if "canary" in text]
        assert not [text for text in texts_of_value(credential._native) if "canary" in text]
        for copied in (pickle.dumps, copy.copy, copy.deepcopy):
            for thing in (credential, credential._native):
                with pytest.raises(TypeError):
                    copied(thing)


def test_an_error_of_construction_shows_no_secret(kind: Kind) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        kind.make("ClientSecretCredential", "", CLIENT, "canary" + "-secret")
    assert not [text for text in texts_of_exception(caught.value) if "canary-secret" in text]
