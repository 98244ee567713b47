"""One emulator for the clients that other people wrote."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator

import pytest

from emulator.support import Azure
from hubpass.emulator import Emulator


@pytest.fixture(scope="session")
def shared_azure() -> Iterator[Azure]:
    # signalrcore closes its socket under the thread that reads from it, which only notices when it gets a keep-alive.
    with Emulator(ping_interval=0.2) as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()


@pytest.fixture(autouse=True)
def left_sockets() -> Iterator[None]:
    """Collect what these clients leave open, before a test of somebody else's is blamed for it."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def azure(shared_azure: Azure) -> Iterator[Azure]:
    shared_azure.control.clear_journal()
    yield shared_azure
    shared_azure.control.wait_for_connections(0)
