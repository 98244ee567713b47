"""Renewals that fail: the key in hand goes on to sign, one record tells of it, and all recovers by itself."""

import logging
from typing import Any

import pytest

from emulator.support import Azure, poll
from entra.clients import ENDS, PAUSE, RENEWS, Client, Days, Events, requests
from hubpass import HubpassError, PermissionMissingError, ServiceError
from signalr.client_kind import ClientKind

LONG = 400
"""Seconds after which even a pause that the service asks for is over."""


@pytest.fixture(autouse=True)
def every_record(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hubpass")


@pytest.fixture
def days(azure: Azure) -> Days:
    azure.control.set_token_lifetime(10 * 86400)
    return Days(azure)


FAILURES: dict[str, tuple[dict[str, Any], str, int | None]] = {
    "500": ({"status": 500}, "service_unavailable", 500),
    "503": ({"status": 503, "retry_after": 9}, "service_unavailable", 503),
    "429": ({"status": 429, "retry_after": 120}, "throttled", 429),
    "401": ({"status": 401}, "unauthorized", 401),
    "404": ({"status": 404}, "not_found", 404),
    "302": ({"status": 302, "headers": {"location": "https://login.example/"}}, "redirect_refused", 302),
    "dropped": ({"drop": True}, "connection_failed", None),
    "garbage": ({"garbage": True}, "unexpected_response", 200),
    "html": ({"status": 200, "body": "<html>sign in</html>"}, "unexpected_response", 200),
    "empty": ({"status": 200, "body": "{}"}, "unexpected_response", 200),
    "no key": ({"status": 200, "body": '{"KeyId": "k", "AccessKey": ""}'}, "unexpected_response", 200),
    "too long": ({"status": 200, "body": " " * 70000}, "unexpected_response", 200),
}


def warnings_of(caplog: pytest.LogCaptureFixture, name: str) -> list[str]:
    return [found.getMessage() for found in caplog.records if found.name == name and found.levelno == logging.WARNING]


def renewals_fail(client: Client, days: Days, kid: str) -> None:
    """Three renewals, each after its pause; calls meanwhile never wait and never fail."""
    days.pass_by(RENEWS + 1)
    for failures in (1, 2, 3):
        assert client.kid() == kid
        client.wait_for(keys_failed=failures)
        asked = client.counters["key_requests"]
        for _ in range(3):
            assert client.kid() == kid
        assert client.counters["key_requests"] == asked
        days.pass_by(LONG)


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failed_renewal_leaves_the_key(
    client_kind: ClientKind, azure: Azure, days: Days, caplog: pytest.LogCaptureFixture, failure: str
) -> None:
    fault, code, status = FAILURES[failure]
    events = Events()
    client = days.client(client_kind, azure, on_event=events)
    kid = client.kid()
    azure.control.rotate_temporary_key()
    azure.control.fail_next("access_key", times=10000, **fault)
    renewals_fail(client, days, kid)
    event = events.wait_for("key_failed", 3)
    assert (event.attributes["code"], event.attributes["status"]) == (code, status)
    assert len(warnings_of(caplog, "hubpass.keys")) == 1

    days.pass_by(ENDS)
    with pytest.raises(ServiceError) as caught:
        client.negotiate("ada")
    assert (caught.value.code, caught.value.status) == (code, status)
    # From now on until the pause is over nobody waits, and nobody asks.
    asked = requests(azure, "access_key")
    with pytest.raises(ServiceError) as again:
        client.negotiate("ada", timeout=0.001)
    assert (again.value.code, again.value.status) == (code, status)
    assert again.value.hint == caught.value.hint
    assert again.value.retry_after is not None
    assert 0 < again.value.retry_after <= 300
    assert requests(azure, "access_key") == asked
    assert client.status["last_error"]["code"] == code

    azure.control.clear_faults()
    days.pass_by(LONG)
    assert client.kid() not in (None, kid)
    assert client.status["last_error"] is None
    events.wait_for("key_renewed", 2)
    poll(lambda: any(found.levelno == logging.INFO for found in caplog.records), "no record of the recovery")
    records = [found for found in caplog.records if found.name == "hubpass.keys" and found.levelno >= logging.INFO]
    assert [found.levelno for found in records] == [logging.WARNING, logging.INFO]


def test_a_role_that_is_taken_away(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    kid = client.kid()
    azure.control.remove_role(azure.emulator.object_id)
    renewals_fail(client, days, kid)
    days.pass_by(ENDS)
    with pytest.raises(PermissionMissingError):
        client.negotiate("ada")
    azure.control.assign_role(azure.emulator.object_id, "SignalR App Server")
    days.pass_by(LONG)
    assert client.kid() != kid


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "retry_after": 60}, {"drop": True}])
def test_tokens_that_fail_leave_the_key(
    client_kind: ClientKind, azure: Azure, caplog: pytest.LogCaptureFixture, fault: dict[str, Any]
) -> None:
    days = Days(azure)
    client = days.client(client_kind, azure)
    kid = client.kid()
    days.pass_by(3599)
    azure.control.fail_next("token", times=10000, **fault)
    for failures in (1, 2):
        assert client.kid() == kid
        client.wait_for(keys_failed=failures)
        days.pass_by(LONG)
    assert len(warnings_of(caplog, "hubpass.identity")) == 1
    days.pass_by(ENDS)
    with pytest.raises(ServiceError) as caught:
        client.negotiate("ada")
    assert "Entra" in caught.value.message
    azure.control.clear_faults()
    days.pass_by(LONG)
    assert client.kid() != kid


def test_the_service_says_when_to_come_back(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    azure.control.throttle("access_key", retry_after=100)
    with pytest.raises(ServiceError) as caught:
        client.warm_up()
    assert caught.value.code == "throttled"
    assert caught.value.retry_after is not None
    days.pass_by(99)
    with pytest.raises(ServiceError) as again:
        client.warm_up()
    assert again.value.retry_after is not None
    assert again.value.retry_after < 30
    assert requests(azure, "access_key") == 1
    days.pass_by(26)
    client.warm_up()
    assert requests(azure, "access_key") == 2


def test_retry_after_has_a_limit(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    client = days.client(client_kind, azure)
    azure.control.throttle("access_key", retry_after=86400)
    with pytest.raises(ServiceError):
        client.warm_up()
    days.pass_by(301)
    client.warm_up()


def test_pauses_grow_and_end(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    """5 seconds, doubled up to 30, less a quarter at most; after a success they begin anew."""
    client = days.client(client_kind, azure)
    for _ in range(2):
        azure.control.fail_next("access_key", times=10000, status=500)
        for longest in (5, 10, 20, 30, 30):
            for _ in range(2):
                with pytest.raises(ServiceError) as caught:
                    client.negotiate("ada")
                assert caught.value.retry_after is not None
                assert longest * 0.75 <= caught.value.retry_after <= longest
            days.pass_by(longest)
        azure.control.clear_faults()
        client.warm_up()
        days.pass_by(ENDS)


def test_trouble_in_the_background_wakes_no_call(client_kind: ClientKind, azure: Azure, days: Days) -> None:
    """An exception in a callback is no trouble of the client either."""
    client = days.client(client_kind, azure)
    kid = client.kid()
    days.pass_by(RENEWS + PAUSE)
    azure.control.fail_next("access_key", drop=True)
    answers = {client.kid() for _ in range(10)}
    client.wait_for(keys_failed=1)
    assert answers == {kid}
    with pytest.raises(HubpassError):
        client.negotiate("ada", lifetime=-1)
