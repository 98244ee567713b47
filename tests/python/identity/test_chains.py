"""Chains: who is tried, in which order, who stops the search, and what the error says."""

import re
from typing import Any

import azure.identity
import azure.identity.aio
import pytest
from azure.core.exceptions import ClientAuthenticationError as AzureAuthenticationError

from hubpass import (
    ClientAuthenticationError,
    ConfigurationError,
    CredentialUnavailableError,
    InvalidArgumentError,
    _native,
)
from identity.doubles import CLIENT, SCOPE, TENANT, Entra, Kind, get, refusal, soon, token
from signalr.client_kind import settle
from signalr.service_double import Answer, ServiceDouble

OURS = [
    "EnvironmentCredential",
    "WorkloadIdentityCredential",
    "ManagedIdentityCredential",
    "AzureCliCredential",
    "AzureDeveloperCliCredential",
]

# Nothing is there that could answer.
NOWHERE = "http://127.0.0.1:1"


def named(error: BaseException) -> list[str]:
    """The members that an error of a chain names, those that are not there at the end."""
    found = re.findall(r"^  (\w+): ", str(error), flags=re.MULTILINE)
    missing = re.search(r"^  Not part of Hubpass: (.*)\.", str(error), flags=re.MULTILINE)
    return found + (missing[1].split(", ") if missing else [])


def azures(**options: Any) -> list[str]:
    """The members of azure-identity's chain; one that could not be made goes by another name there."""
    chain = azure.identity.DefaultAzureCredential(**options)
    return [getattr(member, "_credential_name", type(member).__name__) for member in chain.credentials]


CHOICES: list[tuple[str | None, dict[str, Any]]] = [
    (None, {}),
    ("", {}),
    (" Dev ", {}),
    ("prod", {}),
    ("EnvironmentCredential", {}),
    ("workloadidentitycredential", {}),
    ("AzureCliCredential", {}),
    ("AzureDeveloperCliCredential", {}),
    ("VisualStudioCodeCredential", {}),
    ("AzurePowerShellCredential", {}),
    ("InteractiveBrowserCredential", {}),
    ("prod", {"exclude_managed_identity_credential": True}),
    ("prod", {"exclude_cli_credential": False}),
    ("dev", {"exclude_environment_credential": False, "exclude_cli_credential": True}),
    (None, {"exclude_interactive_browser_credential": False}),
    (None, {"exclude_developer_cli_credential": True, "exclude_workload_identity_credential": True}),
    (None, {"exclude_broker_credential": True, "exclude_powershell_credential": True}),
    (None, {"exclude_visual_studio_code_credential": True, "exclude_shared_token_cache_credential": True}),
]


