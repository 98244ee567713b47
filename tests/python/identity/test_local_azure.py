"""Our credentials and azure-identity's, side by side at the local Azure: the same tokens for both."""

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.identity
import azure.identity.aio
import pytest

import hubpass.identity
import hubpass.identity.aio
from emulator.identity_support import is_good_for_a_key, object_id_of
from emulator.support import SCOPE, Azure
from hubpass import ClientAuthenticationError, _native
from hubpass.emulator import Certificate, Emulator
from identity.doubles import Kind
from signalr.client_kind import settle


class Package:
    """Whose credentials they are, and how they are led to the local Azure."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.is_ours = module.__name__.startswith("hubpass")

    def __str__(self) -> str:
        return self.module.__name__

    def entra(self, local: Azure) -> dict[str, Any]:
        emulator = local.emulator
        trust = "ca_file" if self.is_ours else "connection_verify"
        return {"authority": emulator.authority, "disable_instance_discovery": True, trust: emulator.ca_file}

    def token(self, name: str, *arguments: Any, **options: Any) -> str:
        credential = getattr(self.module, name)(*arguments, **options)

        async def awaited() -> str:
            async with credential:
                return str((await credential.get_token(SCOPE)).token)

        if self.module.__name__.endswith(".aio"):
            return str(settle(awaited()))
        with credential:
            return str(credential.get_token(SCOPE).token)


@pytest.fixture(
    params=[hubpass.identity, hubpass.identity.aio, azure.identity, azure.identity.aio],
    ids=lambda module: str(module.__name__),
)
def package(request: pytest.FixtureRequest) -> Package:
    return Package(request.param)


@pytest.fixture(scope="module")
def local() -> Iterator[Azure]:
    with Emulator() as emulator:
        made = Azure(emulator)
        made.control.identity.set_imds_limits(requests_per_second=10_000, concurrent_requests=100)
        yield made
        made.close()


@pytest.fixture(scope="module")
def certificate(local: Azure) -> Certificate:
    return local.control.identity.add_certificate(local.emulator.client_id, password="canary", with_authority=True)


def is_token_of(local: Azure, token: str, object_id: str) -> bool:
    return object_id_of(token) == object_id and is_good_for_a_key(local, token)


@pytest.mark.parametrize("file", ["pem_file", "pkcs12_file"])
@pytest.mark.parametrize("chain", [False, True])
def test_a_certificate(package: Package, local: Azure, certificate: Certificate, file: str, chain: bool) -> None:
    emulator, options = local.emulator, package.entra(local)
    arguments = (emulator.tenant_id, emulator.client_id, getattr(certificate, file))
    token = package.token(
        "CertificateCredential", *arguments, password="canary", send_certificate_chain=chain, **options
    )
    assert is_token_of(local, token, emulator.object_id)


def test_assertions_are_what_a_strict_authority_wants(kind: Kind, local: Azure, certificate: Certificate) -> None:
    ours, emulator = Package(kind.module), local.emulator
    local.control.identity.set_assertion_policy(refuse_replays=True, longest_life=600)
    try:
        for _ in range(2):
            arguments = (emulator.tenant_id, emulator.client_id, certificate.pem_file)
            token = ours.token("CertificateCredential", *arguments, password="canary", **ours.entra(local))
            assert is_good_for_a_key(local, token)
    finally:
        local.control.identity.set_assertion_policy()


def test_a_workload(package: Package, local: Azure, tmp_path: Path) -> None:
    emulator, identity = local.emulator, local.control.identity
    identity.add_federated_credential(emulator.client_id, "system:serviceaccount:default:application")
    file = tmp_path / "federated"
    file.write_text(identity.service_account_token().token)
    names = {"tenant_id": emulator.tenant_id, "client_id": emulator.client_id, "token_file_path": str(file)}
    try:
        token = package.token("WorkloadIdentityCredential", **names, **package.entra(local))
    finally:
        identity.remove_federated_credentials(emulator.client_id)
    assert is_token_of(local, token, emulator.object_id)


@pytest.mark.parametrize("selector", [None, "client_id", "object_id", "resource_id"])
def test_a_virtual_machine(
    package: Package, local: Azure, monkeypatch: pytest.MonkeyPatch, selector: str | None
) -> None:
    emulator = local.emulator
    for name, value in emulator.identity.imds_environment.items():
        monkeypatch.setenv(name, value)
    config = {selector: getattr(emulator, f"user_assigned_{selector}")} if selector else {}
    token = package.token("ManagedIdentityCredential", **({"identity_config": config} if config else {}))
    # azure-identity's async credential sends a resource id under a name that this service does not know.
    is_unheard = selector == "resource_id" and package.module is azure.identity.aio
    expected = emulator.user_assigned_object_id if selector and not is_unheard else emulator.managed_identity_object_id
    assert is_token_of(local, token, expected)


def test_azure_arc(kind: Kind, local: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of azure-identity, which knows no other directory than the agent's own, the tests of the local Azure tell."""
    for name, value in local.emulator.identity.arc_environment.items():
        monkeypatch.setenv(name, value)
    credential = kind.make("ManagedIdentityCredential")
    keywords = {"ca_file": None, "arc_keys": local.emulator.identity.arc_directory}
    credential._native = _native.Credential.managed_identity(None, None, keywords, kind.name == "async")
    token = settle(credential.get_token(SCOPE)).token
    assert is_good_for_a_key(local, token)


@pytest.mark.parametrize("name", ["AzureCliCredential", "AzureDeveloperCliCredential"])
def test_a_developer(package: Package, local: Azure, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PATH", local.control.identity.install_developer_tools())
    assert is_token_of(local, package.token(name), local.emulator.identity.developer_object_id)


def test_the_default_credential(package: Package, local: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", local.control.identity.install_developer_tools())
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "dev")
    token = package.token("DefaultAzureCredential")
    assert is_token_of(local, token, local.emulator.identity.developer_object_id)


def test_what_entra_refuses_has_the_same_number(package: Package, local: Azure) -> None:
    emulator = local.emulator
    arguments = (emulator.tenant_id, emulator.client_id, "wrong")
    with pytest.raises(Exception, match=r"AADSTS7000215\b") as caught:
        package.token("ClientSecretCredential", *arguments, **package.entra(local))
    if package.is_ours:
        assert isinstance(caught.value, ClientAuthenticationError)
        assert "trace id" in caught.value.message
