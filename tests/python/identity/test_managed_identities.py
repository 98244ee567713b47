"""Managed identities: which platform is asked, how, and what its answers mean."""

from pathlib import Path
from typing import Any

import pytest

from hubpass import ClientAuthenticationError, CredentialUnavailableError, InvalidArgumentError, _native
from identity.doubles import CLIENT, SCOPE, TENANT, Entra, Kind, get, soon, token
from signalr.service_double import Answer, ServiceDouble

NAME = "ManagedIdentityCredential"
RESOURCE = "https://signalr.azure.com"
RESOURCE_ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/i"

IDENTITIES: list[tuple[dict[str, Any], str, str]] = [
    ({"client_id": CLIENT}, "client_id", CLIENT),
    ({"identity_config": {"client_id": CLIENT}}, "client_id", CLIENT),
    ({"identity_config": {"object_id": CLIENT}}, "object_id", CLIENT),
    ({"identity_config": {"resource_id": RESOURCE_ID}}, "", RESOURCE_ID),
]


@pytest.mark.parametrize(("options", "name", "value"), [({}, "", ""), *IDENTITIES])
def test_app_service(kind: Kind, app_service: ServiceDouble, options: dict[str, Any], name: str, value: str) -> None:
    app_service.answer(token("given", expires_in=None, expires_on=str(soon())))
    assert get(kind.make(NAME, **options)) == "given"
    received = app_service.take()
    assert (received.method, received.path) == ("GET", "/msi/token")
    assert received.headers["x-identity-header"] == "canary-header"
    chosen = [(name or "mi_res_id", value)] if value else []
    assert received.query == [("api-version", "2019-08-01"), ("resource", RESOURCE), *chosen]


@pytest.mark.parametrize(("options", "name", "value"), [({}, "", ""), *IDENTITIES])
def test_a_virtual_machine(kind: Kind, imds: ServiceDouble, options: dict[str, Any], name: str, value: str) -> None:
    imds.answer(token("given"))
    assert get(kind.make(NAME, **options)) == "given"
    received = imds.take()
    assert (received.method, received.path) == ("GET", "/metadata/identity/oauth2/token")
    assert received.headers["metadata"] == "true"
    chosen = [(name or "msi_res_id", value)] if value else []
    assert received.query == [("api-version", "2018-02-01"), ("resource", RESOURCE), *chosen]
    assert imds.is_idle


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
def test_a_metadata_service_that_is_not_ready_is_asked_again(kind: Kind, imds: ServiceDouble, status: int) -> None:
    imds.answer(Answer(status))
    imds.answer(token("given"))
    assert get(kind.make(NAME)) == "given"


def test_a_metadata_service_that_asks_for_patience_is_left_alone(kind: Kind, imds: ServiceDouble) -> None:
    imds.answer(Answer(429, {"retry-after": "20"}))
    credential = kind.make(NAME)
    for _ in range(2):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - its attributes are looked at
            get(credential)
        error: Any = caught.value
        assert (error.code, error.status) == ("throttled", 429)
        assert error.retry_after > 10
    imds.take()
    assert imds.is_idle


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (Answer(400, body=b"canary"), "az vm identity assign"),
        (Answer(403, body=b"connecting to 169.254.169.254:80: host is unreachable"), "AzureCliCredential()"),
        (Answer(raw=b"nonsense"), "AzureCliCredential()"),
    ],
    ids=["no identity", "Docker Desktop", "no HTTP"],
)
def test_no_identity_is_unavailable(kind: Kind, imds: ServiceDouble, answer: Answer, hint: str) -> None:
    imds.answer(answer)
    with pytest.raises(CredentialUnavailableError) as caught:
        get(kind.make(NAME))
    assert caught.value.code == "credential_unavailable"
    assert hint in caught.value.hint
    assert "canary" not in str(caught.value)


def test_a_refusal_is_not(kind: Kind, imds: ServiceDouble) -> None:
    imds.answer(Answer(403, body=b"canary"))
    with pytest.raises(ClientAuthenticationError) as caught:
        get(kind.make(NAME))
    assert not isinstance(caught.value, CredentialUnavailableError)
    assert (caught.value.code, caught.value.status) == ("identity_unavailable", 403)


@pytest.mark.parametrize(
    ("variables", "platform_name"),
    [
        (("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"), "Service Fabric"),
        (("MSI_ENDPOINT",), "Azure Cloud Shell"),
        (("MSI_ENDPOINT", "MSI_SECRET"), "Azure Machine Learning"),
        (("IDENTITY_ENDPOINT",), "no platform"),
    ],
)
def test_platforms_that_are_not_spoken_to(
    kind: Kind,
    platform: ServiceDouble,
    monkeypatch: pytest.MonkeyPatch,
    variables: tuple[str, ...],
    platform_name: str,
) -> None:
    for name in variables:
        monkeypatch.setenv(name, platform.endpoint)
    with pytest.raises(CredentialUnavailableError) as caught:
        get(kind.make(NAME))
    assert platform_name in caught.value.message
    assert platform.is_idle


