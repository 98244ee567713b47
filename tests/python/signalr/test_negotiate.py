"""Who gets a token, for how long, and what is asked of the arguments that decide it."""

import time
from datetime import date, datetime, timedelta, timezone
from typing import Any

import jwt
import pytest

from hubpass import HubpassError, InvalidArgumentError
from signalr.client_kind import ENDPOINT, AnyClient, ClientKind
from signalr.tokens import own_claims, unverified, verified

DAY = timedelta(hours=24)
AUDIENCE = f"{ENDPOINT}/client/?hub=chat"


def refused(client: AnyClient, *args: Any, code: str, hint: str, **options: Any) -> InvalidArgumentError:
    """The error of a call that has to be refused, with the code and a part of the hint."""
    with pytest.raises(InvalidArgumentError) as caught:
        client.negotiate(*args, **options)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.code == code
    assert hint in error.hint
    assert (error.status, error.retry_after) == (None, None)
    return error


def lifetime_of(token: str) -> int:
    claims = unverified(token)
    seconds: int = claims["exp"] - claims["nbf"]
    return seconds


def test_a_user_id_becomes_the_users_claim(client: AnyClient) -> None:
    before = int(time.time())
    answer = client.negotiate("user-1")
    after = int(time.time())
    assert answer["url"] == f"{ENDPOINT}/client/?hub=chat"
    claims = verified(answer["accessToken"], AUDIENCE)
    assert before <= claims["iat"] <= after
    assert claims["nbf"] == claims["iat"]
    assert claims["exp"] == claims["iat"] + 3600
    assert own_claims(answer["accessToken"]) == {"asrs.s.uid": "user-1"}


def test_anonymous_has_to_be_said_and_has_no_user(client: AnyClient) -> None:
    assert own_claims(client.negotiate(anonymous=True)["accessToken"]) == {}
    assert own_claims(client.negotiate(None, anonymous=True)["accessToken"]) == {}


def test_user_id_by_keyword(client: AnyClient) -> None:
    assert own_claims(client.negotiate(user_id="u")["accessToken"]) == {"asrs.s.uid": "u"}


@pytest.mark.parametrize("args", [(), (None,)], ids=["nothing", "None"])
def test_no_identity_is_refused(client: AnyClient, args: tuple[Any, ...]) -> None:
    refused(client, *args, code="identity_missing", hint="str(user.id)")
    refused(client, *args, code="identity_missing", hint="anonymous=True")
    refused(client, *args, anonymous=False, code="identity_missing", hint="str(user.id)")


@pytest.mark.parametrize("user_id", ["u", "", 7], ids=repr)
def test_a_user_who_is_anonymous_is_refused(client: AnyClient, user_id: Any) -> None:
    refused(client, user_id, anonymous=True, code="identity_conflict", hint="either user_id= or anonymous=True")


@pytest.mark.parametrize(
    "user_id",
    ["", " ", "\t", "\u00a0", "\u2003 \u3000", "a\nb", "a\x00", "\x7f", "\x85", "a\x1b[0m"],
    ids=ascii,
)
def test_a_user_id_that_names_nobody_is_refused(client: AnyClient, user_id: str) -> None:
    error = refused(client, user_id, code="invalid_user_id", hint="str(user.id)")
    assert "anonymous=True" in error.hint


@pytest.mark.parametrize("user_id", [0, 1, 1.5, b"u", bytearray(b"u"), True, False, [], ["u"], {}, object()], ids=repr)
def test_a_user_id_that_is_no_text_is_refused(client: AnyClient, user_id: Any) -> None:
    error = refused(client, user_id, code="invalid_user_id", hint="str(user.id)")
    assert type(user_id).__name__ in error.message


def test_a_lone_surrogate_in_a_user_id_is_named(client: AnyClient) -> None:
    error = refused(client, "a\ud800", code="invalid_user_id", hint="encode")
    assert "surrogate" in error.message


