"""What ``authorize`` may return and raise, and what becomes of it: the same in every framework."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

import hubpass
from hubpass import InvalidArgumentError
from hubpass.grants import ANONYMOUS, Forbidden, Grant
from integrations.mounts import Framework
from signalr.tokens import verified
from webpubsub.kinds import verified as verified_of_web_pubsub

AUDIENCE = "https://demo.service.signalr.net/client/?hub=chat"
NOW = datetime.now(timezone.utc)


def always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def raising(error: Exception) -> Callable[[Any], Any]:
    def authorize(_: Any) -> Any:
        raise error

    return authorize


def claims_of(answer: Any) -> dict[str, Any]:
    found: dict[str, Any] = verified(answer["accessToken"], AUDIENCE)
    return found


def test_a_user_id_is_a_grant(framework: Framework) -> None:
    mounted = framework.mount(authorize=lambda header: header("x-user"))
    answered = mounted.post(headers={"x-user": "ada"})
    assert answered.status == 200
    assert answered.headers["content-type"] == "application/json"
    assert answered.headers["cache-control"] == "no-store"
    assert set(answered.json) == {"url", "accessToken"}
    assert answered.json["url"] == "https://demo.service.signalr.net/client/?hub=chat"
    assert claims_of(answered.json)["asrs.s.uid"] == "ada"


def test_everything_in_a_grant_reaches_the_token(framework: Framework) -> None:
    ends = NOW + timedelta(minutes=30)
    grant = Grant("ada", claims={"team": 7}, lifetime=timedelta(hours=2), expires_on=ends, close_on_expiration=True)
    claims = claims_of(framework.mount(authorize=always(grant)).post().json)
    assert claims["team"] == 7
    assert claims["exp"] == int(ends.timestamp())
    assert (claims["asrs.s.coae"], claims["asrs.s.aeo"]) == ("true", str(int(ends.timestamp())))


def test_groups_and_roles_reach_the_token_of_web_pubsub(framework: Framework) -> None:
    """A generator, too, which gives its groups once only."""
    client = framework.client("https://demo.webpubsub.azure.com", class_name="WebPubSubServiceClient")
    mounted = framework.mount(
        client=client,
        authorize=lambda _: Grant("ada", roles=["webpubsub.sendToGroup"], groups=(name for name in ("news", "chess"))),
    )
    url = urlsplit(mounted.post().json["url"])
    (token,) = parse_qs(url.query)["access_token"]
    claims = verified_of_web_pubsub(token, "https://demo.webpubsub.azure.com/client/hubs/chat")
    assert (claims["sub"], claims["role"]) == ("ada", ["webpubsub.sendToGroup"])
    assert claims["webpubsub.group"] == ["news", "chess"]


def test_the_lifetime_of_a_grant(framework: Framework) -> None:
    claims = claims_of(framework.mount(authorize=always(Grant("ada", lifetime=timedelta(minutes=3)))).post().json)
    assert claims["exp"] - claims["iat"] == 180


@pytest.mark.parametrize(
    ("authorize", "status", "code"),
    [
        (always(None), 401, "not_signed_in"),
        (raising(Forbidden("the reason")), 403, "forbidden"),
        (always(Grant("ada", expires_on=NOW - timedelta(seconds=1))), 401, "session_expired"),
        (always(Grant("ada", claims={"everything": "x" * 5000})), 413, "token_too_long"),
    ],
    ids=["nobody", "forbidden", "expired", "too-long"],
)
def test_refusals(framework: Framework, authorize: Any, status: int, code: str) -> None:
    answered = framework.mount(authorize=authorize).post()
    assert (answered.status, answered.code) == (status, code)
    assert answered.headers["cache-control"] == "no-store"
    assert b"the reason" not in answered.body


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (True, "bool"),
        (1, "int"),
        ("", "an empty text"),
        ("  ", "an empty text"),
        ({"user_id": "ada"}, "dict"),
        (("ada",), "tuple"),
        (b"ada", "bytes"),
        (ANONYMOUS, "_Anonymous"),
        (Grant, "type"),
    ],
    ids=repr,
)
def test_anything_else_is_a_fault_of_the_application(
    framework: Framework, value: Any, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    answered = framework.mount(authorize=always(value)).post()
    assert (answered.status, answered.code) == (500, "misconfigured")
    (record,) = [record for record in caplog.records if record.name == "hubpass.integrations"]
    assert record.levelno == logging.ERROR
    assert named in record.getMessage()
    assert "Return a user id" in record.getMessage()
    assert answered.json["error"]["id"] in record.getMessage()
    assert "accessToken" not in answered.json


@pytest.mark.parametrize(
    ("grant", "hint"),
    [
        (Grant("ada", claims={"asrs.s.uid": "eve"}), "Rename the claim"),
        (Grant("ada", lifetime=timedelta(days=2)), "lifetime="),
        (Grant("ada", expires_on=datetime(2999, 1, 1)), "timezone.utc"),  # noqa: DTZ001 - what is refused
        (Grant("a\nb"), "str(user.id)"),
        (Grant("ada", roles=["webpubsub.sendToGroup"]), "claims="),
        (Grant("ada", groups=["news"]), "groups_ttl=timedelta(hours=1)"),
    ],
    ids=["claim", "lifetime", "naive", "user", "roles", "groups"],
)
def test_a_grant_that_cannot_be_used(
    framework: Framework, grant: Grant, hint: str, caplog: pytest.LogCaptureFixture
) -> None:
    answered = framework.mount(authorize=always(grant)).post()
    assert (answered.status, answered.code) == (500, "misconfigured")
    assert hint in caplog.text
    assert hint.encode() not in answered.body


@pytest.mark.parametrize(
    "ends",
    [datetime(2999, 1, 1), 4102444800, "2100-01-01T00:00:00Z"],  # noqa: DTZ001 - what is refused
    ids=["naive", "number", "text"],
)
@pytest.mark.parametrize(
    ("endpoint", "class_name"),
    [
        ("https://demo.service.signalr.net", "SignalRServiceClient"),
        ("https://demo.webpubsub.azure.com", "WebPubSubServiceClient"),
    ],
    ids=["signalr", "web_pubsub"],
)
def test_the_end_of_a_session_is_a_time_with_a_zone(
    framework: Framework, endpoint: str, class_name: str, ends: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = framework.client(endpoint, class_name=class_name)
    answered = framework.mount(client=client, authorize=always(Grant("ada", expires_on=ends))).post()
    assert (answered.status, answered.code) == (500, "misconfigured")
    assert "timezone.utc" in caplog.text


def test_only_anonymous_is_anonymous(framework: Framework) -> None:
    answered = framework.mount(authorize=hubpass.ANONYMOUS).post()
    assert answered.status == 200
    assert "asrs.s.uid" not in claims_of(answered.json)


@pytest.mark.parametrize("authorize", [None, "ada", True, Grant("ada")], ids=repr)
def test_authorize_is_a_function(framework: Framework, authorize: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        framework.mount(authorize=authorize)
    assert caught.value.code == "invalid_argument"
    assert "authorize=hubpass.ANONYMOUS" in caught.value.hint


def test_authorize_is_required(framework: Framework) -> None:
    with pytest.raises(TypeError, match="authorize"):
        framework.make(framework.client(), "/chat")


def test_an_async_authorize(framework: Framework) -> None:
    if not framework.asynchronous or framework.name == "fastapi":
        return

    async def authorize(request: Any) -> str | None:
        return framework.header(request, "x-user")

    request = framework.make(framework.client(), "/chat", authorize=authorize)
    assert claims_of(request("POST", "/chat/negotiate", {"x-user": "ada"}).json)["asrs.s.uid"] == "ada"


def test_a_grant_shows_its_user_only() -> None:
    assert repr(Grant("ada", claims={"secret": 1})) == "<Grant user_id='ada'>"
    assert repr(ANONYMOUS) == "hubpass.ANONYMOUS"
