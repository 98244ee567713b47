"""The local Entra: TLS, tokens for client credentials, errors in Entra's form, metadata and keys."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential
from azure.identity.aio import ClientSecretCredential as AsyncClientSecretCredential

from emulator.support import ABSENT, SCOPE, Azure
from hubpass.emulator import Emulator

OTHER_ID = "00000000-1111-2222-3333-444444444444"
FORM = "application/x-www-form-urlencoded"


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_the_answer_to_good_credentials(azure: Azure) -> None:
    before = int(azure.control.state().now)
    answer = azure.ask_entra()
    after = int(azure.control.state().now)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["cache-control"]
    content = answer.json()
    token = content.pop("access_token")
    assert content == {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599}
    claims = claims_of(token)
    emulator = azure.emulator
    assert claims["aud"] == "https://signalr.azure.com"
    assert claims["iss"] == f"{emulator.authority}/{emulator.tenant_id}/"
    assert claims["tid"] == emulator.tenant_id
    assert claims["appid"] == emulator.client_id
    assert claims["oid"] == claims["sub"] == emulator.object_id
    assert claims["ver"] == "1.0"
    assert before + 3599 <= claims["exp"] <= after + 3599
    assert claims["nbf"] == claims["iat"] == claims["exp"] - 3599 - 300
    assert azure.entra_token() != azure.entra_token(), "two tokens of one second differ"


def test_a_token_verifies_by_the_published_metadata_and_keys(azure: Azure) -> None:
    emulator = azure.emulator
    token = azure.entra_token()
    base = f"{emulator.authority}/{emulator.tenant_id}"
    metadata = azure.tls.get(f"{base}/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(azure.tls.get(metadata["jwks_uri"]).json())
    header = jwt.get_unverified_header(token)
    assert header["alg"] == "RS256"
    audience = "https://signalr.azure.com"
    verified = jwt.decode(
        token, keys[header["kid"]], algorithms=["RS256"], audience=audience, issuer=metadata["issuer"]
    )
    assert verified == claims_of(token)
    head, body, signature = token.split(".")
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(
            f"{head}.{body}.{signature[:-8]}AAAAAAAA", keys[header["kid"]], algorithms=["RS256"], audience=audience
        )
    newer = azure.tls.get(f"{base}/v2.0/.well-known/openid-configuration").json()
    assert newer["issuer"] == f"{base}/v2.0"
    assert newer["token_endpoint"] == f"{base}/oauth2/v2.0/token"
    assert azure.tls.get(newer["jwks_uri"]).json() == azure.tls.get(metadata["jwks_uri"]).json()


REFUSALS: dict[str, tuple[dict[str, Any], int, str, int]] = {
    "a wrong secret": ({"client_secret": "wrong"}, 401, "invalid_client", 7000215),
    "no secret": ({"client_secret": ABSENT}, 401, "invalid_client", 7000218),
    "an unknown application": ({"client_id": OTHER_ID}, 400, "unauthorized_client", 700016),
    "no application": ({"client_id": ABSENT}, 400, "invalid_request", 900144),
    "another grant": ({"grant_type": "password"}, 400, "unsupported_grant_type", 70003),
    "no grant": ({"grant_type": ABSENT}, 400, "invalid_request", 900144),
    "no scope": ({"scope": ABSENT}, 400, "invalid_request", 900144),
    "a scope without .default": ({"scope": "https://signalr.azure.com"}, 400, "invalid_scope", 70011),
    "two scopes": ({"scope": f"{SCOPE} https://vault.azure.net/.default"}, 400, "invalid_scope", 70011),
    "a scope without a resource": ({"scope": "/.default"}, 400, "invalid_scope", 70011),
    "an unknown tenant": ({"tenant_id": OTHER_ID}, 400, "invalid_request", 90002),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_has_entras_form(azure: Azure, case: str) -> None:
    wrong, status, error, number = REFUSALS[case]
    request_id = str(uuid.uuid4())
    answer = azure.ask_entra(headers={"client-request-id": request_id}, **wrong)
    assert answer.status_code == status
    content = answer.json()
    assert content["error"] == error
    assert content["error_codes"] == [number]
    assert content["error_description"].startswith(f"AADSTS{number}: ")
    assert content["correlation_id"] == request_id
    for name in ("trace_id", "correlation_id", "timestamp"):
        assert content[name] in content["error_description"]
    entry = azure.control.journal("token")[-1]
    assert entry.action == "refused"
    assert f"AADSTS{number}" in (entry.reason or "")
    assert azure.ask_entra().status_code == 200


def test_the_request_is_one_form(azure: Azure) -> None:
    url = f"{azure.emulator.authority}/{azure.emulator.tenant_id}/oauth2/v2.0/token"
    form = {
        "client_id": azure.emulator.client_id,
        "client_secret": azure.emulator.client_secret,
        "grant_type": "client_credentials",
        "scope": SCOPE,
    }
    good = urlencode(form)
    for content_type, body in (
        ("application/json", json.dumps(form)),
        (FORM, f"{good}&scope={SCOPE}"),
        (FORM, f"{good}&a={'x' * 70_000}"),
    ):
        answer = azure.tls.post(url, content=body, headers={"content-type": content_type})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    answer = azure.tls.post(url, content=good, headers={"content-type": f"{FORM}; charset=utf-8"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("scope", "audience"),
    [
        ("https://signalr.azure.com//.default", "https://signalr.azure.com/"),
        ("https://vault.azure.net/.default", "https://vault.azure.net"),
        (f"{OTHER_ID}/.default", OTHER_ID),
    ],
)
def test_the_scope_decides_on_the_audience(azure: Azure, scope: str, audience: str) -> None:
    assert claims_of(azure.entra_token(scope=scope))["aud"] == audience


def test_applications_belong_to_their_tenant(azure: Azure) -> None:
    other = azure.control.add_application(tenant_id=str(uuid.uuid4()))
    assert other.client_secret not in repr(other)
    credentials: dict[str, Any] = {"client_id": other.client_id, "client_secret": other.client_secret}
    refused = azure.ask_entra(**credentials)
    assert refused.json()["error_codes"] == [700016]
    claims = claims_of(azure.entra_token(other.tenant_id, **credentials))
    assert (claims["tid"], claims["oid"]) == (other.tenant_id, other.object_id)
    # The secret of one application is of no use to another.
    mine = azure.ask_entra(client_secret=other.client_secret)
    assert mine.json()["error_codes"] == [7000215]


def test_the_lifetime_of_tokens_can_be_set(entra: Azure) -> None:
    entra.control.set_token_lifetime(7)
    content = entra.ask_entra().json()
    assert content["expires_in"] == 7
    now = entra.control.state().now
    assert now - 2 < claims_of(content["access_token"])["exp"] <= now + 7
    entra.control.set_token_lifetime(None)
    assert entra.ask_entra().json()["expires_in"] == 3599


def test_a_token_is_dated_by_the_emulators_clock(azure: Azure) -> None:
    azure.control.set_clock(4_000_000_000)
    assert 4_000_003_599 <= claims_of(azure.entra_token())["exp"] < 4_000_003_659


def test_only_the_authority_of_this_run_makes_it_trusted(azure: Azure) -> None:
    url = f"{azure.emulator.authority}/{azure.emulator.tenant_id}/v2.0/.well-known/openid-configuration"
    with httpx.Client(trust_env=False) as stranger, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"):
        stranger.get(url)
    with Emulator() as other:
        trusting_another = ssl.create_default_context(cafile=other.ca_file)
    with (
        httpx.Client(trust_env=False, verify=trusting_another) as stranger,
        pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY"),
    ):
        stranger.get(url)
    strict = ssl.create_default_context(cafile=azure.emulator.ca_file)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("127.0.0.1", "localhost"):
        with httpx.Client(trust_env=False, verify=strict) as client:
            assert client.get(url.replace("127.0.0.1", name)).status_code == 200


def test_the_files_of_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with Emulator() as emulator:
        # Only the authority's certificate is there: no key, neither its nor the server's.
        assert [str(path) for path in tmp_path.iterdir()] == [emulator.ca_file]
        text = Path(emulator.ca_file).read_text(encoding="ascii")
        assert text.count("BEGIN") == text.count("BEGIN CERTIFICATE") == 1
    assert list(tmp_path.iterdir()) == []


def sync_credential(azure: Azure, **changes: str) -> ClientSecretCredential:
    emulator = azure.emulator
    right = {
        "tenant_id": emulator.tenant_id,
        "client_id": emulator.client_id,
        "client_secret": emulator.client_secret,
    }
    return ClientSecretCredential(
        **{**right, **changes},
        authority=emulator.authority,
        disable_instance_discovery=True,
        connection_verify=emulator.ca_file,
        retry_total=0,
    )


def test_azure_identity_gets_a_token(azure: Azure) -> None:
    with sync_credential(azure) as credential:
        token = credential.get_token(SCOPE)
    assert claims_of(token.token)["oid"] == azure.emulator.object_id
    assert abs(token.expires_on - time.time() - 3599) < 60
    assert azure.ask_key(token.token).status_code == 200
    for changes, text in (
        ({"client_secret": "wrong"}, "AADSTS7000215"),
        ({"client_id": OTHER_ID}, "AADSTS700016"),
        # MSAL looks for the metadata of the tenant first.
        ({"tenant_id": OTHER_ID}, "Unable to get authority configuration"),
    ):
        with sync_credential(azure, **changes) as credential, pytest.raises(ClientAuthenticationError, match=text):
            credential.get_token(SCOPE)


def test_asynchronous_azure_identity_gets_a_token(azure: Azure) -> None:
    emulator = azure.emulator

    async def get(secret: str) -> str:
        async with AsyncClientSecretCredential(
            emulator.tenant_id,
            emulator.client_id,
            secret,
            authority=emulator.authority,
            disable_instance_discovery=True,
            connection_verify=emulator.ca_file,
            retry_total=0,
        ) as credential:
            return (await credential.get_token(SCOPE)).token

    assert azure.ask_key(asyncio.run(get(emulator.client_secret))).status_code == 200
    with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
        asyncio.run(get("wrong"))


@pytest.mark.parametrize("path", ["/{tenant}/oauth2/token", "/{tenant}/oauth2/v2.0/authorize", "/"])
def test_it_has_no_other_routes(azure: Azure, path: str) -> None:
    url = azure.emulator.authority + path.format(tenant=azure.emulator.tenant_id)
    answer = azure.tls.post(url)
    assert answer.status_code == 404
    assert "/oauth2/v2.0/token" in answer.json()["message"]
    assert azure.tls.get(f"{azure.emulator.authority}/{OTHER_ID}/discovery/keys").status_code == 400
