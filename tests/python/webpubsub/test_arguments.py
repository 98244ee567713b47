"""What goes into a client of Web PubSub, and what is said of what cannot."""

import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import partial
from queue import SimpleQueue
from typing import Any

import jwt
import pytest
from azure.core.credentials import AzureKeyCredential

from hubpass import (
    ClientClosedError,
    Event,
    HubpassWarning,
    InvalidArgumentError,
    TokenTooLongError,
)
from signalr.scripts import run
from signalr.service_double import WATCHDOG, ServiceDouble
from webpubsub.kinds import ASYNC, AUDIENCE, ENDPOINT, KEY, AnyClient, WebPubSubKind, verified


@pytest.fixture
def client(kind: WebPubSubKind) -> AnyClient:
    """A client with a key; nothing listens at its endpoint."""
    return kind.make()


def refused(code: str, hint: str, call: Callable[[], object]) -> InvalidArgumentError:
    with pytest.raises(InvalidArgumentError) as caught:
        call()
    assert caught.value.code == code
    assert hint in caught.value.hint
    return caught.value


def claims_of_negotiate(client: AnyClient, *args: Any, **options: Any) -> dict[str, Any]:
    return verified(client.negotiate(*args, **options)["url"].partition("?access_token=")[2])


def test_negotiate_signs_what_get_client_access_token_signs(client: AnyClient) -> None:
    options: dict[str, Any] = {"roles": ["webpubsub.sendToGroup"], "groups": ["g"], "client_protocol": "mqtt"}
    url = client.negotiate("ada", **options)["url"]
    access = client.access(user_id="ada", **options)
    base, _, token = url.partition("?access_token=")
    assert base == access["baseUrl"] == "wss://demo.webpubsub.azure.com/clients/mqtt/hubs/Chat"
    audience = base.replace("wss", "https")
    mine, other = verified(token, audience), verified(access["token"], audience)
    assert mine["exp"] - mine["iat"] == other["exp"] - other["iat"] == 3600
    del mine["exp"], mine["iat"], other["exp"], other["iat"]
    assert mine == other


def test_who_connects_is_always_said(client: AnyClient) -> None:
    assert claims_of_negotiate(client, "ada")["sub"] == "ada"
    assert "sub" not in claims_of_negotiate(client, anonymous=True)
    refused("identity_missing", "anonymous=True", client.negotiate)
    refused("identity_missing", "anonymous=True", lambda: client.negotiate(None))
    refused("identity_conflict", "either", lambda: client.negotiate("ada", anonymous=True))
    refused("invalid_argument", "anonymous=True or", lambda: client.negotiate(anonymous="yes"))
    for user_id in ("", " ", 7, b"ada", "a\nb", "\udc80"):
        with pytest.raises(InvalidArgumentError) as caught:
            client.negotiate(user_id)
        assert caught.value.code == "invalid_user_id"


@pytest.mark.parametrize("user_id", ["", " ", 7, b"ada", "a\nb", "\udc80"])
def test_user_ids_that_are_none(client: AnyClient, user_id: Any) -> None:
    error = refused("invalid_user_id", "leave it out", lambda: client.token(user_id=user_id))
    assert "anonymous=" not in error.hint


@pytest.mark.parametrize("keyword", ["roles", "groups"])
def test_lists_are_any_iterables_of_texts(client: AnyClient, keyword: str) -> None:
    name = {"roles": "role", "groups": "webpubsub.group"}[keyword]
    full: list[Any] = [["b", "a"], ("b", "a"), iter(["b", "a"]), {"b": 1, "a": 2}]
    for values in full:
        assert claims_of_negotiate(client, "u", **{keyword: values})[name] == ["b", "a"]
    empty: list[Any] = [None, [], (), set()]
    for values in empty:
        assert name not in claims_of_negotiate(client, "u", **{keyword: values})
        assert name not in verified(client.token(**{keyword: values})["token"])


def one_raising() -> Any:
    yield "a"
    raise ZeroDivisionError


@pytest.mark.parametrize(("keyword", "code"), [("roles", "invalid_role"), ("groups", "invalid_group")])
def test_what_is_no_list_of_texts(client: AnyClient, keyword: str, code: str) -> None:
    for values in ("a", "", b"a", 7, [7], [None], ["\udc80"], [["a"]], [" "]):
        refused(code, f"{keyword}=[", partial(client.token, **{keyword: values}))
        refused(code, f"{keyword}=[", partial(client.negotiate, "u", **{keyword: values}))
    with pytest.raises(ZeroDivisionError):
        client.token(**{keyword: one_raising()})


