"""What all searches for secrets use."""

from collections.abc import Iterator

import pytest

from secrecy.clients import Echoed
from secrecy.echoing_azure import IDENTITY_HEADER, EchoingAzure
from secrecy.witnesses import Witness, witness


@pytest.fixture(scope="session")
def shared_echo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Echoed]:
    with EchoingAzure() as azure:
        yield Echoed(azure, str(azure.write_authority(tmp_path_factory.mktemp("authority"))))


@pytest.fixture
def echo(shared_echo: Echoed, monkeypatch: pytest.MonkeyPatch) -> Echoed:
    """An Azure that answers with what it was sent; the environment is that of an app with a managed identity."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", shared_echo.azure.identity_endpoint)
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    return shared_echo


@pytest.fixture
def witnessed() -> Iterator[Witness]:
    """All that is said while the test runs."""
    with witness() as seen:
        yield seen
