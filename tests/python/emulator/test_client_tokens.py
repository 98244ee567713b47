"""Tokens of clients: every refusal beside the same request without the defect."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from emulator.support import ABSENT, Azure

INVALID = 'Bearer error="invalid_token"'


def described(text: str) -> str:
    return f'{INVALID}, error_description="{text}"'


# Each row: what is wrong with the token, and the service's WWW-Authenticate.
DEFECTS: dict[str, tuple[dict[str, Any], str]] = {
    "signed by an unknown key": (
        {"key": "not-the-key-not-the-key-not-the-key"},
        "The signature key was not found",
    ),
    "audience of another hub": ({"hub": "other"}, "The audience is invalid"),
    "audience with the hub in another case": ({"hub": "Chat"}, "The audience is invalid"),
    "audience of another host": ({"aud": "http://example.com/client/?hub=chat"}, "The audience is invalid"),
    "audience of another scheme": ({"aud": "https://127.0.0.1/client/?hub=chat"}, "The audience is invalid"),
    "audience with a path of Web PubSub": (
        {"aud": "http://127.0.0.1/client/hubs/chat"},
        "The audience is invalid",
    ),
    "audience without the slash": ({"aud": "http://127.0.0.1/client?hub=chat"}, "The audience is invalid"),
    "audience with a further query": (
        {"aud": "http://127.0.0.1/client/?hub=chat&a=b"},
        "The audience is invalid",
    ),
    "audience with a user": ({"aud": "http://a@127.0.0.1/client/?hub=chat"}, "The audience is invalid"),
    "audience that is no URL": ({"aud": "chat"}, "The audience is invalid"),
    "no audience": ({"aud": ABSENT}, "The audience is invalid"),
    "list of wrong audiences": ({"aud": ["chat", 7]}, "The audience is invalid"),
    "no exp": ({"exp": ABSENT}, "The token has no expiration"),
    "exp that is a text": ({"exp": "9999999999"}, "The token lifetime is invalid"),
    "exp in the past": ({"exp": 1_000_000_000}, "The token is expired"),
    "nbf in the future": ({"exp": 9_999_999_999, "nbf": 9_999_999_998}, "The token is not valid yet"),
    "nbf after exp": ({"nbf": 9_999_999_999}, "The token lifetime is invalid"),
    "an algorithm that is not HMAC's": ({"algorithm": "none"}, "The signature is invalid"),
    "an HMAC that the service does not use": ({"algorithm": "HS384"}, "The signature is invalid"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defective_token_is_refused_and_its_correction_passes(azure: Azure, defect: str) -> None:
    changes, description = DEFECTS[defect]
    bad, good = azure.token(**changes), azure.token()
    for answer in (azure.negotiate(bad), azure.refused_socket(bad)):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == described(description)
        assert answer.content == b""
    assert azure.negotiate(good).status_code == 200
    with azure.client(good):
        pass


@pytest.mark.parametrize(
    ("form", "header"),
    [
        ("placeholder", INVALID),
        ("{key}", INVALID),
        ("{header}.{payload}", INVALID),
        ("{header}.{payload}.{signature}.more", INVALID),
        ("{header}.{payload}.{signature}=", described("The signature is invalid")),
        ("e30.W10.AAAA", INVALID),
        ("e30.bm90IGpzb24.AAAA", INVALID),
        ("e30.{payload}.{signature}", described("The signature is invalid")),
        ("{header}.{payload}.AAAAA", described("The signature is invalid")),
    ],
    ids=[
        "a word",
        "the key itself",
        "no signature",
        "four parts",
        "padding",
        "no object",
        "no JSON",
        "a header without an algorithm",
        "a length that base64 cannot have",
    ],
)
def test_what_is_no_token_is_refused(azure: Azure, form: str, header: str) -> None:
    good = azure.token()
    parts = dict(zip(("header", "payload", "signature"), good.split("."), strict=True))
    answer = azure.negotiate(form.format(key=azure.key, **parts))
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, header)
    assert azure.negotiate(good).status_code == 200


def test_a_changed_payload_is_refused(azure: Azure) -> None:
    header, payload, signature = azure.user_token({"asrs.s.uid": "ann"}).split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["asrs.s.uid"] = "eve"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    assert azure.negotiate(f"{header}.{forged}.{signature}").status_code == 401
    assert azure.negotiate(f"{header}.{payload}.{signature}").status_code == 200


def test_a_missing_token_is_refused_without_an_error_code(azure: Azure) -> None:
    for answer in (azure.negotiate(None), azure.refused_socket(None)):
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert azure.negotiate(azure.token()).status_code == 200


def test_another_scheme_is_no_bearer(azure: Azure) -> None:
    token = azure.token()
    answer = azure.negotiate(None, headers={"Authorization": f"SharedAccessSignature {token}"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    # The name of a scheme ignores case.
    assert azure.negotiate(None, headers={"Authorization": f"bearer {token}"}).status_code == 200


def test_two_bearers_are_refused(azure: Azure) -> None:
    bearer = ("Authorization", f"Bearer {azure.token()}")
    url = f"{azure.endpoint}/client/negotiate?hub=chat"
    assert azure.http.post(url, headers=[bearer, bearer]).status_code == 401
    assert azure.http.post(url, headers=[bearer]).status_code == 200


def test_negotiate_reads_no_token_from_the_query_but_a_websocket_does(azure: Azure) -> None:
    token = azure.token()
    assert azure.negotiate(None, f"hub=chat&access_token={token}").status_code == 401
    assert azure.negotiate(token, "hub=chat").status_code == 200
    with azure.client(token):
        pass


def test_a_websocket_prefers_its_header_to_its_query(azure: Azure) -> None:
    good, bad = azure.token(), azure.token("other")
    assert azure.refused_socket(good, headers={"Authorization": f"Bearer {bad}"}).status_code == 401
    with azure.socket(bad, headers={"Authorization": f"Bearer {good}"}) as client:
        client.shake_hands()


def padded_token(azure: Azure, length: int) -> str:
    """A token of exactly `length` characters. Base64 grows in steps, so a second claim evens them out."""
    for extra in range(8):
        for filler in range(length * 3 // 4 - 400, length * 3 // 4):
            token = azure.token(a="x" * filler, b="y" * extra, exp=9_999_999_999)
            if len(token) == length:
                return token
            if len(token) > length:
                break
    raise AssertionError("no padding gives this length")


def test_the_limit_of_4096_characters(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    state = azure.control.state()
    monkeypatch.setattr(azure.control, "state", lambda: state)
    fits, too_long = padded_token(azure, 4096), padded_token(azure, 4097)
    assert azure.negotiate(fits).status_code == 200
    with azure.client(fits):
        pass
    assert azure.negotiate(too_long).status_code == 413
    assert azure.refused_socket(too_long).status_code == 413
    # The URL of a WebSocket grows with the token and must not hit another limit first.
    assert azure.refused_socket(padded_token(azure, 20_000)).status_code == 413


@pytest.mark.parametrize("kid", [None, "anything", "-1234567890"])
@pytest.mark.parametrize("algorithm", ["HS256", "HS512"])
def test_any_kid_passes_if_one_of_the_static_keys_signed(azure: Azure, kid: str | None, algorithm: str) -> None:
    headers = None if kid is None else {"kid": kid}
    for key in (azure.key, azure.secondary_key):
        token = azure.token(key=key, algorithm=algorithm, headers=headers)
        assert azure.negotiate(token).status_code == 200
    other = azure.token(key="another-key-another-key-another-key", algorithm=algorithm, headers=headers)
    assert azure.negotiate(other).status_code == 401


def test_the_key_is_its_text_and_not_the_bytes_that_base64_would_give(azure: Azure) -> None:
    decoded = base64.b64decode(azure.key)
    claims = {"aud": azure.audience("chat"), "exp": 9_999_999_999}
    import jwt

    assert azure.negotiate(jwt.encode(claims, decoded)).status_code == 401
    assert azure.negotiate(jwt.encode(claims, azure.key.rstrip("="))).status_code == 401
    assert azure.negotiate(jwt.encode(claims, azure.key)).status_code == 200


@pytest.mark.parametrize(
    "audience",
    [
        "HTTP://127.0.0.1/client/?hub=chat",
        "http://127.0.0.1:1/client/?hub=chat",
        ["something else", "http://127.0.0.1/client/?hub=chat"],
    ],
    ids=["scheme in capitals", "with a port", "one of several"],
)
def test_what_an_audience_may_look_like(azure: Azure, audience: object) -> None:
    assert azure.negotiate(azure.token(aud=audience)).status_code == 200
    assert azure.negotiate(azure.token(aud="http://127.0.0.2/client/?hub=chat")).status_code == 401


def test_another_loopback_name_counts_only_if_the_request_came_by_it(azure: Azure) -> None:
    token = azure.token(aud="http://LocalHost/client/?hub=chat")
    assert azure.negotiate(token).status_code == 401
    assert azure.negotiate(token, headers={"Host": "localhost:1234"}).status_code == 200
    foreign = azure.token(aud="http://example.com/client/?hub=chat")
    assert azure.negotiate(foreign, headers={"Host": "example.com"}).status_code == 401


def test_a_rest_token_is_no_client_token(azure: Azure) -> None:
    url = f"{azure.endpoint}/api/hubs/chat/:send"
    assert azure.negotiate(azure.rest_token(url)).headers["www-authenticate"] == described("The audience is invalid")
    assert azure.send(token=azure.rest_token(url)).status_code == 202


def test_the_lifetime_follows_the_emulators_clock(azure: Azure) -> None:
    token = azure.token()
    assert azure.negotiate(token).status_code == 200
    azure.control.advance_clock(3601)
    assert azure.negotiate(token).headers["www-authenticate"] == described("The token is expired")
    azure.control.reset_clock()
    assert azure.negotiate(token).status_code == 200


def test_a_token_is_checked_again_when_the_websocket_opens(azure: Azure) -> None:
    token = azure.token()
    promised = azure.negotiate(token).json()["connectionToken"]
    azure.control.advance_clock(3601)
    answer = azure.refused_socket(token, query=f"hub=chat&id={promised}")
    assert answer.headers["www-authenticate"] == described("The token is expired")
    azure.control.reset_clock()
    with azure.client(token, query=f"hub=chat&id={promised}"):
        pass


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ({"asrs.s.uid": ["ann", "eve"]}, {"asrs.s.uid": "ann"}),
        ({"asrs.s.htt": "0"}, {"asrs.s.htt": "1"}),
        ({"asrs.s.htt": "all"}, {"asrs.s.htt": "7"}),
        ({"asrs.s.coae": "true"}, {"asrs.s.coae": "true", "asrs.s.aeo": "9999999999"}),
        ({"asrs.s.coae": "true", "asrs.s.aeo": "soon"}, {"asrs.s.coae": "false", "asrs.s.aeo": "soon"}),
    ],
    ids=["two user ids", "no transport", "transports as a word", "no expiry", "expiry as a word"],
)
def test_system_claims_must_mean_something(azure: Azure, bad: dict[str, Any], good: dict[str, Any]) -> None:
    answer = azure.negotiate(azure.user_token(bad))
    assert answer.status_code == 400
    assert "asrs.s." in answer.text
    assert azure.negotiate(azure.user_token(good)).status_code == 200