def test_a_group_may_be_as_long_as_the_service_takes(client: AnyClient) -> None:
    assert client.token(groups=["g" * 1024])
    refused("invalid_group", "1024", lambda: client.token(groups=["g" * 1025]))


@pytest.mark.parametrize("minutes", [0, -1, 0.5, 60.0, True, "60", None, 2**31, 2**70, timedelta(hours=1)])
def test_minutes_that_are_none(client: AnyClient, minutes: Any) -> None:
    refused("invalid_lifetime", "minutes_to_expire=60", lambda: client.token(minutes_to_expire=minutes))


def test_minutes_at_their_limits(client: AnyClient) -> None:
    for minutes in (1, 2**31 - 1):
        access = client.access(minutes_to_expire=minutes)
        claims = jwt.decode(access["token"], options={"verify_signature": False})
        assert claims["exp"] - claims["iat"] == minutes * 60
        assert access.expires_on.timestamp() == claims["exp"]


@pytest.mark.parametrize("lifetime", [timedelta(minutes=1), timedelta(seconds=90), timedelta(hours=24)])
def test_lifetimes(client: AnyClient, lifetime: timedelta) -> None:
    claims = claims_of_negotiate(client, "u", lifetime=lifetime)
    assert claims["exp"] - claims["iat"] == lifetime.total_seconds()


@pytest.mark.parametrize(
    "lifetime",
    [timedelta(seconds=59), timedelta(0), -timedelta(hours=1), timedelta(hours=24, seconds=1), 3600, "1h", None],
    ids=str,
)
def test_lifetimes_that_are_none(client: AnyClient, lifetime: Any) -> None:
    refused("invalid_lifetime", "lifetime=timedelta(hours=1)", lambda: client.negotiate("u", lifetime=lifetime))


@pytest.mark.parametrize("protocol", ["", "ws", "Default ", None, 1, b"MQTT"])
def test_protocols_that_are_none(client: AnyClient, protocol: Any) -> None:
    for call in (client.token, partial(client.negotiate, "u")):
        refused("invalid_client_protocol", '"SocketIO"', partial(call, client_protocol=protocol))


@pytest.mark.parametrize("headers", [{"alg": "none"}, {"ALG": 1, "alg": None}, {"kid": 1}, "kid", [("kid", "1")], 7])
def test_headers_that_cannot_be_set(client: AnyClient, headers: Any) -> None:
    refused("invalid_jwt_header", "jwt_headers=", lambda: client.token(jwt_headers=headers))


