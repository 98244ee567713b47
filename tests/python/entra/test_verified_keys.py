"""Keys that prove themselves before they sign for users."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from emulator.support import Azure
from entra.clients import PAUSE, Days, Events, assert_accepted, entra_client, requests, wait_until_held
from hubpass import InvalidArgumentError, ServiceError
from signalr.client_kind import ClientKind
from signalr.service_double import WATCHDOG

UNKNOWN_KEY = {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The signature key was not found"'}
LATE = {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token expired at 01/01/2026"'}
ELSEWHERE = {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The audience is invalid"'}


def test_a_key_proves_itself_once_and_then_signs(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure, verify_keys=True)
    answers = [client.negotiate("ada") for _ in range(3)]
    (proof,) = azure.control.journal("negotiate")
    assert (proof.status, proof.hub, proof.user_id) == (200, "chat", None)
    assert requests(azure, "access_key") == 1
    assert client.counters["keys_refused"] == 0
    for answer in answers:
        assert_accepted(azure, answer.access_token)


def test_nothing_is_proved_unless_it_is_asked_for(client_kind: ClientKind, azure: Azure) -> None:
    for options in ({}, {"verify_keys": False}):
        entra_client(client_kind, azure, **options).negotiate("ada")
    assert requests(azure, "negotiate") == 0


def test_the_application_is_part_of_the_proof(client_kind: ClientKind, azure: Azure) -> None:
    client = entra_client(client_kind, azure, verify_keys=True, application_name="Shop")
    client.negotiate("ada")
    assert [call.hub for call in azure.control.journal("negotiate")] == ["shop_chat"]


def test_no_user_gets_a_token_before_the_proof(client_kind: ClientKind, azure: Azure) -> None:
    """The key is revoked while its proof is on its way: the service refuses it by itself, and it never signs."""
    days = Days(azure)
    events = Events()
    client = days.client(client_kind, azure, on_event=events, verify_keys=True)
    azure.control.fail_next("negotiate", hold=True)
    with ThreadPoolExecutor(1) as pool:
        warming = pool.submit(client.warm_up)
        wait_until_held(azure, "negotiate")
        assert client.status["kid"] is None
        assert not warming.done()
        dead = azure.control.temporary_keys()[-1].kid
        azure.control.revoke_temporary_keys()
        azure.control.release()
        warming.result(WATCHDOG)
    assert events.wait_for("key_refused").attributes == {"kid": dead}
    answer = client.negotiate("ada")
    assert answer.kid not in {None, dead}
    assert_accepted(azure, answer.access_token)
    assert client.counters["keys_refused"] == 1
    assert requests(azure, "access_key") == 2


def test_two_refusals_are_an_error_with_a_pause(client_kind: ClientKind, azure: Azure) -> None:
    days = Days(azure)
    client = days.client(client_kind, azure, verify_keys=True)
    azure.control.fail_next("negotiate", times=2, status=401, headers=UNKNOWN_KEY)
    with pytest.raises(ServiceError) as caught:
        client.negotiate("ada")
    error = caught.value
    assert (error.code, error.status) == ("key_refused", 401)
    assert "server_endpoint=" in error.hint
    assert error.retry_after is None or error.retry_after > 0
    with pytest.raises(ServiceError) as again:
        client.negotiate("ada")
    assert (again.value.code, requests(azure, "access_key")) == ("key_refused", 2)
    days.pass_by(PAUSE)
    assert_accepted(azure, client.negotiate("ada").access_token)


def test_a_refused_renewal_leaves_the_key_in_hand(client_kind: ClientKind, azure: Azure) -> None:
    days = Days(azure)
    client = days.client(client_kind, azure, verify_keys=True)
    kid = client.kid()
    azure.control.rotate_temporary_key()
    days.pass_by(50 * 60)
    azure.control.fail_next("negotiate", times=2, status=401, headers=UNKNOWN_KEY)
    assert client.kid() == kid
    client.wait_for(keys_failed=1)
    assert client.counters["keys_refused"] == 2
    assert client.kid() == kid


def test_the_key_in_hand_is_dropped_if_it_is_the_one_that_was_refused(client_kind: ClientKind, azure: Azure) -> None:
    """The service answers the renewal with the key in hand, and refuses it: it signs no more."""
    days = Days(azure)
    client = days.client(client_kind, azure, verify_keys=True)
    azure.control.set_temporary_key_policy(life=5400, issue_for=5400)
    kid = client.kid()
    days.pass_by(50 * 60)
    azure.control.fail_next("negotiate", times=2, status=401, headers=UNKNOWN_KEY)
    assert client.kid() == kid
    client.wait_for(keys_failed=1)
    assert (client.status["kid"], client.status["ready"]) == (None, False)
    with pytest.raises(ServiceError) as caught:
        client.negotiate("ada")
    assert caught.value.code == "key_refused"


@pytest.mark.parametrize(
    ("fault", "code", "hint"),
    [
        ({"status": 403}, "network_blocked", "--allow ClientConnection"),
        ({"status": 503}, "unexpected_response", "signs all the same"),
        ({"status": 429}, "unexpected_response", "signs all the same"),
        ({"status": 404}, "unexpected_response", "signs all the same"),
        ({"status": 401, "headers": LATE}, "unauthorized", "timedatectl set-ntp true"),
        ({"status": 401, "headers": ELSEWHERE}, "unauthorized", "ServerEndpoint="),
        ({"drop": True}, "connection_failed", "server_endpoint="),
    ],
    ids=["network", "outage", "throttled", "elsewhere", "clock", "audience", "broken"],
)
def test_what_says_nothing_about_the_key_does_not_condemn_it(
    client_kind: ClientKind, azure: Azure, fault: dict[str, Any], code: str, hint: str
) -> None:
    events = Events()
    client = entra_client(client_kind, azure, on_event=events, verify_keys=True)
    azure.control.fail_next("negotiate", **fault)
    answer = client.negotiate("ada")
    assert_accepted(azure, answer.access_token)
    unproven = events.wait_for("key_unproven").attributes
    assert (unproven["kid"], unproven["code"]) == (answer.kid, code)
    assert hint in str(unproven["hint"])
    assert requests(azure, "access_key") == 1


def test_a_proof_that_hangs_does_not_hang_the_caller(client_kind: ClientKind, azure: Azure) -> None:
    """The caller has its token before the service lets go of its answer to the proof."""
    events = Events()
    client = entra_client(client_kind, azure, on_event=events, verify_keys=True, timeout=30)
    azure.control.fail_next("negotiate", hold=True)
    answer = client.negotiate("ada")
    assert events.wait_for("key_unproven").attributes["code"] == "deadline_exceeded"
    azure.control.release()
    assert_accepted(azure, answer.access_token)


def test_only_true_and_false_are_taken(client_kind: ClientKind, azure: Azure) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        entra_client(client_kind, azure, verify_keys="no")
    assert (caught.value.code, caught.value.hint) == (
        "invalid_argument",
        "Pass verify_keys=True or verify_keys=False, not str.",
    )
