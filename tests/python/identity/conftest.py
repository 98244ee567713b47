"""An environment that names no identity, an authority, and both kinds of credentials."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from identity.doubles import ASYNC, SYNC, Entra, Kind
from networks.certificates import Authority
from signalr.service_double import ServiceDouble

VARIABLES = [
    "AZURE_AUTHORITY_HOST",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_IDENTITY_DISABLE_MULTITENANTAUTH",
    "AZURE_PASSWORD",
    "AZURE_POD_IDENTITY_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "AZURE_TOKEN_CREDENTIALS",
    "AZURE_USERNAME",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "IDENTITY_SERVER_THUMBPRINT",
    "IMDS_ENDPOINT",
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "SYSTEM_OIDCREQUESTURI",
]


@pytest.fixture(autouse=True)
def _no_identity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    # No tool of this machine is a part of the tests.
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.fixture(params=[SYNC, ASYNC], ids=str)
def kind(request: pytest.FixtureRequest) -> Kind:
    """The sync and the async credentials, one after the other."""
    found: Kind = request.param
    return found


@pytest.fixture(scope="session")
def root_authority() -> Authority:
    return Authority.root()


@pytest.fixture
def entra(root_authority: Authority, tmp_path: Path) -> Iterator[Entra]:
    tls = root_authority.issue("localhost").context()
    double = Entra(tls, root_authority.write(tmp_path / "root.pem"))
    with double.server:
        yield double


@pytest.fixture
def platform() -> Iterator[ServiceDouble]:
    """What gives out managed identities."""
    with ServiceDouble() as double:
        yield double


@pytest.fixture
def app_service(platform: ServiceDouble, monkeypatch: pytest.MonkeyPatch) -> ServiceDouble:
    """The same as App Service shows it."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"{platform.endpoint}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "canary-header")
    return platform


@pytest.fixture
def imds(platform: ServiceDouble, monkeypatch: pytest.MonkeyPatch) -> ServiceDouble:
    """The same as a virtual machine has it, at an address of this machine."""
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", platform.endpoint)
    return platform