def test_a_workload_counts_as_a_managed_identity(
    kind: Kind, entra: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("federated")
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", entra.authority)
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    get(kind.make(NAME, client_id=CLIENT, ca_file=entra.ca_file))
    _, form = entra.take()
    assert (form["client_assertion"], form["client_id"]) == ("federated", CLIENT)


def arc_credential(kind: Kind, keys: Path, **options: Any) -> Any:
    """A credential whose agent keeps its keys where a test can; only builds for tests take that keyword."""
    credential = kind.make(NAME, **options)
    keywords = {"ca_file": None, "arc_keys": keys}
    config = options.get("identity_config")
    is_async = kind.name == "async"
    credential._native = _native.Credential.managed_identity(options.get("client_id"), config, keywords, is_async)
    return credential


@pytest.fixture
def arc(platform: ServiceDouble, monkeypatch: pytest.MonkeyPatch) -> ServiceDouble:
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{platform.endpoint}/metadata/identity/oauth2/token")
    monkeypatch.setenv("IMDS_ENDPOINT", platform.endpoint)
    return platform


def challenge(path: Path) -> Answer:
    return Answer(401, {"www-authenticate": f"Basic realm={path}"})


def test_azure_arc(kind: Kind, arc: ServiceDouble, tmp_path: Path) -> None:
    (tmp_path / "one.key").write_text("canary-key\n")
    arc.answer(challenge(tmp_path / "one.key"))
    arc.answer(token("given"))
    assert get(arc_credential(kind, tmp_path)) == "given"
    asked, answered = arc.take(), arc.take()
    for received in (asked, answered):
        assert received.query == [("api-version", "2020-06-01"), ("resource", RESOURCE)]
        assert received.headers["metadata"] == "true"
    assert "authorization" not in asked.headers
    assert answered.headers["authorization"] == "Basic canary-key"


@pytest.mark.parametrize("name", ["elsewhere/one.key", "one.txt", "missing.key", "../one.key", "large.key"])
def test_only_keys_of_the_agent_are_sent(kind: Kind, arc: ServiceDouble, tmp_path: Path, name: str) -> None:
    keys = tmp_path / "tokens"
    (keys / "elsewhere").mkdir(parents=True)
    for path in (keys / "elsewhere/one.key", keys / "one.txt", tmp_path / "one.key"):
        path.write_text("canary")
    (keys / "large.key").write_text("canary" * 1000)
    arc.answer(challenge(keys / name))
    with pytest.raises(ClientAuthenticationError) as caught:
        get(arc_credential(kind, keys))
    assert caught.value.code == "identity_unavailable"
    assert "usermod -aG himds" in caught.value.hint
    assert "canary" not in str(caught.value)
    arc.take()
    assert arc.is_idle


@pytest.mark.parametrize("confirms", [True, False])
@pytest.mark.parametrize(("options", "name", "value"), IDENTITIES)
def test_an_agent_has_to_confirm_a_user_assigned_identity(
    kind: Kind, arc: ServiceDouble, tmp_path: Path, options: dict[str, Any], name: str, value: str, confirms: bool
) -> None:
    confirmed: dict[str, Any] = {name or "msi_res_id": value.upper()} if confirms else {"client_id": TENANT}
    arc.answer(token("given", **confirmed))
    credential = arc_credential(kind, tmp_path, **options)
    if confirms:
        assert get(credential) == "given"
    else:
        with pytest.raises(ClientAuthenticationError) as caught:
            get(credential)
        assert "azcmagent" in caught.value.hint
    assert dict(arc.take().query)[name or "msi_res_id"] == value


@pytest.mark.parametrize(
    "options",
    [
        {"client_id": "a", "identity_config": {"object_id": "b"}},
        {"identity_config": {"object_id": "a", "resource_id": "b"}},
        {"identity_config": {"principal": "a"}},
        {"identity_config": {"object_id": 5}},
        {"identity_config": "a"},
        {"client_id": 5},
    ],
)
def test_identities_that_cannot_be_meant(kind: Kind, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        kind.make(NAME, **options)
    assert caught.value.code == "invalid_argument"
    assert "client_id=" in caught.value.hint


def test_one_resource_at_a_time(kind: Kind, app_service: ServiceDouble) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        get(kind.make(NAME), SCOPE, "https://other/.default")
    assert caught.value.code == "invalid_argument"
    assert "one scope" in caught.value.hint
    assert app_service.is_idle


def test_tenant_and_revocation_change_nothing(kind: Kind, app_service: ServiceDouble) -> None:
    app_service.answer(token())
    credential = kind.make(NAME)
    for options in ({}, {"tenant_id": "other"}, {"enable_cae": True}):
        get(credential, **options)
    app_service.take()
    assert app_service.is_idle


def test_no_proxy_is_used(kind: Kind, imds: ServiceDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    imds.answer(token("given"))
    assert get(kind.make(NAME)) == "given"
