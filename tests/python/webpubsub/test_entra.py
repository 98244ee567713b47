"""With Entra the service signs: what is asked of the credential and of the service, and what their answers mean."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from queue import SimpleQueue
from typing import Any

import jwt
import pytest

from hubpass import (
    DeadlineExceededError,
    Event,
    HubpassError,
    InvalidArgumentError,
    NetworkBlockedError,
    PermissionMissingError,
    ServiceError,
    TokenTooLongError,
)
from signalr.service_double import WATCHDOG, Answer, Held, ServiceDouble
from webpubsub.kinds import ASYNC, SCOPE, SIGNED_BY_THE_SERVICE, AnyClient, WebPubSubKind, token_answer

AT_A_TIME = 32
"""How many tokens a client has the service sign at a time."""


@pytest.fixture
def client(kind: WebPubSubKind, service: ServiceDouble) -> AnyClient:
    return kind.make(service.endpoint, credential=kind.credential())


def test_the_token_of_the_service_comes_in_both_forms(client: AnyClient, service: ServiceDouble) -> None:
    base = f"{service.endpoint.replace('http', 'ws')}/client/hubs/Chat"
    for _ in range(2):
        service.answer(token_answer())
    url = f"{base}?access_token={SIGNED_BY_THE_SERVICE}"
    access = client.access(user_id="ada")
    assert dict(access) == {"baseUrl": base, "token": SIGNED_BY_THE_SERVICE, "url": url}
    answer = client.negotiate("ada")
    assert dict(answer) == {"url": url}
    assert access.expires_on == answer.expires_on == datetime(2100, 1, 1, tzinfo=timezone.utc)
    asked = [service.take().query for _ in range(2)]
    assert asked[0] == asked[1]
    assert ("userId", "ada") in asked[0]


def test_nobody_in_particular_has_no_user_id(client: AnyClient, service: ServiceDouble) -> None:
    for _ in range(2):
        service.answer(token_answer())
    client.token()
    client.negotiate(anonymous=True)
    for _ in range(2):
        assert "userId" not in dict(service.take().query)


@pytest.mark.parametrize(("lifetime", "minutes"), [(60, "1"), (119, "1"), (5400, "90"), (86400, "1440")])
def test_a_lifetime_is_sent_in_whole_minutes(
    client: AnyClient, service: ServiceDouble, lifetime: int, minutes: str
) -> None:
    service.answer(token_answer())
    client.negotiate("ada", lifetime=timedelta(seconds=lifetime))
    assert dict(service.take().query)["minutesToExpire"] == minutes


def test_a_token_that_does_not_say_when_it_expires(client: AnyClient, service: ServiceDouble) -> None:
    service.answer(token_answer("opaque"))
    before = datetime.now(timezone.utc)
    ends = client.access(minutes_to_expire=5).expires_on
    after = datetime.now(timezone.utc)
    assert before - timedelta(seconds=1) <= ends - timedelta(minutes=5) <= after


def test_the_credential_is_asked_once_for_the_scope_of_the_service(kind: WebPubSubKind, service: ServiceDouble) -> None:
    credential = kind.credential()
    client = kind.make(service.endpoint, credential=credential)
    for _ in range(3):
        service.answer(token_answer())
    client.token()
    client.negotiate("ada")
    client.for_hub("other").token()
    assert credential.calls == [SCOPE]
    assert {service.take().bearer for _ in range(3)} == {"an-entra-token"}


def test_the_scope_of_another_cloud(kind: WebPubSubKind, service: ServiceDouble) -> None:
    credential = kind.credential()
    scope = "https://webpubsub.azure.us/.default"
    service.answer(token_answer())
    kind.make(service.endpoint, credential=credential, scope=scope).token()
    assert credential.calls == [scope]
    with pytest.raises(InvalidArgumentError) as caught:
        kind.make(service.endpoint, credential=credential, scope="webpubsub")
    assert SCOPE in caught.value.hint


def test_requests_go_to_the_server_endpoint_and_clients_to_theirs(kind: WebPubSubKind, service: ServiceDouble) -> None:
    client = kind.make(
        "https://demo.webpubsub.azure.com",
        credential=kind.credential(),
        client_endpoint="https://edge.example/ps",
        server_endpoint=f"{service.endpoint}/Inside",
    )
    service.answer(token_answer())
    assert client.token()["baseUrl"] == "wss://edge.example/ps/client/hubs/Chat"
    assert service.take().path == "/Inside/api/hubs/Chat/:generateToken"


def test_a_refused_entra_token_is_renewed_once(kind: WebPubSubKind, service: ServiceDouble) -> None:
    credential = kind.credential()
    service.answer(Answer(401))
    service.answer(token_answer())
    client = kind.make(service.endpoint, credential=credential)
    assert client.token()["token"] == SIGNED_BY_THE_SERVICE
    assert credential.calls == [SCOPE, SCOPE]
    for _ in range(2):
        service.answer(Answer(401))
    with pytest.raises(ServiceError) as caught:
        client.token()
    assert (caught.value.code, caught.value.status) == ("unauthorized", 401)
    assert SCOPE in caught.value.hint
    assert "generate_token" in caught.value.message
    assert len([service.take() for _ in range(4)]) == 4
    assert service.is_idle


@pytest.mark.parametrize(
    ("answer", "of", "code", "hint"),
    [
        (Answer(302, {"Location": "http://127.0.0.1:1/"}), ServiceError, "redirect_refused", "server_endpoint="),
        (Answer(400), ServiceError, "request_refused", "arguments"),
        (
            Answer(403, body=b"<center>nginx</center>"),
            NetworkBlockedError,
            "network_blocked",
            "az webpubsub network-rule",
        ),
        (Answer(404), ServiceError, "not_found", "az webpubsub show"),
        (Answer(429, {"Retry-After": "7"}), ServiceError, "throttled", "az webpubsub update --unit-count"),
        (Answer(500), ServiceError, "service_unavailable", "later"),
        (Answer(202), ServiceError, "unexpected_response", "az webpubsub show"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else "",
)
def test_refusals_say_what_to_change(
    client: AnyClient, service: ServiceDouble, answer: Answer, of: type[HubpassError], code: str, hint: str
) -> None:
    service.answer(answer)
    with pytest.raises(of) as caught:
        client.token()
    assert (caught.value.code, caught.value.status) == (code, answer.status)
    assert hint in caught.value.hint
    assert "signalr" not in str(caught.value).lower()
    assert caught.value.retry_after == (7 if answer.status == 429 else None)
    service.take()
    assert service.is_idle


def test_a_missing_role(kind: WebPubSubKind, service: ServiceDouble) -> None:
    object_id = "11111111-2222-3333-4444-555555555555"
    bearer = jwt.encode({"oid": object_id}, "a key of Entra's own, of 32 bytes")
    service.answer(Answer(403, body=b"{}"))
    with pytest.raises(PermissionMissingError) as caught:
        kind.make(service.endpoint, credential=kind.credential(bearer)).warm_up()
    error = caught.value
    assert (error.code, error.status) == ("permission_missing", 403)
    assert "Microsoft.SignalRService/WebPubSub/clientConnection/generateToken/action" in error.message
    assert object_id in error.message
    assert 'az role assignment create --role "Web PubSub Service Owner"' in error.hint
    assert f"--assignee {object_id}" in error.hint
    assert " or " not in error.hint


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"canary",
        b'{"Token":"canary"}',
        b'{"token":""}',
        b'{"token":null}',
        b'{"token":["canary"]}',
        b'{"token":"canary with blanks"}',
        b'{"token":"canary\\r\\nSet-Cookie: a"}',
        b'{"token":"canary&roles=all"}',
        b'{"token":"can\xffary"}',
        json.dumps({"token": "canary" * 20_000}).encode(),
    ],
    ids=range(13),
)
def test_an_answer_that_is_no_token(client: AnyClient, service: ServiceDouble, body: bytes) -> None:
    service.answer(Answer(200, body=body))
    with pytest.raises(ServiceError) as caught:
        client.token()
    assert (caught.value.code, caught.value.status) == ("unexpected_response", 200)
    assert "az webpubsub show" in caught.value.hint
    assert "canary" not in str(caught.value)


def test_a_token_that_is_long_is_the_business_of_the_service(client: AnyClient, service: ServiceDouble) -> None:
    service.answer(token_answer("x" * 10_000))
    assert len(client.token()["token"]) == 10_000


def test_a_url_that_is_too_long_is_not_sent(client: AnyClient, service: ServiceDouble) -> None:
    with pytest.raises(TokenTooLongError) as caught:
        client.token(roles=["webpubsub.sendToGroup." + "x" * 50] * 200, user_id="ada")
    assert caught.value.code == "token_too_long"
    assert "8000" in caught.value.message
    assert "roles, 200 of them (" in caught.value.hint
    assert service.is_idle


def test_what_is_wrong_with_the_arguments_costs_no_request(client: AnyClient, service: ServiceDouble) -> None:
    wrong: list[dict[str, Any]] = [
        {"user_id": ""},
        {"roles": ""},
        {"groups": [1]},
        {"minutes_to_expire": 0},
        {"client_protocol": None},
        {"timeout": 0},
    ]
    for options in wrong:
        with pytest.raises(InvalidArgumentError):
            client.token(**options)
    assert service.is_idle


def test_the_deadline_ends_the_call_and_its_request(client: AnyClient, service: ServiceDouble) -> None:
    held = service.hold()
    with pytest.raises(DeadlineExceededError) as caught:
        client.token(timeout=1.5)
    assert not held.is_released
    assert (caught.value.code, caught.value.status) == ("deadline_exceeded", None)
    assert "timeout=" in caught.value.hint
    held.wait_until_abandoned()
    service.answer(token_answer())
    assert client.token(timeout=WATCHDOG)["token"]


def test_a_crowd_is_served_in_turns_and_waiting_counts(kind: WebPubSubKind, service: ServiceDouble) -> None:
    """As many as may are under way; one more waits for its turn, and its time runs out before its request is sent."""
    client = kind.make(service.endpoint, credential=kind.credential(), timeout=WATCHDOG)
    first = [service.hold() for _ in range(AT_A_TIME)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        calls = [pool.submit(client.for_hub(f"h{number}").negotiate, "ada") for number in range(AT_A_TIME)]
        for held in first:
            held.wait_until_arrived()
        late = service.hold()
        with pytest.raises(DeadlineExceededError):
            client.negotiate("ada", timeout=1.5)
        assert not any(call.done() for call in calls)
        for _ in range(AT_A_TIME):
            service.take()
        # The request of the one that waited never came: with the others taken there is none.
        assert service.is_idle
        for _ in range(AT_A_TIME):
            service.answer(token_answer())
        for held in first:
            held.release()
        for call in calls:
            assert call.result(timeout=WATCHDOG)["url"]
    late.release()
    service.answer(token_answer())
    assert client.negotiate("ada")["url"]


def test_a_cancelled_call_gives_its_turn_back(service: ServiceDouble) -> None:
    client = ASYNC.make(service.endpoint, credential=ASYNC.credential(), timeout=WATCHDOG).raw
    helds = [service.hold() for _ in range(AT_A_TIME)]

    async def cancel_all() -> None:
        tasks = [asyncio.ensure_future(client.negotiate("ada")) for _ in helds]
        for held in helds:
            await asyncio.to_thread(held.wait_until_arrived)
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(outcome, asyncio.CancelledError)
        service.answer(token_answer())
        assert (await client.negotiate("ada"))["url"]

    asyncio.run(cancel_all())
    assert not any(held.is_released for held in helds)


def test_a_loop_goes_on_while_the_service_thinks(service: ServiceDouble) -> None:
    held: Held = service.hold()
    client = ASYNC.make(service.endpoint, credential=ASYNC.credential(), timeout=WATCHDOG).raw
    service.answer(token_answer())

    async def release_meanwhile() -> str:
        task = asyncio.ensure_future(client.negotiate("ada"))
        await asyncio.to_thread(held.wait_until_arrived)
        assert not task.done()
        held.release()
        return str((await task)["url"])

    assert asyncio.run(release_meanwhile()).endswith(SIGNED_BY_THE_SERVICE)


def test_warm_up_has_the_service_sign_for_nobody(client: AnyClient, service: ServiceDouble) -> None:
    service.answer(token_answer())
    client.warm_up()
    assert service.take().query == [
        ("minutesToExpire", "1"),
        ("api-version", "2024-12-01"),
        ("clientType", "Default"),
    ]
    assert service.is_idle


def test_status_tells_of_the_entra_token(client: AnyClient, service: ServiceDouble) -> None:
    name = type(client.raw._config.credential).__name__
    before = client.status
    assert before == {
        "mode": "entra",
        "ready": False,
        "credential": name,
        "age": None,
        "renews_in": None,
        "expires_in": None,
        "last_error": None,
    }
    service.answer(token_answer())
    client.warm_up()
    status = client.status
    assert status["ready"]
    assert 0 <= status["age"] < WATCHDOG
    assert 0 < status["renews_in"] <= 86400 / 2
    assert 86000 < status["expires_in"] <= 86400
    client.close()
    assert client.status["ready"] is False


def test_status_tells_why_there_is_no_entra_token(kind: WebPubSubKind, service: ServiceDouble) -> None:
    client = kind.make(service.endpoint, credential=kind.credential(""))
    with pytest.raises(ServiceError) as caught:
        client.warm_up()
    assert caught.value.code == "identity_unavailable"
    assert client.status["last_error"]["code"] == "identity_unavailable"
    assert service.is_idle


def test_what_a_credential_raises_is_the_cause(kind: WebPubSubKind, service: ServiceDouble) -> None:
    class BoomError(Exception):
        """What a broken credential raises."""

    def boom(*_: str, **__: object) -> None:
        raise BoomError

    async def boom_async(*_: str, **__: object) -> None:
        raise BoomError

    credential = kind.credential()
    credential.get_token = boom_async if kind.name == "async" else boom
    with pytest.raises(ServiceError) as caught:
        kind.make(service.endpoint, credential=credential).token()
    assert isinstance(caught.value.__cause__, BoomError)
    assert "--resource https://webpubsub.azure.com" in caught.value.hint


def test_failures_and_their_end_are_told(kind: WebPubSubKind, service: ServiceDouble) -> None:
    events: SimpleQueue[Event] = SimpleQueue()
    client = kind.make(service.endpoint, credential=kind.credential(), on_event=events.put)
    service.answer(Answer(500))
    for _ in range(2):
        service.answer(token_answer())
    with pytest.raises(ServiceError):
        client.token()
    client.token()
    client.token()
    told = [events.get(timeout=WATCHDOG) for _ in range(3)]
    assert [event.name for event in told] == ["token_renewed", "request_failed", "request_succeeded"]
    assert told[1].attributes == {"operation": "generate_token", "code": "service_unavailable", "status": 500}
    assert told[2].attributes == {"operation": "generate_token"}
