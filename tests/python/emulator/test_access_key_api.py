"""`GET /api/v1/auth/accessKey`: which Entra tokens are good there, and which identities may have a key."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from emulator.support import SCOPE, Azure

SIGNALR = "Microsoft.SignalRService/SignalR"
KEY_ACTION = f"{SIGNALR}/auth/accessKey/action"
OTHER_RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def described(text: str) -> str:
    return f'Bearer error="invalid_token", error_description="{text}"'


def test_the_answer(azure: Azure) -> None:
    answer = azure.ask_key()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    content = answer.json()
    assert set(content) == {"KeyId", "AccessKey"}
    assert all(isinstance(value, str) and value for value in content.values())
    assert azure.ask_key().json() == content, "every caller gets the same key"
    entry = azure.control.journal("access_key")[0]
    assert (entry.status, entry.action, entry.reason) == (200, "served", None)
    assert (entry.permission, entry.object_id) == (KEY_ACTION, azure.emulator.object_id)
    assert entry.kid == content["KeyId"]


def test_the_versioned_twin(azure: Azure) -> None:
    path = "/api/auth/accessKey"
    assert azure.ask_key(path=f"{path}?api-version=2024-12-01").json() == azure.ask_key().json()
    for query in ("", "?api-version=2022-06-01", "?api-version=2024-12-01&api-version=2024-12-01"):
        assert azure.ask_key(path=path + query).status_code == 400
    assert azure.ask_key(path="/api/v1/auth/accessKey?api-version=anything").status_code == 200
    assert azure.http.post(azure.endpoint + path).status_code == 405


@pytest.mark.parametrize("scope", [SCOPE, "https://signalr.azure.com//.default"])
def test_the_audience_may_have_a_slash(azure: Azure, scope: str) -> None:
    assert azure.ask_key(azure.entra_token(scope=scope)).status_code == 200


def changed(azure: Azure, key: Any, algorithm: str, headers: dict[str, Any], **claims: object) -> str:
    """Entra's token with other claims, signed anew by somebody else."""
    token = azure.entra_token()
    content = {**jwt.decode(token, options={"verify_signature": False}), **claims}
    return jwt.encode(content, key, algorithm=algorithm, headers={**jwt.get_unverified_header(token), **headers})


def with_another_part(token: str) -> str:
    head, body, signature = token.split(".")
    return f"{head}.{body}.{'A' * len(signature)}"


def of_another_tenant(azure: Azure) -> str:
    role = ["SignalR Service Owner"]
    other = azure.control.add_application(tenant_id=str(uuid.uuid4()), roles=role)
    return azure.entra_token(other.tenant_id, client_id=other.client_id, client_secret=other.client_secret)


def hmac_with_the_public_key(azure: Azure) -> str:
    """The old trick: the public key, which everybody has, as the secret of an HMAC."""
    url = f"{azure.emulator.authority}/{azure.emulator.tenant_id}/discovery/v2.0/keys"
    public: Any = jwt.PyJWK(azure.tls.get(url).json()["keys"][0]).key
    secret = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _, body, _ = azure.entra_token().split(".")
    head = jwt.utils.base64url_encode(b'{"alg":"HS256","typ":"JWT"}').decode()
    # PyJWT refuses to sign like this, for good reasons.
    signature = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
    return f"{head}.{body}.{jwt.utils.base64url_encode(signature).decode()}"


def without_kid(azure: Azure) -> str:
    claims = jwt.decode(azure.entra_token(), options={"verify_signature": False})
    return jwt.encode(claims, OTHER_RSA_KEY, algorithm="RS256")


