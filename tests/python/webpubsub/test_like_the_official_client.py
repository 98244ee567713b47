"""Microsoft's client and ours are given the same, and what they give is compared.

Where the two differ on purpose is the subject of ``test_differences``.
"""

import asyncio
from itertools import product
from typing import Any
from urllib.parse import unquote

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signalr.service_double import ServiceDouble
from webpubsub.kinds import ENDPOINT, KEY, SYNC, WebPubSubKind, token_answer

ENDPOINTS = [
    ENDPOINT,
    "HTTPS://My.Host.COM/",
    "https://my.host.com:8443",
    "https://my.host.com/Base/Path//",
    "http://127.0.0.1:8080",
    "http://localhost:8080",
]
HUBS = ["chat", "Hub1", "a`_,.[x]"]
USERS = [None, "ada", 'Ünïcode 😀 "quoted" \\ + /', "7"]
ROLES = [None, [], ["webpubsub.sendToGroup"], ["b", "a", "b"], ("webpubsub.joinLeaveGroup.x y",)]
GROUPS = [None, [], ["g"], ["ä", "ä", " spaced "]]
MINUTES = [1, 60, 90, 60 * 24 * 400]
PROTOCOLS = ["Default", "default", "MQTT", "mqtt", "SocketIO", "SOCKETIO"]
HEADERS: list[dict[str, Any] | None] = [None, {}, {"kid": "key-1"}, {"typ": "at+jwt", "x": [1, {"y": None}]}]


def options_of(**options: Any) -> dict[str, Any]:
    """Leaves out what is ``None``, which the sync official client takes for a value."""
    return {name: value for name, value in options.items() if value is not None}


def assert_same(ours: dict[str, str], theirs: dict[str, str]) -> None:
    """Two answers with the same URLs, and tokens that say the same and are signed by the same key."""
    assert list(ours) == list(theirs) == ["baseUrl", "token", "url"]
    assert ours["baseUrl"] == theirs["baseUrl"]
    assert ours["url"] == f"{theirs['baseUrl']}?access_token={ours['token']}"
    assert theirs["url"] == f"{theirs['baseUrl']}?access_token={theirs['token']}"
    headers = [jwt.get_unverified_header(answer["token"]) for answer in (ours, theirs)]
    assert headers[0] == headers[1]
    mine, other = (
        jwt.decode(answer["token"], KEY, ["HS256"], options={"verify_aud": False}) for answer in (ours, theirs)
    )
    assert list(mine) == list(other)
    assert abs(mine.pop("iat") - other.pop("iat")) <= 1
    assert abs(mine.pop("exp") - other.pop("exp")) <= 1
    assert mine == other


def test_the_generated_matrix(kind: WebPubSubKind) -> None:
    calls = [
        options_of(user_id=user, roles=roles, groups=groups, minutes_to_expire=minutes, client_protocol=protocol)
        for user, roles, groups, minutes, protocol in product(USERS, ROLES, GROUPS, MINUTES, PROTOCOLS)
    ]
    ours, theirs = kind.make(), kind.official()
    for one, other in zip(answers(kind, ours.raw, calls), answers(kind, theirs.raw, calls), strict=True):
        assert_same(one, other)