@pytest.mark.parametrize(("choice", "options"), CHOICES)
def test_the_members_are_those_of_azure_identity(
    kind: Kind, monkeypatch: pytest.MonkeyPatch, choice: str | None, options: dict[str, Any]
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", NOWHERE)
    if choice is not None:
        monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", choice)
    with pytest.raises(ClientAuthenticationError) as caught:
        get(kind.make("DefaultAzureCredential", **options))
    error = caught.value
    assert error.code == "identity_unavailable"
    expected = azures(**options)
    assert [name for name in named(error) if name in OURS] == [name for name in expected if name in OURS]
    assert set(named(error)) == set(expected)
    assert "credential=" in error.hint


def test_a_choice_that_is_none(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "canary")
    with pytest.raises(ConfigurationError) as caught:
        kind.make("DefaultAzureCredential")
    assert caught.value.code == "settings_invalid"
    with pytest.raises(ValueError, match="Valid values are") as theirs:
        azure.identity.DefaultAzureCredential()
    ours = {name.lower() for name in re.findall(r"\w+Credential", caught.value.hint)}
    assert ours == set(re.findall(r"\w+credential\b", str(theirs.value)))
    assert "canary" not in str(caught.value)


def test_a_choice_that_is_required(kind: Kind) -> None:
    with pytest.raises(ConfigurationError) as caught:
        kind.make("DefaultAzureCredential", require_envvar=True)
    assert caught.value.code == "settings_missing"
    assert "AZURE_TOKEN_CREDENTIALS=prod" in caught.value.hint


def test_everything_is_excluded(kind: Kind) -> None:
    names = ["environment", "workload_identity", "managed_identity", "shared_token_cache", "visual_studio_code", "cli"]
    names += ["powershell", "developer_cli", "broker"]
    with pytest.raises(InvalidArgumentError) as caught:
        kind.make("DefaultAzureCredential", **{f"exclude_{name}_credential": True for name in names})
    assert caught.value.code == "invalid_argument"


def test_the_environment_comes_first(
    kind: Kind, entra: Entra, app_service: ServiceDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "secret")
    entra.answer(token("of the environment"))
    credential = kind.make("DefaultAzureCredential", **entra.options)
    assert get(credential) == "of the environment"
    entra.answer(refusal(7000222, 401))
    with pytest.raises(ClientAuthenticationError) as caught:
        get(credential, "https://b/.default")
    # A secret that has expired must not turn the application into another identity.
    assert named(caught.value)[:1] == ["EnvironmentCredential"]
    assert caught.value.status == 401
    assert "AADSTS7000222" in caught.value.message
    assert "AzureCliCredential" not in caught.value.message
    assert app_service.is_idle


def test_which_user_assigned_identity_is_meant(
    kind: Kind, app_service: ServiceDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CLIENT_ID", "of-the-environment")
    for options, expected in (
        ({}, "of-the-environment"),
        ({"managed_identity_client_id": "of-the-caller"}, "of-the-caller"),
        ({"managed_identity_client_id": None}, None),
    ):
        app_service.answer(token())
        get(kind.make("DefaultAzureCredential", **options))
        assert dict(app_service.take().query).get("client_id") == expected


def test_the_metadata_service_is_probed_in_a_chain_and_again_after_a_failure(
    kind: Kind, platform: ServiceDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address of the service cannot be had by a test; what is known of it can."""
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "prod")
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", platform.endpoint)
    platform.answer(token("given"))
    assert get(kind.make("DefaultAzureCredential")) == "given"
    # Named in the environment it is asked at once.
    assert platform.take().headers["metadata"] == "true"
    assert platform.is_idle


class Fake:
    """A credential of the application, which gives or raises what it is told to."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.calls: list[tuple[tuple[str, ...], dict[str, Any]]] = []

    def get_token(self, *scopes: str, **options: Any) -> Any:
        self.calls.append((scopes, options))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        from azure.core.credentials import AccessToken

        return AccessToken(self.outcome, soon())


class AsyncFake(Fake):
    async def get_token(self, *scopes: str, **options: Any) -> Any:
        return super().get_token(*scopes, **options)


def fake(kind: Kind, outcome: Any) -> Any:
    return AsyncFake(outcome) if kind.name == "async" else Fake(outcome)


def unavailable() -> Exception:
    return azure.identity.CredentialUnavailableError("canary")


def test_members_of_any_kind(kind: Kind, app_service: ServiceDouble) -> None:
    app_service.answer(Answer(400))
    first, second = fake(kind, unavailable()), fake(kind, "given")
    ours = kind.make("ManagedIdentityCredential")
    chain = kind.make("ChainedTokenCredential", first, ours, second)
    assert get(chain) == "given"
    assert (len(first.calls), len(second.calls)) == (1, 1)
    # The winner is asked first.
    more: dict[str, Any] = {"claims": "{}", "tenant_id": "t", "enable_cae": True}
    assert get(chain, "https://b/.default", "https://c/.default", **more) == "given"
    assert len(first.calls) == 1
    assert second.calls[1] == (("https://b/.default", "https://c/.default"), more)
    # And everybody again when it fails.
    second.outcome = unavailable()
    first.outcome = "given by the first"
    assert get(chain, "https://d/.default") == "given by the first"
    assert chain.credentials == (first, ours, second)


def test_what_is_not_unavailable_ends_the_search(kind: Kind) -> None:
    first, second, third = fake(kind, unavailable()), fake(kind, RuntimeError("canary")), fake(kind, "given")
    with pytest.raises(ClientAuthenticationError) as caught:
        get(kind.make("ChainedTokenCredential", first, second, third))
    assert named(caught.value) == [type(first).__name__] * 2
    assert "RuntimeError" in caught.value.message
    assert "canary" not in str(caught.value)
    assert third.calls == []


def test_chains_in_chains_are_one_readable_block(kind: Kind) -> None:
    inner = kind.make("ChainedTokenCredential", fake(kind, unavailable()))
    with pytest.raises(ClientAuthenticationError) as caught:
        get(kind.make("ChainedTokenCredential", inner))
    assert re.search(r"^  ChainedTokenCredential: .*\n    \w+: ", str(caught.value), flags=re.MULTILINE)


@pytest.mark.parametrize("members", [(), (5,), ("canary",)])
def test_what_is_no_chain(kind: Kind, members: tuple[Any, ...]) -> None:
    with pytest.raises((InvalidArgumentError, ConfigurationError)) as caught:
        kind.make("ChainedTokenCredential", *members)
    assert caught.value.code in {"invalid_argument", "credential_unsupported"}
    assert "canary" not in str(caught.value)


def test_an_async_member_needs_an_async_chain() -> None:
    from hubpass.identity import ChainedTokenCredential

    with pytest.raises(ConfigurationError) as caught:
        ChainedTokenCredential(AsyncFake("given"))
    assert caught.value.code == "credential_unsupported"
    assert "hubpass.identity.aio.ChainedTokenCredential" in caught.value.hint


def test_our_unavailable_lets_azure_identity_go_on(kind: Kind, app_service: ServiceDouble) -> None:
    """Our credentials are members of azure-identity's chain."""
    app_service.answer(Answer(400))
    module: Any = azure.identity.aio if kind.name == "async" else azure.identity
    ours, given = kind.make("ManagedIdentityCredential"), fake(kind, "given")
    chain = module.ChainedTokenCredential(ours, given)
    assert settle(chain.get_token(SCOPE)).token == "given"
    with pytest.raises(CredentialUnavailableError) as caught:
        get(ours)
    assert isinstance(caught.value, azure.identity.CredentialUnavailableError)
    assert isinstance(caught.value, AzureAuthenticationError)


def test_the_error_codes_are_those_of_the_core() -> None:
    codes = _native.error_codes()
    assert codes["credential_unavailable"] == "CredentialUnavailableError"
    assert codes["identity_unavailable"] == codes["certificate_unusable"] == "ClientAuthenticationError"