@pytest.mark.parametrize("headers", [{"x": float("nan")}, {"x": object()}, {1: "a"}, {"x": "\udc80"}])
def test_headers_that_are_no_json(client: AnyClient, headers: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        client.token(jwt_headers=headers)
    assert caught.value.code == "invalid_jwt_header"
    assert "jwt_headers" in caught.value.message
    assert caught.value.hint


def test_a_header_counts_towards_the_length(client: AnyClient) -> None:
    with pytest.raises(TokenTooLongError):
        client.token(jwt_headers={"x": "y" * 4096})


@pytest.mark.parametrize("call", ["get_client_access_token", "negotiate", "warm_up"])
@pytest.mark.parametrize("name", ["role", "group", "user", "hub", "claims", "api_version"])
def test_other_keywords_are_none(client: AnyClient, call: str, name: str) -> None:
    with pytest.raises(TypeError, match=name):
        getattr(client.raw, call)(**{name: "x"})


def test_a_large_token_is_warned_of_once(kind: WebPubSubKind) -> None:
    told: SimpleQueue[Event] = SimpleQueue()
    client = kind.make(on_event=told.put)
    groups = ["g" * 100] * 24
    with pytest.warns(HubpassWarning, match="groups="):
        client.token(groups=groups)
    length = len(client.token(groups=groups)["token"])
    event = told.get(timeout=WATCHDOG)
    assert (event.name, event.attributes) == ("large_token", {"length": length, "limit": 4096})


def test_a_token_at_the_limit(client: AnyClient) -> None:
    with pytest.warns(HubpassWarning):
        length = len(client.token(groups=["g" * 1000] * 2, jwt_headers={"x": "y" * 300})["token"])
    assert 3072 < length <= 4096
    rest = (4096 - length) * 3 // 4
    client.token(groups=["g" * 1000] * 2, jwt_headers={"x": "y" * (300 + rest - 3)})
    with pytest.raises(TokenTooLongError) as caught:
        client.token(groups=["g" * 1000] * 2, jwt_headers={"x": "y" * (300 + rest + 4)})
    assert caught.value.code == "token_too_long"
    assert "4096" in caught.value.message
    assert "groups, 2 of them (" in caught.value.hint


@pytest.mark.parametrize("hub", ["", " ", "1chat", "_chat", "my-chat", "chat/room", "a b", "chät", "a" * 129, "chat\n"])
def test_hubs_that_are_none(kind: WebPubSubKind, client: AnyClient, hub: str) -> None:
    refused("invalid_hub", 'hub="chat"', lambda: kind.make(hub=hub))
    refused("invalid_hub", 'hub="chat"', lambda: client.for_hub(hub))


@pytest.mark.parametrize("argument", ["endpoint", "client_endpoint", "server_endpoint"])
@pytest.mark.parametrize(
    "endpoint",
    ["", "demo", "ftp://a", "https://a b", "https://u:canary@a", "https://a?b", "https://a#b", "https://a;b"],
)
def test_endpoints_that_are_none(kind: WebPubSubKind, argument: str, endpoint: str) -> None:
    hint = f'{argument}="https://<resource>.webpubsub.azure.com"'
    error = refused("invalid_endpoint", hint, lambda: kind.make(**{argument: endpoint}))
    assert "canary" not in str(error)


def test_no_credential_is_the_default_one(kind: WebPubSubKind) -> None:
    assert kind.make(credential=None).status["credential"] == "DefaultAzureCredential"


def test_what_a_client_says_of_itself(kind: WebPubSubKind) -> None:
    client = kind.make("HTTPS://Demo.webpubsub.azure.com:443/", "Chat", client_endpoint="https://edge.example/ps").raw
    assert (client.endpoint, client.hub, client.server_endpoint) == (ENDPOINT, "Chat", ENDPOINT)
    assert client.client_endpoint.rstrip("/") == "https://edge.example/ps"
    assert repr(client) == f"<{kind.module}.WebPubSubServiceClient endpoint='{ENDPOINT}' hub='Chat'>"
    assert client.status() == {"mode": "access_key", "ready": True}


def test_hubs_share_a_key_and_close_on_their_own(kind: WebPubSubKind) -> None:
    credential = AzureKeyCredential("first-key-of-the-two-that-this-test-has-00000")
    first = kind.make(credential=credential)
    second = first.for_hub("Second")
    assert second.raw._config.credential is credential
    credential.update(KEY)
    verified(second.token()["token"], AUDIENCE.replace("Chat", "Second"))
    second.close()
    verified(first.token()["token"])
    assert second.status == {"mode": "access_key", "ready": False}


def test_a_closed_client_is_not_used(kind: WebPubSubKind, client: AnyClient) -> None:
    client.close()
    client.close()
    calls = (client.token, lambda: client.negotiate("u"), client.warm_up, lambda: client.for_hub("b"))
    for call in calls:
        with pytest.raises(ClientClosedError) as caught:
            call()
        assert caught.value.code == "client_closed"
        assert "WebPubSubServiceClient" in caught.value.hint
    assert kind.make().token()


def test_a_key_needs_no_warm_up(kind: WebPubSubKind, service: ServiceDouble) -> None:
    kind.make(service.endpoint).warm_up()
    assert service.is_idle


def test_a_signature_takes_no_turn_of_the_loop() -> None:
    """Nothing but the coroutine itself runs: its first step is its last."""
    raw = ASYNC.make().raw
    for coroutine in (raw.negotiate("u"), raw.get_client_access_token()):
        with pytest.raises(StopIteration) as caught:
            coroutine.send(None)
        assert "url" in caught.value.value


def test_the_machine_s_clock_is_the_one_that_counts(client: AnyClient) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    claims = claims_of_negotiate(client, "u")
    assert before.timestamp() <= claims["iat"] <= datetime.now(timezone.utc).timestamp()


@pytest.mark.skipif(sys.platform == "win32", reason="counts threads through /proc")
def test_making_and_signing_starts_no_thread_and_opens_no_socket(kind: WebPubSubKind) -> None:
    outcome = run(
        f"""
        import asyncio, os
        from azure.core.credentials import AzureKeyCredential
        from {kind.module} import WebPubSubServiceClient
        before = len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))
        client = WebPubSubServiceClient("{ENDPOINT}", "chat", AzureKeyCredential("{KEY}"))
        answer = client.negotiate("u")
        if hasattr(answer, "send"):
            try:
                answer.send(None)
            except StopIteration:
                pass
        print(before == (len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))))
        """
    )
    assert (outcome.code, outcome.output, outcome.errors) == (0, "True\n", "")