@pytest.mark.parametrize("anonymous", [1, "yes", "True", None, object()], ids=["1", "yes", "True", "None", "object"])
def test_what_merely_looks_true_is_not_anonymous(client: AnyClient, anonymous: Any) -> None:
    refused(client, anonymous=anonymous, code="invalid_argument", hint="anonymous=True or anonymous=False")


@pytest.mark.parametrize("anonymous", [0, "", "False"], ids=repr)
def test_what_merely_looks_false_is_refused_beside_a_user(client: AnyClient, anonymous: Any) -> None:
    refused(client, "u", anonymous=anonymous, code="invalid_argument", hint="anonymous=True or anonymous=False")


@pytest.mark.parametrize(
    "keyword", ["allow_long_lifetime", "close_on_authentication_expiration", "enable_detailed_errors"]
)
@pytest.mark.parametrize("value", [1, 0, "true", None], ids=repr)
def test_other_flags_are_true_or_false_too(client: AnyClient, keyword: str, value: Any) -> None:
    options = {keyword: value}
    refused(client, "u", **options, code="invalid_argument", hint=f"{keyword}=True or {keyword}=False")


@pytest.mark.parametrize("claim", ["sub", "nameid"])
def test_no_claim_smuggles_a_name_into_anonymous(client: AnyClient, claim: str) -> None:
    refused(
        client,
        anonymous=True,
        claims={claim: "mallory"},
        code="claim_names_user",
        hint="user_id= instead of anonymous=True",
    )
    claims = own_claims(client.negotiate("u", claims={claim: "also"})["accessToken"])
    assert claims == {"asrs.s.uid": "u", claim: "also"}


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [(timedelta(seconds=1), 1), (timedelta(minutes=5), 300), (DAY, 86400)],
    ids=["shortest", "ordinary", "longest"],
)
def test_lifetimes_within_bounds(client: AnyClient, lifetime: timedelta, seconds: int) -> None:
    assert lifetime_of(client.negotiate("u", lifetime=lifetime)["accessToken"]) == seconds


@pytest.mark.parametrize(
    "lifetime",
    [
        timedelta(0),
        timedelta(microseconds=999_999),
        timedelta(seconds=-1),
        timedelta.min,
        DAY + timedelta(microseconds=1),
        DAY + timedelta(seconds=1),
        timedelta.max,
    ],
    ids=str,
)
def test_lifetimes_out_of_bounds(client: AnyClient, lifetime: timedelta) -> None:
    refused(client, "u", lifetime=lifetime, code="invalid_lifetime", hint="lifetime=timedelta(hours=1)")
    refused(client, "u", lifetime=lifetime, code="invalid_lifetime", hint="allow_long_lifetime=True")


@pytest.mark.parametrize("lifetime", [3600, 3600.0, "1h", None, True], ids=repr)
def test_a_lifetime_without_a_unit_is_refused(client: AnyClient, lifetime: Any) -> None:
    error = refused(client, "u", lifetime=lifetime, code="invalid_lifetime", hint="lifetime=timedelta(hours=1)")
    assert type(lifetime).__name__ in error.message


def test_a_long_lifetime_has_to_be_meant(client: AnyClient) -> None:
    week = timedelta(days=7)
    refused(
        client,
        "u",
        lifetime=week,
        allow_long_lifetime=False,
        code="invalid_lifetime",
        hint="allow_long_lifetime=True",
    )
    answer = client.negotiate("u", lifetime=week, allow_long_lifetime=True)
    assert lifetime_of(answer["accessToken"]) == 7 * 86400
    for nothing in (timedelta(0), timedelta(seconds=-1)):
        refused(client, "u", lifetime=nothing, allow_long_lifetime=True, code="invalid_lifetime", hint="lifetime=")


