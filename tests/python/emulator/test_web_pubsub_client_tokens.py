"""Tokens of Web PubSub clients: every refusal beside the same request without the defect."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from emulator.support import ABSENT, Azure
from emulator.web_pubsub_support import JSON, RELIABLE, PubSub

INVALID = 'Bearer error="invalid_token"'


def described(text: str) -> str:
    return f'{INVALID}, error_description="{text}"'


def on_own_address(pubsub: PubSub, template: str) -> str:
    _, _, port = pubsub.endpoint.rpartition(":")
    return template.replace("{port}", port)


# Each row: what is wrong with the token, and the WWW-Authenticate of the answer.
DEFECTS: dict[str, tuple[dict[str, Any], str]] = {
    "signed by an unknown key": ({"key": "not-the-key-not-the-key-not-the-key"}, "The signature key was not found"),
    "audience of another hub": ({"hub": "other"}, "The audience is invalid"),
    "no audience": ({"aud": ABSENT}, "The audience is invalid"),
    "no exp": ({"exp": ABSENT}, "The token has no expiration"),
    "exp in the past": ({"exp": 1_000_000_000}, "The token is expired"),
    "nbf in the future": ({"exp": 9_999_999_999, "nbf": 9_999_999_998}, "The token is not valid yet"),
    "no algorithm": ({"algorithm": "none"}, "The signature is invalid"),
    "HS512": ({"algorithm": "HS512"}, "The signature is invalid"),
}
BAD_AUDIENCES = {
    "without the port": "http://127.0.0.1/client/hubs/chat",
    "another port": "http://127.0.0.1:1/client/hubs/chat",
    "another host": "http://example.com:{port}/client/hubs/chat",
    "another scheme": "ftp://127.0.0.1:{port}/client/hubs/chat",
    "that of SignalR": "http://127.0.0.1:{port}/client/?hub=chat",
    "that of MQTT": "http://127.0.0.1:{port}/clients/mqtt/hubs/chat",
    "a slash at the end": "http://127.0.0.1:{port}/client/hubs/chat/",
    "a query": "http://127.0.0.1:{port}/client/hubs/chat?x=1",
    "a user": "http://a@127.0.0.1:{port}/client/hubs/chat",
    "no URL": "chat",
}
GOOD_AUDIENCES = {
    "ws": "ws://127.0.0.1:{port}/client/hubs/chat",
    "https": "https://127.0.0.1:{port}/client/hubs/chat",
    "wss, as the portal writes it": "wss://127.0.0.1:{port}/client/hubs/chat",
    "capitals": "HTTP://127.0.0.1:{port}/Client/Hubs/CHAT",
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defective_token_is_refused_and_its_correction_passes(pubsub: PubSub, defect: str) -> None:
    changes, description = DEFECTS[defect]
    answer = pubsub.refused(pubsub.token(**changes))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, described(description))
    assert answer.content == b""
    with pubsub.socket(pubsub.token()):
        pass


@pytest.mark.parametrize("form", BAD_AUDIENCES)
def test_audiences_that_are_not_the_hubs(pubsub: PubSub, form: str) -> None:
    answer = pubsub.refused(pubsub.token(aud=on_own_address(pubsub, BAD_AUDIENCES[form])))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, described("The audience is invalid"))


@pytest.mark.parametrize("form", GOOD_AUDIENCES)
def test_audiences_that_are(pubsub: PubSub, form: str) -> None:
    with pubsub.socket(pubsub.token(aud=on_own_address(pubsub, GOOD_AUDIENCES[form]))):
        pass


def test_hubs_ignore_case(pubsub: PubSub) -> None:
    with pubsub.socket(pubsub.token("CHAT"), path="/client/hubs/Chat"):
        assert [found.hub for found in pubsub.control.connections()] == ["chat"]


def test_the_hub_may_stand_in_the_query(pubsub: PubSub) -> None:
    for path in ("/client/", "/client"):
        with pubsub.socket(pubsub.token(), path=path, query={"hub": "chat"}):
            pass
    assert pubsub.refused(pubsub.token(), path="/client/").status_code == 400
    assert pubsub.refused(pubsub.token(), path="/client/hubs/1chat").status_code == 400


def test_a_changed_payload_is_refused(pubsub: PubSub) -> None:
    header, payload, signature = pubsub.token(sub="ann").split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["sub"] = "eve"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert pubsub.refused(f"{header}.{forged}.{signature}").status_code == 401
    with pubsub.socket(f"{header}.{payload}.{signature}"):
        assert pubsub.control.connections()[0].user_id == "ann"


def test_a_missing_token_is_refused_without_an_error_code(pubsub: PubSub) -> None:
    answer = pubsub.refused(None)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


def test_the_token_of_the_query_wins_over_the_one_of_the_header(pubsub: PubSub) -> None:
    good, bad = pubsub.token(sub="ann"), pubsub.token(key="another-key-another-key-another-key")
    with pubsub.socket(None, headers={"Authorization": f"Bearer {good}"}):
        pass
    with pubsub.socket(good, headers={"Authorization": f"Bearer {bad}"}):
        pass
    assert pubsub.refused(bad, headers={"Authorization": f"Bearer {good}"}).status_code == 401


def test_both_keys_are_good_and_those_of_signalr_are_not(pubsub: PubSub, azure: Azure) -> None:
    for key in (pubsub.key, pubsub.secondary_key):
        with pubsub.socket(pubsub.token(key=key)):
            pass
    assert pubsub.refused(pubsub.token(key=azure.key)).status_code == 401
    assert azure.negotiate(azure.token(key=pubsub.key)).status_code == 401


def test_the_life_of_a_token_follows_the_emulators_clock_and_ends_no_open_connection(pubsub: PubSub) -> None:
    token = pubsub.token()
    with pubsub.client(token) as client:
        pubsub.control.advance_clock(3601)
        answer = pubsub.refused(token)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, described("The token is expired"))
        assert client.is_silent()


@pytest.mark.parametrize(
    ("claims", "user_id", "roles", "groups"),
    [
        ({}, None, (), ()),
        ({"sub": "ann"}, "ann", (), ()),
        ({"sub": 7}, "7", (), ()),
        ({"role": "a"}, None, ("a",), ()),
        ({"role": ["a", "b", "b"], "webpubsub.group": ["y", "x"]}, None, ("a", "b", "b"), ("x", "y")),
        ({"webpubsub.group": "one"}, None, (), ("one",)),
    ],
)
def test_what_the_claims_mean(
    pubsub: PubSub,
    claims: dict[str, Any],
    user_id: str | None,
    roles: tuple[str, ...],
    groups: tuple[str, ...],
) -> None:
    with pubsub.socket(pubsub.token(**claims)):
        (found,) = pubsub.control.connections()
        assert (found.service, found.user_id, found.roles, found.groups) == ("WebPubSub", user_id, roles, groups)


@pytest.mark.parametrize(
    "claims",
    [
        {"webpubsub.group": ""},
        {"webpubsub.group": ["good", "  "]},
        {"webpubsub.group": "x" * 1025},
        {"webpubsub.group": [7]},
        {"role": {"a": 1}},
        {"sub": ["ann", "eve"]},
    ],
    ids=["empty", "blank", "too long", "a number", "an object", "two users"],
)
def test_claims_without_a_meaning_are_a_bad_request(pubsub: PubSub, claims: dict[str, Any]) -> None:
    assert pubsub.refused(pubsub.token(**claims)).status_code == 400
    with pubsub.socket(pubsub.token(groups=["x" * 1024])):
        pass


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        ([JSON], JSON),
        ([RELIABLE], RELIABLE),
        (["chat", RELIABLE, JSON], RELIABLE),
        (["JSON.WebPubSub.Azure.V1"], "JSON.WebPubSub.Azure.V1"),
    ],
    ids=str,
)
def test_the_first_known_subprotocol_is_chosen(pubsub: PubSub, offered: list[str], chosen: str | None) -> None:
    with pubsub.socket(pubsub.token(), subprotocols=offered) as client:
        assert client.websocket.subprotocol == chosen
        assert pubsub.control.connections()[0].subprotocol == chosen


def test_an_unknown_subprotocol_makes_a_client_without_one(pubsub: PubSub) -> None:
    with pubsub.socket(pubsub.token(), subprotocols=["chat"]) as client:
        assert client.websocket.subprotocol is None


@pytest.mark.parametrize("name", ["protobuf.webpubsub.azure.v1", "protobuf.reliable.webpubsub.azure.v1"])
def test_protobuf_is_refused_in_clear_words(pubsub: PubSub, name: str) -> None:
    answer = pubsub.refused(pubsub.token(), subprotocols=[name])
    assert answer.status_code == 501
    assert "protobuf" in answer.text


@pytest.mark.parametrize(
    ("path", "name"), [("/clients/mqtt/hubs/chat", "MQTT"), ("/clients/socketio/hubs/chat", "Socket.IO")]
)
def test_other_kinds_of_clients_are_refused_in_clear_words(pubsub: PubSub, path: str, name: str) -> None:
    answers = [
        pubsub.refused(pubsub.token(), path=path),
        pubsub.azure.http.get(f"{pubsub.endpoint}{path}/?EIO=4&transport=polling"),
    ]
    for answer in answers:
        assert answer.status_code == 501
        assert answer.headers["x-ms-error-code"] == "Error.NotImplemented"
        assert f"does not support {name} clients" in answer.json()["message"]


def test_a_client_that_does_not_ask_for_a_websocket_is_a_bad_request(pubsub: PubSub) -> None:
    answer = pubsub.azure.http.get(f"{pubsub.endpoint}/client/hubs/chat?access_token={pubsub.token()}")
    assert answer.status_code == 400
    assert "WebSocket" in answer.text


def test_disabled_local_authentication_refuses_the_keys(entra: Azure) -> None:
    pubsub = PubSub(entra)
    entra.control.set_local_auth_disabled(True)
    answer = pubsub.refused(pubsub.token())
    assert (answer.status_code, answer.headers["www-authenticate"]) == (
        401,
        described("The signature key was not found"),
    )
    assert pubsub.send().status_code == 401
    with pubsub.socket(pubsub.generated()):
        pass
    entra.control.set_local_auth_disabled(False)
    with pubsub.socket(pubsub.token()):
        pass
