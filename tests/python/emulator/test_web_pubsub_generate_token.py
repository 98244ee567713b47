"""`:generateToken`: client tokens that Web PubSub makes for Entra identities."""

from __future__ import annotations

from typing import Any

import jwt
import pytest

from emulator.support import Azure
from emulator.web_pubsub_support import API_VERSION, JSON, SCOPE, PubSub

GENERATE = "Microsoft.SignalRService/WebPubSub/clientConnection/generateToken/action"
WRITE = "Microsoft.SignalRService/WebPubSub/clientConnection/write"


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_a_token_says_what_was_asked_and_nothing_else(pubsub: PubSub) -> None:
    pubsub.control.set_clock(4_000_000_000)
    claims = claims_of(pubsub.generated(userId="ann", role=["a", "b"], group=["g", "h"], minutesToExpire=5))
    assert 4_000_000_000 <= claims["nbf"] < 4_000_000_060
    assert claims == {
        "aud": f"{pubsub.endpoint}/client/hubs/chat",
        "nbf": claims["nbf"],
        "exp": claims["nbf"] + 300,
        "sub": "ann",
        "role": ["a", "b"],
        "webpubsub.group": ["g", "h"],
    }


def test_by_default_it_is_anonymous_and_lives_for_an_hour(pubsub: PubSub) -> None:
    claims = claims_of(pubsub.generated())
    assert set(claims) == {"aud", "nbf", "exp"}
    assert claims["exp"] - claims["nbf"] == 3600


def test_it_opens_a_connection(pubsub: PubSub) -> None:
    token = pubsub.generated(userId="ann", role="webpubsub.sendToGroup", group="g")
    with pubsub.client(token) as client:
        (found,) = pubsub.control.connections()
        assert (found.user_id, found.roles, found.groups) == ("ann", ("webpubsub.sendToGroup",), ("g",))
        assert client.ask(type="sendToGroup", group="g", data=1, ackId=1)["data"] == 1
    (entry,) = pubsub.control.journal("web_pubsub_connect")
    assert (entry.object_id, entry.permission) == (pubsub.azure.emulator.object_id, WRITE)


def test_it_is_for_its_hub_and_its_time(pubsub: PubSub) -> None:
    token = pubsub.generated(minutesToExpire=1)
    assert pubsub.refused(token, path="/client/hubs/other").status_code == 401
    with pubsub.socket(token):
        pass
    pubsub.control.advance_clock(61)
    assert pubsub.refused(token).status_code == 401


def test_nobody_else_can_make_one(pubsub: PubSub) -> None:
    header, payload, signature = pubsub.generated().split(".")
    kid = jwt.get_unverified_header(f"{header}.{payload}.{signature}")["kid"]
    forged = pubsub.token(headers={"kid": kid, "oid": pubsub.azure.emulator.object_id})
    assert pubsub.refused(forged).status_code == 401
    assert pubsub.refused(f"{header}.{payload}.{signature[:-4]}AAAA").status_code == 401


def test_a_key_that_was_rotated_leaves_it_alone(fresh_azure: Azure) -> None:
    pubsub = PubSub(fresh_azure)
    token = pubsub.generated()
    fresh_azure.control.rotate_web_pubsub_keys("primary")
    fresh_azure.control.rotate_web_pubsub_keys("secondary")
    with pubsub.socket(token):
        pass


@pytest.mark.parametrize(("actions", "generates", "connects"), [([GENERATE], 200, 403), ([WRITE], 403, 101)], ids=str)
def test_generating_and_connecting_are_two_permissions(
    entra: Azure, actions: list[str], generates: int, connects: int
) -> None:
    pubsub, control, object_id = PubSub(entra), entra.control, entra.emulator.object_id
    token = pubsub.generated()
    control.remove_role(object_id)
    control.define_role("Some", actions)
    control.assign_role(object_id, "Some")
    assert pubsub.generate().status_code == generates
    if connects == 101:
        with pubsub.socket(token):
            pass
        return
    answer = pubsub.refused(token)
    assert (answer.status_code, answer.headers["x-ms-error-code"]) == (connects, "Error.Forbidden")
    entry = control.journal("web_pubsub_connect")[-1]
    assert (entry.object_id, entry.permission) == (object_id, WRITE)
    # Nothing but the permission was wrong, and it counts when the client connects.
    control.define_role("Some", [GENERATE, WRITE])
    with pubsub.socket(token):
        pass


def test_a_managed_identity_may_ask_as_well(pubsub: PubSub) -> None:
    answer = pubsub.azure.ask_identity(resource="https://webpubsub.azure.com").raise_for_status().json()
    token = pubsub.generate(answer["access_token"]).raise_for_status().json()["token"]
    with pubsub.socket(token):
        assert pubsub.control.journal("web_pubsub_connect")[0].object_id == (
            pubsub.azure.emulator.managed_identity_object_id
        )


def test_an_access_key_buys_none(pubsub: PubSub) -> None:
    assert pubsub.generate(pubsub.rest_token(pubsub.url("/:generateToken"))).status_code == 401
    assert pubsub.generate(pubsub.azure.entra_token(scope="https://signalr.azure.com/.default")).status_code == 401
    assert pubsub.generate().status_code == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"minutesToExpire": "0"}, 400),
        ({"minutesToExpire": "-1"}, 400),
        ({"minutesToExpire": "1.5"}, 400),
        ({"minutesToExpire": ""}, 400),
        ({"minutesToExpire": str(2**31)}, 400),
        ({"userId": ["a", "b"]}, 400),
        ({"group": " "}, 400),
        ({"clientType": "SocketIO"}, 400),
        ({"clientType": "mqtt"}, 501),
        ({"clientType": "DEFAULT"}, 200),
        ({"api-version": "2021-08-01-preview"}, 400),
        ({"api-version": "2021-10-01"}, 200),
    ],
    ids=str,
)
def test_what_may_be_asked(pubsub: PubSub, query: dict[str, Any], status: int) -> None:
    answer = pubsub.generate(**query)
    assert answer.status_code == status
    if status != 200:
        assert answer.headers["x-ms-error-code"] == answer.json()["code"]


def test_a_version_is_needed(pubsub: PubSub) -> None:
    token = pubsub.azure.entra_token(scope=SCOPE)
    assert pubsub.call("POST", "/:generateToken", query={}, token=token).status_code == 400
    query = {"api-version": API_VERSION}
    assert pubsub.call("POST", "/:generateToken", query=query, token=token).status_code == 200


def test_a_subprotocol_goes_with_it(pubsub: PubSub) -> None:
    with pubsub.socket(pubsub.generated(userId="ann"), subprotocols=[JSON]) as client:
        assert client.hear()["userId"] == "ann"