def test_a_lifetime_beyond_the_calendar_is_refused(client: AnyClient) -> None:
    """Its end could not be told: datetime knows no year 10,000."""
    refused(
        client,
        "u",
        lifetime=timedelta.max,
        allow_long_lifetime=True,
        code="invalid_lifetime",
        hint="lifetime=",
    )


def test_expires_on_is_the_tokens_end_in_utc(client: AnyClient) -> None:
    answer = client.negotiate("u", lifetime=timedelta(minutes=5))
    assert answer.expires_on == datetime.fromtimestamp(unverified(answer.access_token)["exp"], timezone.utc)
    assert answer.expires_on.utcoffset() == timedelta(0)


def test_the_users_own_session_caps_the_lifetime(client: AnyClient) -> None:
    ends = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(minutes=10)
    capped = client.negotiate("u", authentication_expires_on=ends)
    assert capped.expires_on == ends
    shorter = client.negotiate("u", authentication_expires_on=ends, lifetime=timedelta(minutes=5))
    assert shorter.expires_on < ends
    assert lifetime_of(shorter.access_token) == 300


def test_a_session_end_may_be_in_any_time_zone(client: AnyClient) -> None:
    ends = datetime.now(timezone(timedelta(hours=5, minutes=30))).replace(microsecond=0) + timedelta(minutes=10)
    assert client.negotiate("u", authentication_expires_on=ends).expires_on == ends


@pytest.mark.parametrize(
    "ends",
    [
        datetime(2100, 1, 1),  # noqa: DTZ001 - the missing time zone is the point
        date(2100, 1, 1),
        4102444800,
        "2100-01-01T00:00:00Z",
        timedelta(hours=1),
    ],
    ids=repr,
)
def test_a_session_end_needs_a_time_zone(client: AnyClient, ends: Any) -> None:
    refused(
        client,
        "u",
        authentication_expires_on=ends,
        code="invalid_authentication_expires_on",
        hint="datetime.now(timezone.utc)",
    )


@pytest.mark.parametrize("ago", [timedelta(seconds=1), timedelta(days=365), timedelta(days=100 * 365)], ids=str)
def test_a_session_that_has_ended_gets_no_token(client: AnyClient, ago: timedelta) -> None:
    refused(
        client,
        "u",
        authentication_expires_on=datetime.now(timezone.utc) - ago,
        code="invalid_authentication_expires_on",
        hint="authentication_expires_on=",
    )


def test_closing_at_the_sessions_end(client: AnyClient) -> None:
    ends = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=3)
    answer = client.negotiate("u", close_on_authentication_expiration=True, authentication_expires_on=ends)
    assert own_claims(answer.access_token) == {
        "asrs.s.uid": "u",
        "asrs.s.coae": "true",
        "asrs.s.aeo": str(int(ends.timestamp())),
    }
    assert lifetime_of(answer.access_token) == 3600


def test_closing_at_the_tokens_end_if_no_session_is_known(client: AnyClient) -> None:
    answer = client.negotiate("u", close_on_authentication_expiration=True)
    claims = unverified(answer.access_token)
    assert claims["asrs.s.aeo"] == str(claims["exp"])


@pytest.mark.parametrize(
    ("transports", "mask"),
    [
        (["WebSockets"], "1"),
        (("ServerSentEvents",), "2"),
        ({"WebSockets", "LongPolling"}, "5"),
        (["WebSockets", "WebSockets"], "1"),
        (["LongPolling", "ServerSentEvents", "WebSockets"], "7"),
    ],
    ids=["one", "tuple", "set", "twice", "all"],
)
def test_transports(client: AnyClient, transports: Any, mask: str) -> None:
    for given in (transports, iter(transports)):
        answer = client.negotiate("u", transports=given)
        assert own_claims(answer.access_token) == {"asrs.s.uid": "u", "asrs.s.htt": mask}


