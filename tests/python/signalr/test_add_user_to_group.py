"""What ``add_user_to_group`` sends, and what it refuses to send."""

from datetime import timedelta
from typing import Any

import pytest

from hubpass import ClientClosedError, DeadlineExceededError, InvalidArgumentError, ServiceError
from signalr.client_kind import AnyClient, ClientKind, settle
from signalr.service_double import Answer, ServiceDouble
from signalr.tokens import REGISTERED, verified


class Adder:
    """A client of either kind with this one call."""

    def __init__(self, client: AnyClient) -> None:
        self._client = client

    def add(self, *args: Any, **options: Any) -> None:
        result: None = settle(self._client.raw.add_user_to_group(*args, **options))
        assert result is None

    def close(self) -> None:
        self._client.close()


@pytest.fixture
def adder(client_kind: ClientKind, service: ServiceDouble) -> Adder:
    return Adder(client_kind.make(service.endpoint, "Chat"))


def test_the_request_is_the_documented_one(adder: Adder, service: ServiceDouble) -> None:
    service.answer(Answer(200))
    adder.add("ada", "Group")
    request = service.take()
    assert (request.method, request.path) == ("PUT", "/api/hubs/chat/users/ada/groups/Group")
    assert request.query == [("api-version", "2024-12-01")]
    assert request.body == b""
    # A server may refuse a PUT that does not say how long its body is (RFC 9110, section 8.6).
    assert request.headers["content-length"] == "0"
    claims = verified(request.bearer, f"{service.endpoint}/api/hubs/chat/users/ada/groups/Group")
    assert set(claims) == {"nameid", *REGISTERED}
    assert service.is_idle


@pytest.mark.parametrize(
    ("ttl", "written"), [(timedelta(), "0"), (timedelta(hours=1), "3600"), (timedelta(days=365), "31536000")]
)
def test_a_time_is_in_the_query_and_not_in_the_audience(
    adder: Adder, service: ServiceDouble, ttl: timedelta, written: str
) -> None:
    service.answer(Answer(200))
    adder.add("ada", "g", ttl=ttl)
    request = service.take()
    assert request.query == [("api-version", "2024-12-01"), ("ttl", written)]
    verified(request.bearer, f"{service.endpoint}/api/hubs/chat/users/ada/groups/g")


@pytest.mark.parametrize(
    ("user", "group", "path"),
    [
        ("a/b", "c/d", "a%2Fb/groups/c%2Fd"),
        ("...", "..a", ".../groups/..a"),
        ("%2e%2E", "%2e", "%252e%252E/groups/%252e"),
        ("a?b#c", "%2F", "a%3Fb%23c/groups/%252F"),
        ("é", "\U0001f600", "%C3%A9/groups/%F0%9F%98%80"),
        ("a b", "x" * 1024, "a%20b/groups/" + "x" * 1024),
    ],
    ids=["slash", "dots", "encoded dots", "marks", "unicode", "long"],
)
def test_names_stay_where_they_are_in_the_path(
    adder: Adder, service: ServiceDouble, user: str, group: str, path: str
) -> None:
    service.answer(Answer(200))
    adder.add(user, group)
    request = service.take()
    assert request.target.partition("?")[0] == f"/api/hubs/chat/users/{path}"
    verified(request.bearer, f"{service.endpoint}{request.path}")


def test_application_and_server_endpoint(client_kind: ClientKind, service: ServiceDouble) -> None:
    service.answer(Answer(200))
    client = client_kind.make(
        "https://demo.service.signalr.net", server_endpoint=service.endpoint + "/base", application_name="Shop"
    )
    Adder(client).add("ada", "g", ttl=timedelta(seconds=5))
    request = service.take()
    assert request.path == "/base/api/hubs/chat/users/ada/groups/g"
    assert request.query == [("application", "shop"), ("api-version", "2024-12-01"), ("ttl", "5")]


@pytest.mark.parametrize(
    ("user", "group", "code", "hint"),
    [
        ("", "g", "invalid_user_id", "as text, such as str(user.id)"),
        (" ", "g", "invalid_user_id", "as text, such as str(user.id)"),
        (7, "g", "invalid_user_id", "as text, such as str(user.id)"),
        (None, "g", "invalid_user_id", "as text, such as str(user.id)"),
        # A URL drops them, in any spelling, and the request would be another one.
        ("..", "g", "invalid_user_id", "as text"),
        (".", "g", "invalid_user_id", "as text"),
        ("ada", "..", "invalid_group", "Pass group= with another name"),
        ("ada", ".", "invalid_group", "Pass group= with another name"),
        ("ada", "", "invalid_group", "Pass group= as a text with 1 to 1024 characters."),
        ("ada", " ", "invalid_group", "Pass group= as a text with 1 to 1024 characters."),
        ("ada", "x" * 1025, "invalid_group", "Pass group= as a text with 1 to 1024 characters."),
        ("ada", "\U0001f600" * 513, "invalid_group", "Pass group= as a text with 1 to 1024 characters."),
        ("ada", b"g", "invalid_argument", "group="),
        ("ada", ["g"], "invalid_argument", "group="),
    ],
    ids=repr,
)
def test_names_that_are_none(adder: Adder, service: ServiceDouble, user: Any, group: Any, code: str, hint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        adder.add(user, group)
    assert caught.value.code == code
    assert hint in caught.value.hint
    assert service.is_idle


@pytest.mark.parametrize(
    "ttl", [60, 1.5, "60", timedelta(seconds=-1), timedelta(milliseconds=1500), timedelta.max], ids=repr
)
def test_times_that_are_none(adder: Adder, service: ServiceDouble, ttl: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        adder.add("ada", "g", ttl=ttl)
    assert caught.value.code == "invalid_argument"
    assert "ttl=" in caught.value.hint
    assert service.is_idle


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "unauthorized"), (404, "not_found"), (429, "throttled"), (503, "service_unavailable")],
)
def test_what_the_service_refuses(adder: Adder, service: ServiceDouble, status: int, code: str) -> None:
    service.answer(Answer(status, {"Retry-After": "7"} if status == 429 else {}))
    with pytest.raises(ServiceError) as caught:
        adder.add("ada", "g")
    error = caught.value
    assert (error.code, error.status) == (code, status)
    assert error.hint
    assert error.retry_after == (7 if status == 429 else None)
    # It is not sent again: whoever calls decides.
    service.take()
    assert service.is_idle


def test_the_time_runs_out(adder: Adder, service: ServiceDouble) -> None:
    held = service.hold()
    with pytest.raises(DeadlineExceededError) as caught:
        adder.add("ada", "g", timeout=0.05)
    assert caught.value.code == "deadline_exceeded"
    assert "timeout=" in caught.value.hint
    held.release()


def test_a_closed_client(adder: Adder, service: ServiceDouble) -> None:
    adder.close()
    with pytest.raises(ClientClosedError) as caught:
        adder.add("ada", "g")
    assert caught.value.code == "client_closed"
    assert caught.value.hint
    assert service.is_idle