REFUSED: dict[str, tuple[Callable[[Azure], str], str]] = {
    "another audience": (
        lambda azure: azure.entra_token(scope="https://vault.azure.net/.default"),
        "The audience is invalid",
    ),
    "nearly the audience": (
        lambda azure: azure.entra_token(scope="https://signalr.azure.us/.default"),
        "The audience is invalid",
    ),
    "another tenant": (of_another_tenant, "The issuer is invalid"),
    "a damaged signature": (lambda azure: with_another_part(azure.entra_token()), "The signature is invalid"),
    "somebody else's key under Entra's kid": (
        lambda azure: changed(azure, OTHER_RSA_KEY, "RS256", {}),
        "The signature is invalid",
    ),
    "an unknown kid": (
        lambda azure: changed(azure, OTHER_RSA_KEY, "RS256", {"kid": "unknown"}),
        "The signature key was not found",
    ),
    "no kid": (without_kid, "The signature key was not found"),
    "no signature": (lambda azure: changed(azure, None, "none", {"alg": "none"}), "The signature is invalid"),
    "an HMAC with the public key": (hmac_with_the_public_key, "The signature key was not found"),
    "a static key": (
        lambda azure: azure.rest_token(f"{azure.endpoint}/api/v1/auth/accessKey"),
        "The signature key was not found",
    ),
    "a temporary key": (
        lambda azure: azure.signed_by(azure.temporary_key(), aud="https://signalr.azure.com"),
        "The signature key was not found",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_defective_token_is_refused(azure: Azure, case: str) -> None:
    make, description = REFUSED[case]
    answer = azure.ask_key(make(azure))
    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["www-authenticate"] == described(description)
    entry = azure.control.journal("access_key")[-1]
    assert entry.action == "refused"
    assert entry.reason
    assert azure.ask_key().status_code == 200


def test_no_token_is_refused(azure: Azure) -> None:
    url = f"{azure.endpoint}/api/v1/auth/accessKey"
    for address in (url, f"{url}?access_token={azure.entra_token()}"):
        answer = azure.http.get(address)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert azure.ask_key("no-token").status_code == 401


def test_the_lifetime_goes_by_the_emulators_clock(azure: Azure) -> None:
    token = azure.entra_token()
    azure.control.advance_clock(3590)
    assert azure.ask_key(token).status_code == 200
    azure.control.advance_clock(10)
    assert azure.ask_key(token).headers["www-authenticate"] == described("The token is expired")
    azure.control.reset_clock()
    # Entra dates its tokens back by five minutes.
    azure.control.advance_clock(-310)
    assert azure.ask_key(token).headers["www-authenticate"] == described("The token is not valid yet")
    azure.control.advance_clock(30)
    assert azure.ask_key(token).status_code == 200


# What each built-in role may do here: fetch the key, send to a hub.
BUILT_IN = {
    "SignalR App Server": (200, 403),
    "SignalR REST API Owner": (403, 202),
    "SignalR REST API Reader": (403, 403),
    "SignalR Service Owner": (200, 202),
}


@pytest.mark.parametrize("role", BUILT_IN)
def test_the_matrix_of_built_in_roles(entra: Azure, role: str) -> None:
    object_id = entra.emulator.object_id
    entra.control.remove_role(object_id)
    token = entra.entra_token()
    assert (entra.ask_key(token).status_code, entra.send(token=token).status_code) == (403, 403)
    entra.control.assign_role(object_id, role)
    assert (entra.ask_key(token).status_code, entra.send(token=token).status_code) == BUILT_IN[role]


def test_a_missing_permission_is_told_in_the_services_form(entra: Azure) -> None:
    entra.control.remove_role(entra.emulator.object_id)
    answer = entra.ask_key()
    assert answer.status_code == 403
    assert "www-authenticate" not in answer.headers
    error = answer.json()
    assert set(error) == {"code", "message", "target", "details", "inner"}
    assert answer.headers["x-ms-error-code"] == error["code"]
    assert "nginx" not in answer.text
    entry = entra.control.journal("access_key")[-1]
    assert (entry.object_id, entry.permission) == (entra.emulator.object_id, KEY_ACTION)
    assert KEY_ACTION in (entry.reason or "")
    # Several roles add up, and taking one away leaves the others.
    entra.control.assign_role(entra.emulator.object_id, "SignalR App Server")
    entra.control.assign_role(entra.emulator.object_id, "SignalR REST API Reader")
    assert entra.ask_key().status_code == 200
    entra.control.remove_role(entra.emulator.object_id, "SignalR App Server")
    assert entra.control.state().roles[entra.emulator.object_id] == ("SignalR REST API Reader",)
    assert entra.ask_key().status_code == 403


@pytest.mark.parametrize(
    ("actions", "status"),
    [
        ([KEY_ACTION], 200),
        ([KEY_ACTION.upper()], 200),
        (["*"], 200),
        ([f"{SIGNALR}/*/action"], 200),
        ([f"{SIGNALR}/auth/*"], 200),
        ([f"{SIGNALR}/hub/*", KEY_ACTION], 200),
        ([], 403),
        ([f"{SIGNALR}/*/write"], 403),
        ([f"{SIGNALR}/auth/accessKey"], 403),
        ([f"x{KEY_ACTION}"], 403),
        ([f"{KEY_ACTION}x"], 403),
        ([KEY_ACTION.replace("/", ".")], 403),
        ([f"{SIGNALR}.auth/accessKey/actio."], 403),
    ],
    ids=str,
)
def test_custom_roles(entra: Azure, actions: list[str], status: int) -> None:
    entra.control.remove_role(entra.emulator.object_id)
    entra.control.define_role("custom", actions)
    entra.control.assign_role(entra.emulator.object_id, "custom")
    assert entra.ask_key().status_code == status


def test_roles_belong_to_one_identity(entra: Azure) -> None:
    other = entra.control.add_application(roles=["SignalR REST API Owner"])
    token = entra.entra_token(client_id=other.client_id, client_secret=other.client_secret)
    assert entra.ask_key(token).status_code == 403
    assert entra.send(token=token).status_code == 202
    entra.control.assign_role(other.object_id.upper(), "SignalR App Server")
    assert entra.ask_key(token).status_code == 200


def test_the_network_acl_denies_servers_with_a_page_of_the_proxy(entra: Azure) -> None:
    token, client_token = entra.entra_token(), entra.token()
    entra.control.set_network_denied(True)
    # The proxy looks at no token, so even no token at all is 403.
    for answer in (entra.ask_key(token), entra.ask_key("no-token"), entra.send(), entra.send(token=token)):
        assert answer.status_code == 403
        assert answer.headers["content-type"].startswith("text/html")
        assert "<center>nginx</center>" in answer.text
    assert entra.negotiate(client_token).status_code == 200
    assert entra.http.head(f"{entra.endpoint}/api/health").status_code == 200
    assert entra.control.state().network_denied
    entra.control.set_network_denied(False)
    assert entra.ask_key(token).status_code == 200
    assert entra.send(token=token).status_code == 202


def test_an_entra_token_is_the_bearer_of_rest(azure: Azure) -> None:
    assert azure.send(token=azure.entra_token()).status_code == 202
    entry = azure.control.journal("send")[-1]
    assert entry.object_id == azure.emulator.object_id
    assert entry.permission == f"{SIGNALR}/hub/send/action"
    refused = azure.send(token=azure.entra_token(scope="https://vault.azure.net/.default"))
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == described("The audience is invalid")
    # What the request asks for is judged after who asks.
    assert azure.send(token=azure.entra_token(), query={}).status_code == 400


def test_an_entra_token_is_no_client_token(azure: Azure) -> None:
    assert azure.negotiate(azure.entra_token()).status_code == 401
    assert azure.refused_socket(azure.entra_token()).status_code == 401
    assert azure.negotiate(azure.token()).status_code == 200


@pytest.mark.parametrize("route", ["token", "access_key", "managed_identity"])
def test_the_new_routes_can_be_throttled_and_held(azure: Azure, route: Any) -> None:
    token = azure.entra_token()
    ask: dict[str, Callable[[], Any]] = {
        "token": azure.ask_entra,
        "access_key": lambda: azure.ask_key(token),
        "managed_identity": azure.ask_identity,
    }
    azure.control.throttle(route, 2, retry_after=7)
    for _ in range(2):
        answer = ask[route]()
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert ask[route]().status_code == 200
    azure.control.fail_next(route, garbage=True)
    with pytest.raises(ValueError, match="Expecting value"):
        ask[route]().json()
    assert ask[route]().status_code == 200