def answers(kind: WebPubSubKind, raw: Any, calls: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What a client gives for each call; an async one on one loop."""
    if kind.name == "sync":
        return [raw.get_client_access_token(**options) for options in calls]

    async def one_after_the_other() -> list[dict[str, str]]:
        return [await raw.get_client_access_token(**options) for options in calls]

    return asyncio.run(one_after_the_other())


@pytest.mark.parametrize("hub", HUBS)
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_addresses(kind: WebPubSubKind, endpoint: str, hub: str) -> None:
    ours, theirs = kind.make(endpoint, hub), kind.official(endpoint, hub)
    for protocol in PROTOCOLS:
        assert_same(ours.token(client_protocol=protocol), theirs.token(client_protocol=protocol))


@pytest.mark.parametrize("headers", HEADERS, ids=str)
def test_jwt_headers(kind: WebPubSubKind, headers: dict[str, Any] | None) -> None:
    options = options_of(jwt_headers=headers)
    assert_same(kind.make().token(**options), kind.official().token(**options))
    assert_same(kind.make().token(), kind.official().token())


@pytest.mark.parametrize(
    "text",
    [
        f"Endpoint={ENDPOINT};AccessKey={KEY};Version=1.0;",
        f"Endpoint={ENDPOINT};AccessKey={KEY}",
        f"accesskey={KEY};ENDPOINT={ENDPOINT}/;;version=anything",
        f"Endpoint=http://localhost;Port=8080;AccessKey={KEY};Version=1.0;",
        f"Endpoint=https://my.host.com/;AccessKey={KEY};Port=9443;",
    ],
)
def test_connection_strings(kind: WebPubSubKind, text: str) -> None:
    ours, theirs = kind.from_connection_string(text), kind.official_from_connection_string(text)
    assert_same(ours.token(user_id="ada"), theirs.token(user_id="ada"))
    assert ours.raw._config.endpoint.rstrip("/") == theirs.raw._config.endpoint.rstrip("/")


def test_the_configuration_that_programs_read(kind: WebPubSubKind) -> None:
    credential = kind.credential()
    for made in (
        kind.make("https://a.example", "Hub", credential),
        kind.official("https://a.example", "Hub", credential),
    ):
        found = made.raw._config
        assert (found.endpoint, found.hub, found.api_version) == ("https://a.example", "Hub", "2024-12-01")
        assert found.credential is credential


def test_a_key_that_was_replaced_signs_the_next_token(kind: WebPubSubKind) -> None:
    from azure.core.credentials import AzureKeyCredential

    credential = AzureKeyCredential("first-key-of-the-two-that-this-test-has-00000")
    ours, theirs = kind.make(credential=credential), kind.official(credential=credential)
    ours.token()
    credential.update(KEY)
    assert_same(ours.token(), theirs.token())


# Texts that both clients take: no lone surrogates, and as user ids and roles nothing that cannot be read.
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
READABLE = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=20).filter(str.strip)


OURS, THEIRS = SYNC.make(), SYNC.official()


@given(
    user_id=st.none() | READABLE,
    roles=st.lists(READABLE, max_size=4),
    groups=st.lists(TEXTS.filter(str.strip), max_size=4),
    minutes=st.integers(1, 10_000),
    protocol=st.sampled_from(PROTOCOLS),
)
def test_generated_texts(user_id: str | None, roles: list[str], groups: list[str], minutes: int, protocol: str) -> None:
    options = options_of(
        user_id=user_id, roles=roles, groups=groups, minutes_to_expire=minutes, client_protocol=protocol
    )
    assert_same(OURS.token(**options), THEIRS.token(**options))


# Making an official client takes 50 milliseconds.
@settings(max_examples=25)
@given(
    hub=st.from_regex(r"\A[A-Za-z][A-Za-z0-9_`,.\[\]]{0,20}\Z"),
    port=st.none() | st.integers(1, 65535).filter(lambda port: port != 443),
    path=st.from_regex(r"\A(/[A-Za-z0-9_~-]{1,8}){0,3}/?\Z"),
    protocol=st.sampled_from(PROTOCOLS),
)
def test_generated_addresses(hub: str, port: int | None, path: str, protocol: str) -> None:
    endpoint = f"https://Some.Host{'' if port is None else f':{port}'}{path}"
    ours, theirs = SYNC.make(endpoint, hub), SYNC.official(endpoint, hub)
    assert_same(ours.token(client_protocol=protocol), theirs.token(client_protocol=protocol))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"user_id": "ada b+c&d=é😀"},
        {"roles": ["webpubsub.sendToGroup", "webpubsub.joinLeaveGroup.x&y"]},
        {"groups": ["g/1", "ö ü"], "minutes_to_expire": 5},
        {"user_id": "u", "roles": ["b", "a", "b"], "groups": ["g"], "minutes_to_expire": 90, "client_protocol": "MQTT"},
        {"client_protocol": "SocketIO"},
    ],
)
@pytest.mark.parametrize("hub", HUBS)
def test_what_the_service_is_asked(
    kind: WebPubSubKind, service: ServiceDouble, options: dict[str, Any], hub: str
) -> None:
    """With Entra: the same path, the same parameters in the same order, no body, and the same answer."""
    for _ in range(2):
        service.answer(token_answer())
    mine = kind.make(service.endpoint, hub, kind.credential()).token(**options)
    # Their client sends no token over plain http, not even to this machine, unless it is told to.
    other = kind.official(service.endpoint, hub, kind.credential()).last_token(**options, enforce_https=False)
    ours, theirs = service.take(), service.take()
    assert (ours.method, ours.query, ours.body) == (theirs.method, theirs.query, theirs.body)
    # A comma means the same with and without its escape.
    assert unquote(ours.path) == unquote(theirs.path) == f"/api/hubs/{hub}/:generateToken"
    assert ours.bearer == theirs.bearer == "an-entra-token"
    assert ours.headers["content-length"] == theirs.headers["content-length"] == "0"
    assert mine == other
    assert list(mine) == list(other)