@pytest.mark.parametrize(
    "transports",
    ["WebSockets", [], (), ["websockets"], ["WebTransport"], [1], 1, b"WebSockets", ["WebSockets", None]],
    ids=repr,
)
def test_transports_that_do_not_exist(client: AnyClient, transports: Any) -> None:
    refused(client, "u", transports=transports, code="invalid_transports", hint='transports=("WebSockets"')


def test_detailed_errors_are_asked_for(client: AnyClient) -> None:
    answer = client.negotiate("u", enable_detailed_errors=True)
    assert own_claims(answer.access_token) == {"asrs.s.uid": "u", "asrs.s.derror": "True"}


@pytest.mark.parametrize(
    "timeout", [0, -1, float("nan"), float("inf"), "10", True, 10**400, 86401, 1j], ids=lambda t: repr(t)[:9]
)
def test_timeouts_that_are_none(client_kind: ClientKind, timeout: Any) -> None:
    client = client_kind.make()
    refused(client, "u", timeout=timeout, code="invalid_argument", hint="timeout=10.0")
    with pytest.raises(InvalidArgumentError) as caught:
        client.send_to_all("say", timeout=timeout)
    assert (caught.value.code, "timeout=10.0" in caught.value.hint) == ("invalid_argument", True)
    with pytest.raises(InvalidArgumentError) as caught:
        client_kind.make(timeout=timeout)
    assert (caught.value.code, "timeout=10.0" in caught.value.hint) == ("invalid_argument", True)


@pytest.mark.parametrize("timeout", [0.001, 1, 86400, None], ids=repr)
def test_timeouts_that_are_some(client: AnyClient, timeout: Any) -> None:
    assert client.negotiate("u", timeout=timeout).access_token


@pytest.mark.parametrize(
    "keyword",
    ["userid", "userId", "roles", "groups", "expires", "life_time", "anonymus", "claim", "minutes_to_expire"],
)
def test_an_unknown_keyword_of_negotiate_is_a_type_error(client: AnyClient, keyword: str) -> None:
    with pytest.raises(TypeError, match=keyword):
        client.negotiate(**{keyword: "u"})
    with pytest.raises(TypeError, match=keyword):
        client.negotiate("u", **{keyword: "u"})


def test_an_unknown_keyword_of_anything_else_is_a_type_error(client_kind: ClientKind) -> None:
    client = client_kind.make()
    calls: list[Any] = [
        lambda: client_kind.make(clientEndpoint="https://a"),
        lambda: client_kind.from_connection_string("Endpoint=https://a;AccessKey=b", clientEndpoint="https://a"),
        lambda: client.for_hub("chat", application="a"),
        lambda: client.send_to_all("say", exclude=["c"]),
        lambda: client.close(wait=True),
    ]
    for call in calls:
        with pytest.raises(TypeError, match="unexpected keyword"):
            call()


def test_options_are_keywords(client: AnyClient) -> None:
    with pytest.raises(TypeError):
        client.negotiate("u", True)
    with pytest.raises(TypeError):
        client.negotiate("u", {"role": "admin"})


@pytest.mark.parametrize("user_id", [None, "", " ", 0, 0.0, False, b"", [], (), {}, float("nan")], ids=repr)
@pytest.mark.parametrize("anonymous", [None, False, 0, "", "true", 1, [True]], ids=repr)
def test_no_identity_never_becomes_a_token(client: AnyClient, user_id: Any, anonymous: Any) -> None:
    with pytest.raises(HubpassError):
        client.negotiate(user_id, anonymous=anonymous)


def test_the_async_negotiate_does_not_yield_to_the_loop(client_kind: ClientKind) -> None:
    """With a key in hand there is nothing to wait for, and no loop is needed."""
    if client_kind.name == "sync":
        token = client_kind.make().raw.negotiate("u").access_token
    else:
        coroutine = client_kind.make().raw.negotiate("u")
        with pytest.raises(StopIteration) as done:
            coroutine.send(None)
        token = done.value.value.access_token
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}
