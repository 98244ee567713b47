"""`POST /reset`: everything is as it was at the start, so that one local Azure serves many tests."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from emulator.support import Azure
from emulator.web_pubsub_support import PubSub
from hubpass.emulator import ControlError, Emulator


@pytest.fixture(scope="module")
def own_azure() -> Iterator[Azure]:
    """One that was started with other than the usual settings."""
    with Emulator(service_mode="Default", key_life=100, key_issue_for=50, roles=["SignalR App Server"]) as emulator:
        azure = Azure(emulator)
        yield azure
        azure.close()


def test_settings_are_those_of_the_start(own_azure: Azure) -> None:
    control, emulator = own_azure.control, own_azure.emulator
    before = control.state()
    control.set_service_mode("Serverless")
    control.set_local_auth_disabled(True)
    control.set_network_denied(True)
    control.set_token_lifetime(60)
    control.set_temporary_key_policy(life=1, issue_for=1)
    control.define_role("mine", ["*"])
    control.assign_role(emulator.object_id, "mine")
    control.remove_role(emulator.managed_identity_object_id)
    control.advance_clock(86400)
    control.fail_next("send", status=503)
    control.reset()
    after = control.state()
    assert (after.service_mode, after.local_auth_disabled, after.network_denied) == ("Default", False, False)
    assert (after.key_life, after.key_issue_for, after.token_lifetime) == (100, 50, None)
    assert after.roles == before.roles
    assert (after.clock_offset, after.faults) == (0, ())
    with pytest.raises(ControlError, match="role must be one of"):
        control.assign_role(emulator.object_id, "mine")


def test_nobody_is_connected_and_nothing_remembered(azure: Azure, pubsub: PubSub) -> None:
    key = azure.temporary_key()
    with azure.client() as client, pubsub.client() as web, pubsub.client(subprotocol="reliable") as reliable:
        # One that broke and may come back.
        azure.control.drop_web_pubsub_connection(reliable.connection_id)
        azure.control.wait_for_connections(2)
        azure.control.reset()
        assert azure.control.connections() == ()
        assert "reset" in client.hear()["error"]
        assert web.hear()["message"] == "The local Azure was reset."
    assert azure.negotiate(azure.signed_by(key)).status_code == 401
    assert [entry.route for entry in azure.control.journal()] == ["negotiate"]


def test_what_began_before_is_not_in_the_journal(azure: Azure) -> None:
    azure.control.fail_next("health", hold=True)
    with ThreadPoolExecutor() as pool, azure.client():
        held = pool.submit(azure.http.head, f"{azure.endpoint}/api/health")
        azure.control.wait_until(lambda state: len(state.held) == 1)
        azure.control.reset()
        assert held.result().status_code == 200
    # The end of the connection and of the call have come after the reset, and this call after them.
    assert azure.http.head(f"{azure.endpoint}/api/health").status_code == 200
    assert [entry.route for entry in azure.control.journal()] == ["health"]
