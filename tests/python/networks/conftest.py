"""An environment without proxies, an authority whose certificates the tests trust, and the requests that are made."""

from pathlib import Path

import pytest

from networks.calls import CALLS, Call
from networks.certificates import Authority, Certificate

VARIABLES = ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(params=CALLS, ids=str)
def call(request: pytest.FixtureRequest) -> Call:
    """Each request that the client sends, one after the other."""
    found: Call = request.param
    return found


@pytest.fixture(scope="session")
def root() -> Authority:
    return Authority.root()


@pytest.fixture(scope="session")
def trusted(root: Authority) -> Certificate:
    """A right certificate for this machine, and for the names that the proxy of the tests resolves."""
    return root.issue("localhost", "127.0.0.1", "::1", "demo.service.signalr.net", "login.contoso.example")


@pytest.fixture(scope="session")
def ca_file(root: Authority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return root.write(tmp_path_factory.mktemp("trust") / "root.pem")
