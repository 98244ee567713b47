"""Keys before, during and after a rotation, on clocks that the tests move."""

import json
from datetime import timedelta

import pytest

from emulator.support import Azure, poll
from entra.clients import (
    ENDS,
    PAUSE,
    POLICY,
    RENEWS,
    Days,
    Events,
    assert_accepted,
    connected,
    entra_client,
    requests,
    wait_until_held,
)
from hubpass import KeyPolicy, ServiceError
from signalr.client_kind import ClientKind


@pytest.fixture
def days(azure: Azure) -> Days:
    # Tokens that outlive all keys of a test, so that what a test counts is about keys alone.
    azure.control.set_token_lifetime(10 * 86400)
    return Days(azure)


def test_a_key_signs_until_the_next_is_there(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    """While the renewal is held, calls return at once with the old key; after that the new one signs."""
    client = days.client(client_kind, azure)
    old = client.kid()
    new = azure.control.rotate_temporary_key()
    days.pass_by(RENEWS - 5)
    assert client.kid() == old
    assert requests(azure, "access_key") == 1
    days.pass_by(10)
    azure.control.fail_next("access_key", hold=True)
    assert client.kid() == old
    wait_until_held(azure, "access_key")
    during = [client.negotiate("ada") for _ in range(3)]
    for answer in during:
        assert answer.kid == old
        assert_accepted(azure, answer.access_token)
    assert [held.route for held in azure.control.held()] == ["access_key"]
    azure.control.release()
    client.wait_for(keys_renewed=2)
    after = client.negotiate("ada")
    assert after.kid == new
    assert_accepted(azure, after.access_token)
    # What the old key has signed is still good.
    assert_accepted(azure, during[0].access_token)
    assert requests(azure, "access_key") == 2


def test_a_rotation_a_minute_on_the_machines_own_clock(client_kind: ClientKind, azure: Azure) -> None:
    """Keys that live for two seconds: no clock but the machine's, as in the demo with its 20 seconds."""
    azure.control.set_temporary_key_policy(life=30, issue_for=0.2)
    moment = timedelta(milliseconds=300)
    policy = KeyPolicy(lifetime=timedelta(seconds=2), renew_after=(moment, moment), margin=moment)
    client = entra_client(client_kind, azure, key_policy=policy)
    seen: list[str] = []

    def sees_another() -> bool:
        answer = client.negotiate("ada")
        assert_accepted(azure, answer.access_token)
        if answer.kid not in seen:
            seen.append(str(answer.kid))
        return len(seen) == 5

    poll(sees_another, "no five keys")
    assert requests(azure, "token") == 1


def test_nothing_is_signed_past_the_margin(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    kid = client.kid()
    azure.control.fail_next("access_key", times=1000, status=500)
    days.pass_by(ENDS - 1)
    assert client.kid() == kid
    client.wait_for(keys_failed=1)
    days.pass_by(PAUSE)
    with pytest.raises(ServiceError):
        client.negotiate("ada")
    assert client.status["expires_in"] == 0
    # The service itself would still take the key, for as long as the margin.
    assert [key.alive for key in azure.control.temporary_keys() if key.kid == kid] == [True]


def test_an_answer_expires_with_its_key_if_that_is_sooner(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    client.warm_up()
    sent = azure.control.state().now
    short, long = (client.negotiate("ada", lifetime=timedelta(minutes=minutes)) for minutes in (60, 300))
    assert abs(short.expires_on.timestamp() - sent - 3600) < 60
    assert abs(long.expires_on.timestamp() - sent - 5400) < 60
    days.pass_by(40 * 60)
    later = client.negotiate("ada")
    # The key's end stays where it was, whatever the lifetime of the token.
    assert later.expires_on == long.expires_on


def test_the_key_in_hand_again_is_no_younger(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    azure.control.set_temporary_key_policy(issue_for=100000, life=200000)
    events = Events()
    client = days.client(client_kind, azure, on_event=events)
    kid = client.kid()
    end = client.negotiate("ada", lifetime=timedelta(hours=5)).expires_on
    days.pass_by(RENEWS + 1)
    assert client.kid() == kid
    client.wait_for(keys_unchanged=1)
    assert events.wait_for("key_unchanged").attributes == {"kid": kid}
    status = client.status
    assert status["age"] > RENEWS
    assert status["last_error"]["code"] == "key_unchanged"
    assert client.negotiate("ada", lifetime=timedelta(hours=5)).expires_on == end
    # It is retried after a pause, not at every call.
    assert requests(azure, "access_key") == 2
    days.pass_by(PAUSE)
    assert client.kid() == kid
    client.wait_for(keys_unchanged=2)
    azure.control.rotate_temporary_key()
    days.pass_by(2 * PAUSE)
    assert client.kid() == kid
    client.wait_for(keys_renewed=2)
    assert client.kid() != kid
    assert client.status["last_error"] is None


def test_a_key_that_never_changes_dies_all_the_same(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    azure.control.set_temporary_key_policy(issue_for=100000, life=200000)
    client = days.client(client_kind, azure)
    client.warm_up()
    days.pass_by(ENDS + 1)
    with pytest.raises(ServiceError) as caught:
        client.negotiate("ada")
    assert caught.value.code == "key_unchanged"
    azure.control.rotate_temporary_key()
    days.pass_by(PAUSE)
    assert client.kid()


@pytest.mark.parametrize("jump", [-7 * 86400, -3600, 3600, 7 * 86400])
def test_a_jump_of_the_wall_clock_costs_one_renewal_at_most(
    client_kind: ClientKind, azure: Azure, days: Days, jump: int
) -> None:
    client = days.client(client_kind, azure)
    client.warm_up()
    days.pass_by(600)
    wall = azure.control.state().now + jump
    days.clock.set_wall(wall)
    # The service's clock stays as it is; only ours was wrong, or is now.
    azure.control.rotate_temporary_key()
    assert client.kid()
    assert client.kid()
    assert client.counters["key_requests"] <= 2
    days.clock.set_wall(azure.control.state().now)
    answer = client.negotiate("ada")
    assert_accepted(azure, answer.access_token)
    assert client.counters["key_requests"] <= 3


def test_a_jump_of_the_wall_clock_during_a_pause(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    """The key is too old by one clock, and the service has just said that it is good: one renewal mends that."""
    azure.control.set_temporary_key_policy(issue_for=100000, life=200000)
    client = days.client(client_kind, azure)
    kid = client.kid()
    days.pass_by(RENEWS + 1)
    assert client.kid() == kid
    client.wait_for(keys_unchanged=1)
    days.clock.set_wall(azure.control.state().now + 86400)
    assert client.kid() == kid


def test_two_services_with_keys_of_the_same_name(client_kind: ClientKind, azure: Azure, second_azure: Azure) -> None:
    """Each signs with its own key, although both have the same kid."""
    kid = azure.control.rotate_temporary_key()
    assert second_azure.control.rotate_temporary_key(kid) == kid
    first = entra_client(client_kind, azure)
    second = connected(client_kind, second_azure, second_azure.emulator.entra_connection_string)
    for client, own, other in ((first, azure, second_azure), (second, second_azure, azure)):
        answer = client.negotiate("ada")
        assert answer.kid == kid
        assert_accepted(own, answer.access_token)
        assert other.negotiate(answer.access_token).status_code == 401


def test_status_is_plain_data(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    before = json.loads(json.dumps(client.status))
    assert before == {
        "mode": "entra",
        "ready": False,
        "credential": "ClientSecretCredential",
        "kid": None,
        "age": None,
        "renews_in": None,
        "expires_in": None,
        "last_error": None,
        "counters": {
            "key_requests": 0,
            "keys_renewed": 0,
            "keys_unchanged": 0,
            "keys_refused": 0,
            "keys_failed": 0,
        },
    }
    assert requests(azure, "token") == 0
    kid = client.kid()
    days.pass_by(60)
    during = json.loads(json.dumps(client.status))
    assert (during["ready"], during["kid"]) == (True, kid)
    assert (during["age"], during["renews_in"], during["expires_in"]) == (60, RENEWS - 60, ENDS - 60)
    azure.control.fail_next("access_key", times=1000, status=500)
    days.pass_by(ENDS - 60)
    dead = client.status
    assert (dead["ready"], dead["kid"], dead["renews_in"], dead["expires_in"]) == (False, kid, 0, 0)
    with pytest.raises(ServiceError):
        client.negotiate("ada")
    error = json.loads(json.dumps(client.status))["last_error"]
    assert (error["code"], error["status"]) == ("service_unavailable", 500)
    assert error["message"]
    assert error["hint"]
    azure.control.clear_faults()
    days.pass_by(PAUSE)
    client.warm_up()
    assert client.status["ready"] is True
    assert client.status["last_error"] is None
    client.close()
    assert client.status["ready"] is False


def test_status_with_an_access_key(client_kind: ClientKind, azure: Azure) -> None:
    client = client_kind.from_connection_string(azure.emulator.connection_string)
    assert client.raw.status() == {"mode": "access_key", "ready": True}
    client.close()
    assert client.raw.status() == {"mode": "access_key", "ready": False}


def test_warm_up_is_the_only_thing_that_the_first_call_waits_for(
    client_kind: ClientKind, azure: Azure, days: Days
) -> None:
    client = days.client(client_kind, azure)
    client.warm_up()
    azure.control.fail_next("*", times=1000, status=500)
    client.warm_up()
    assert client.kid()
    assert client.for_hub("other").negotiate("ada").kid
    assert (requests(azure, "token"), requests(azure, "access_key")) == (1, 1)
    assert POLICY.lifetime == timedelta(minutes=90)
