"""Keys that the service has revoked: only the application can hear of it, and says so."""

import pytest

from emulator.support import Azure
from entra.clients import ENDS, RENEWS, Client, Days, Events, assert_accepted, entra_client, requests, wait_until_held
from hubpass import InvalidArgumentError
from signalr.client_kind import ClientKind


@pytest.fixture
def days(azure: Azure) -> Days:
    azure.control.set_token_lifetime(10 * 86400)
    return Days(azure)


def rotated(client: Client, azure: Azure, days: Days) -> tuple[str, str]:
    """A client that has renewed its key once: the old kid and the new one."""
    old = client.kid()
    new = azure.control.rotate_temporary_key()
    days.pass_by(RENEWS + 1)
    client.negotiate("ada")
    client.wait_for(keys_renewed=2)
    assert client.kid() == new
    return old, new


def test_a_reported_key_is_replaced(client_kind: ClientKind, azure: Azure) -> None:
    events = Events()
    client = entra_client(client_kind, azure, on_event=events)
    dead = client.negotiate("ada")
    assert dead.kid is not None
    azure.control.revoke_temporary_keys(dead.kid)
    assert azure.negotiate(dead.access_token).status_code == 401
    assert client.invalidate_key(dead.kid) is True
    assert client.status["ready"] is False
    answer = client.negotiate("ada")
    assert answer.kid != dead.kid
    assert_accepted(azure, answer.access_token)
    assert events.wait_for("key_invalidated").attributes["outcome"] == "dropped"


def test_a_key_that_is_not_in_hand_changes_nothing(client_kind: ClientKind, azure: Azure) -> None:
    events = Events()
    client = entra_client(client_kind, azure, on_event=events)
    assert client.invalidate_key("early") is False
    kid = client.kid()
    for unknown in ("other", kid.upper() + "x", ""):
        assert client.invalidate_key(unknown) is False
    assert client.kid() == kid
    assert requests(azure, "access_key") == 1
    assert events.wait_for("key_invalidated", 4).attributes["outcome"] == "unknown"


@pytest.mark.parametrize("kid", [None, 5, b"kid"])
def test_a_kid_is_a_text(client_kind: ClientKind, azure: Azure, kid: object) -> None:
    with pytest.raises(InvalidArgumentError):
        entra_client(client_kind, azure).invalidate_key(kid)


def test_reports_force_one_fetch_a_minute(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    """Somebody who reports every key that there is must not make us hammer the service."""
    events = Events()
    client = days.client(client_kind, azure, on_event=events)
    assert client.invalidate_key(client.kid()) is True
    azure.control.rotate_temporary_key()
    second = client.kid()
    days.pass_by(59)
    assert client.invalidate_key(second) is False
    assert events.wait_for("key_invalidated", 2).attributes["outcome"] == "too_soon"
    assert client.kid() == second
    assert requests(azure, "access_key") == 2
    days.pass_by(2)
    assert client.invalidate_key(second) is True
    azure.control.rotate_temporary_key()
    assert client.kid() != second
    assert requests(azure, "access_key") == 3


def test_the_limit_counts_for_all_hubs(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    assert client.invalidate_key(client.kid()) is True
    azure.control.rotate_temporary_key()
    assert client.for_hub("other").raw._native.invalidate_key(client.kid()) is False


def test_the_key_before_is_good_again(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    """It signs at once, while the next one is fetched."""
    client = days.client(client_kind, azure)
    old, new = rotated(client, azure, days)
    azure.control.revoke_temporary_keys(new)
    third = azure.control.rotate_temporary_key()
    azure.control.fail_next("access_key", hold=True)
    assert client.invalidate_key(new) is True
    answer = client.negotiate("ada")
    assert answer.kid == old
    assert_accepted(azure, answer.access_token)
    wait_until_held(azure, "access_key")
    azure.control.release()
    client.wait_for(keys_renewed=3)
    assert client.kid() == third


def test_the_key_before_is_too_old(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    old, new = rotated(client, azure, days)
    days.pass_by(ENDS - RENEWS)
    azure.control.rotate_temporary_key()
    assert client.invalidate_key(new) is True
    assert client.status["ready"] is False
    assert client.kid() not in (old, new)


def test_the_key_before_can_be_reported_too(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    old, new = rotated(client, azure, days)
    assert client.invalidate_key(old) is True
    assert client.kid() == new
    assert requests(azure, "access_key") == 2
    azure.control.rotate_temporary_key()
    assert client.invalidate_key(new) is True
    assert client.kid() not in (old, new)


def test_a_reported_key_that_the_service_gives_out_again(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    """It was no lie: the service says that the key is good, and knows better. It is no younger for that."""
    client = days.client(client_kind, azure)
    kid = client.kid()
    days.pass_by(600)
    assert client.invalidate_key(kid) is True
    assert client.kid() == kid
    assert client.status["age"] == pytest.approx(600, abs=1)


def test_a_report_ends_the_pause_after_failures(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    kid = client.kid()
    days.pass_by(RENEWS + 1)
    azure.control.throttle("access_key", retry_after=300)
    assert client.kid() == kid
    client.wait_for(keys_failed=1)
    azure.control.rotate_temporary_key()
    assert client.invalidate_key(kid) is True
    assert client.kid() != kid


def test_an_access_key_has_no_name(client_kind: ClientKind, azure: Azure) -> None:
    client = Client(client_kind.from_connection_string(azure.emulator.connection_string).raw)
    assert client.negotiate("ada").kid is None
    assert client.invalidate_key("kid") is False
