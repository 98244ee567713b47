"""What the tests of identities share: assertions made by PyJWT, and the credentials of azure-identity."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from jwt.utils import base64url_encode

from emulator.support import ABSENT, SCOPE, Azure
from hubpass.emulator import Certificate

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def object_id_of(token: str) -> str:
    return str(jwt.decode(token, options={"verify_signature": False})["oid"])


def is_good_for_a_key(azure: Azure, token: str) -> bool:
    """Whether the emulated SignalR gives a temporary key for the token."""
    return azure.ask_key(token).status_code == 200


def asked_with_assertion(azure: Azure, assertion: object, **form: Any) -> httpx.Response:
    """A request for a token that is right in every respect, except for the parameters that are given."""
    right = {"client_secret": ABSENT, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
    return azure.ask_entra(**{**right, **form})


def number_of(answer: httpx.Response) -> int:
    """The AADSTS number of a refusal, whose JSON has all that Entra tells."""
    content = answer.json()
    (number,) = content["error_codes"]
    assert content["error_description"].startswith(f"AADSTS{number}: ")
    for name in ("trace_id", "correlation_id", "timestamp"):
        assert content[name] in content["error_description"]
    return int(number)


def certificate_assertion(
    azure: Azure,
    certificate: Certificate,
    *,
    client_id: str | None = None,
    algorithm: str = "PS256",
    headers: Mapping[str, object] | None = None,
    key: Any = None,
    **claims: object,
) -> str:
    """An assertion that is right in every respect, except for the headers and claims that are given."""
    emulator = azure.emulator
    content = Path(certificate.pem_file).read_bytes()
    der = x509.load_pem_x509_certificate(content).public_bytes(serialization.Encoding.DER)
    now = azure.control.state().now
    own = client_id or emulator.client_id
    right: dict[str, object] = {
        "aud": f"{emulator.authority}/{emulator.tenant_id}/oauth2/v2.0/token",
        "iss": own,
        "sub": own,
        "jti": str(uuid.uuid4()),
        "nbf": int(now),
        "exp": int(now) + 300,
    }
    good = {"x5t#S256": base64url_encode(hashlib.sha256(der).digest()).decode()}
    signing: Any = None if algorithm == "none" else key or serialization.load_pem_private_key(content, None)
    return jwt.encode(
        {name: value for name, value in {**right, **claims}.items() if value is not ABSENT},
        signing,
        algorithm=algorithm,
        headers={name: value for name, value in {**good, **(headers or {})}.items() if value is not ABSENT},
    )


def sha1_header(certificate: Certificate) -> dict[str, object]:
    """The older header, in place of `x5t#S256`."""
    shown = x509.load_pem_x509_certificate(Path(certificate.certificate_file).read_bytes())
    return {"x5t#S256": ABSENT, "x5t": base64url_encode(shown.fingerprint(hashes.SHA1())).decode()}  # noqa: S303


def entra_options(azure: Azure) -> dict[str, Any]:
    """What lets a credential of azure-identity reach the emulated Entra."""
    return {
        "authority": azure.emulator.authority,
        "disable_instance_discovery": True,
        "connection_verify": azure.emulator.ca_file,
        "retry_total": 0,
    }


def token_of(credential: Any) -> str:
    """One token of a synchronous credential, which is closed afterwards."""
    with credential:
        return str(credential.get_token(SCOPE).token)


async def token_of_async(credential: Any) -> str:
    """One token of an asynchronous credential, which is closed afterwards."""
    async with credential:
        return str((await credential.get_token(SCOPE)).token)
