"""One local Azure for most tests; what a test changes is put back, and every test begins with a key of its own."""

from collections.abc import Iterator

import pytest

from emulator.support import Azure
from hubpass.emulator import Emulator


@pytest.fixture(scope="session")
def shared_entra() -> Iterator[Azure]:
    with Emulator() as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()


@pytest.fixture
def azure(shared_entra: Azure) -> Iterator[Azure]:
    _put_back(shared_entra)
    yield shared_entra
    shared_entra.control.clear_faults()
    shared_entra.control.release()


@pytest.fixture
def second_azure() -> Iterator[Azure]:
    """Another service, with an Entra of its own."""
    with Emulator() as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()


def _put_back(azure: Azure) -> None:
    control, emulator = azure.control, azure.emulator
    control.clear_faults()
    control.release()
    control.reset_clock()
    control.set_local_auth_disabled(False)
    control.set_network_denied(False)
    control.set_token_lifetime(None)
    control.set_temporary_key_policy(life=5400, issue_for=3600)
    control.revoke_temporary_keys()
    for object_id in (emulator.object_id, emulator.managed_identity_object_id, emulator.user_assigned_object_id):
        control.remove_role(object_id)
        for role in ("SignalR Service Owner", "Web PubSub Service Owner"):
            control.assign_role(object_id, role)
    control.clear_journal()
