"""One emulator for most tests; what a test changes is put back before the next."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.support import Azure
from emulator.web_pubsub_support import PubSub
from hubpass.emulator import Emulator


@pytest.fixture(scope="session")
def shared_azure() -> Iterator[Azure]:
    with Emulator() as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()


@pytest.fixture
def azure(shared_azure: Azure) -> Iterator[Azure]:
    control = shared_azure.control
    control.clear_journal()
    yield shared_azure
    control.clear_faults()
    control.release()
    control.reset_clock()
    control.set_service_mode("Serverless")
    # A connection that outlives its test would receive the messages of the next one.
    control.wait_for_connections(0)


@pytest.fixture
def pubsub(azure: Azure) -> Iterator[PubSub]:
    """Web PubSub of the same emulator."""
    yield PubSub(azure)
    # A reliable client that went without a farewell is waited for, and would be sent the messages of the next test.
    azure.control.wait_for_connections(0)
    azure.control.advance_clock(31)
    azure.control.wait_for_connections(0)


@pytest.fixture
def entra(azure: Azure) -> Iterator[Azure]:
    """The same emulator, for tests that change something about its identities and temporary keys."""
    yield azure
    control, emulator = azure.control, azure.emulator
    control.set_local_auth_disabled(False)
    control.set_network_denied(False)
    control.set_token_lifetime(None)
    control.set_temporary_key_policy(life=5400, issue_for=3600)
    # A key that was made while the clock was ahead would be given out for longer than others.
    control.revoke_temporary_keys()
    identities = (
        emulator.object_id,
        emulator.managed_identity_object_id,
        emulator.user_assigned_object_id,
    )
    for object_id in identities:
        control.remove_role(object_id)
        for role in ("SignalR Service Owner", "Web PubSub Service Owner"):
            control.assign_role(object_id, role)


@pytest.fixture
def fresh_azure() -> Iterator[Azure]:
    """An emulator of its own, for tests that change what cannot be put back."""
    with Emulator() as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()
