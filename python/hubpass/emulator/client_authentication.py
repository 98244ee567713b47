"""Who asks the token endpoint: checks the secret or the assertion of a client.

Sources: "Microsoft identity platform application authentication certificate credentials" and "Workload identity
federation" of Microsoft's documentation, RFC 7523, and those of `entra_errors`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from hubpass.emulator.client_credentials import Credentials, RegisteredCertificate, registered
from hubpass.emulator.directory import Client
from hubpass.emulator.entra_errors import EntraError
from hubpass.emulator.journal import Call
from hubpass.emulator.service import Service
from hubpass.emulator.tokens import ParsedToken, RefusedError, parse_token

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_UNAUTHORIZED = 401
_TYPES = frozenset({"JWT", "http://openid.net/specs/jwt/1.0"})
_PADDINGS = {
    "RS256": padding.PKCS1v15(),
    "PS256": padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size),
}


def needed(form: Mapping[str, str], name: str) -> str:
    """A parameter of the form that must be there; raises `EntraError`."""
    value = form.get(name, "")
    if not value:
        raise EntraError("invalid_request", 900144, f"The request body must contain the following parameter: '{name}'.")
    return value


def authenticated(service: Service, call: Call, tenant_id: str, form: Mapping[str, str]) -> Client:
    """The client that the form names and that proves itself; raises `EntraError`."""
    client_id = needed(form, "client_id")
    client = service.directory.client(tenant_id, client_id)
    if client is None:
        raise EntraError(
            "unauthorized_client",
            700016,
            f"Application with identifier '{client_id}' was not found in the directory '{tenant_id}'.",
        )
    call.object_id = client.principal.object_id
    secret, assertion = form.get("client_secret", ""), form.get("client_assertion", "")
    if secret and assertion:
        raise EntraError("invalid_request", 90023, "Only one of 'client_secret' and 'client_assertion' may be present.")
    if secret:
        _check_secret(client.credentials, client_id, secret, service.clock.now())
    elif assertion:
        if needed(form, "client_assertion_type") != ASSERTION_TYPE:
            raise EntraError("invalid_request", 90023, f"'client_assertion_type' must be '{ASSERTION_TYPE}'.")
        _check_assertion(service, client, tenant_id, assertion)
    else:
        raise _invalid(
            7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        )
    return client


def _check_secret(credentials: Credentials, client_id: str, secret: str, now: float) -> None:
    verdict = credentials.secret_verdict(secret, now)
    if verdict == "expired":
        raise _invalid(7000222, f"The provided client secret keys for app '{client_id}' are expired.")
    if verdict == "unknown":
        raise _invalid(
            7000215,
            f"Invalid client secret provided for app '{client_id}'. The value of the secret is needed, not its ID.",
        )


def _check_assertion(service: Service, client: Client, tenant_id: str, assertion: str) -> None:
    token = _parsed(assertion)
    if token.header.get("typ", "JWT") not in _TYPES:
        raise EntraError("invalid_request", 5002727, "Invalid JWT header type specified, must be 'JWT'.")
    own = token.claims.get("iss") == client.principal.client_id
    if own or "x5t" in token.header or "x5t#S256" in token.header:
        _check_certificate_assertion(service, client, tenant_id, token)
    else:
        _check_federated_assertion(service, client, token)


def _parsed(assertion: str) -> ParsedToken:
    """The parts of the assertion. Some clients, azure-identity's asynchronous one among them, pad them as Base64."""
    parts = assertion.split(".")
    try:
        token = parse_token(".".join(part.rstrip("=") for part in parts))
    except RefusedError:
        raise EntraError("invalid_request", 50027, "JWT token is invalid or malformed.") from None
    return replace(token, signing_input=".".join(parts[:2]).encode())


def _check_certificate_assertion(service: Service, client: Client, tenant_id: str, token: ParsedToken) -> None:
    """Check what the client has signed itself, with a certificate that is registered for it."""
    client_id, claims, now = client.principal.client_id, token.claims, service.clock.now()
    if "x5t" not in token.header and "x5t#S256" not in token.header:
        raise _invalid(
            5002723,
            "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId specified "
            "in token header.",
        )
    certificate = client.credentials.certificate(token.header)
    if certificate is None:
        raise _invalid(
            700027,
            "The certificate with identifier used to sign the client assertion is not registered on application. "
            f"[Reason - The key was not found., Thumbprint of key used by client: '{_hex_thumbprint(token)}'].",
        )
    _check_certificate(certificate, token, now)
    if claims.get("iss") != client_id or claims.get("sub") != client_id:
        raise _invalid(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
    if not _is_for_tenant(service.issuer.authority, tenant_id, claims.get("aud")):
        raise _invalid(700023, "Client assertion audience claim does not match Realm issuer.")
    expires = _check_lifetime(token, now, service.identity.assertions.longest_life)
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise EntraError("invalid_request", 50027, "JWT token is invalid or malformed: the claim 'jti' is missing.")
    if service.identity.assertions.is_replay(client_id, jti, expires, now):
        raise EntraError("invalid_request", 50027, "JWT token is invalid: its 'jti' was used before.")


def _check_certificate(certificate: RegisteredCertificate, token: ParsedToken, now: float) -> None:
    """Check that the certificate counts, that the assertion shows no other one, and that its key has signed."""
    reason = None
    scheme = _PADDINGS.get(token.algorithm)
    if not certificate.not_before <= now < certificate.not_after:
        reason = "The key used is expired."
    elif not _shows_only(certificate, token.header.get("x5c")):
        reason = "The certificate in 'x5c' is not the one of the thumbprint."
    elif scheme is None:
        reason = f"The algorithm is none of {', '.join(_PADDINGS)}."
    else:
        try:
            certificate.public_key.verify(token.signature, token.signing_input, scheme, hashes.SHA256())
        except InvalidSignature:
            reason = "The provided signature value did not match the expected signature value."
    if reason is not None:
        raise _invalid(
            700027,
            "Client assertion contains an invalid signature. "
            f"[Reason - {reason}, Thumbprint of key used by client: '{certificate.thumbprint}'].",
        )


def _shows_only(certificate: RegisteredCertificate, chain: object) -> bool:
    """Whether the header `x5c` is absent, or begins with the certificate as RFC 7515 wants it: Base64 of its DER."""
    if chain is None:
        return True
    if not isinstance(chain, list) or not chain or not isinstance(chain[0], str):
        return False
    try:
        shown = registered(x509.load_der_x509_certificate(base64.b64decode(chain[0], validate=True)))
    except (binascii.Error, ValueError, TypeError):
        return False
    return shown.sha256_thumbprint == certificate.sha256_thumbprint


def _check_federated_assertion(service: Service, client: Client, token: ParsedToken) -> None:
    """Check the token of another issuer against the federated credentials of the client."""
    issuer, subject = token.claims.get("iss"), token.claims.get("sub")
    audiences = token.claims.get("aud")
    presented = audiences if isinstance(audiences, list) else [audiences]
    trusted = client.credentials.federated
    if not trusted:
        raise _invalid(
            70025, f"The client '{client.principal.client_id}' has no configured federated identity credentials."
        )
    of_issuer = [one for one in trusted if one.issuer == issuer]
    if not of_issuer:
        raise _unmatched(700211, "issuer", issuer)
    of_subject = [one for one in of_issuer if one.subject == subject]
    if not of_subject:
        another_case = any(one.subject.lower() == str(subject).lower() for one in of_issuer)
        raise _unmatched(7002138 if another_case else 700213, "subject", subject)
    if not any(one.audience in presented for one in of_subject):
        raise _unmatched(700212, "audience", presented[0] if presented else None)
    if not service.identity.kubernetes.has_signed(token):
        raise _invalid(700027, "Client assertion failed signature validation. [Reason - The key was not found.]")
    _check_lifetime(token, service.clock.now(), None)


def _check_lifetime(token: ParsedToken, now: float, longest: float | None) -> float:
    """The `exp` of an assertion that counts now, in Unix seconds. `nbf` may be absent, as with Entra."""
    expires, begins = _number(token, "exp", None), _number(token, "nbf", 0)
    if not begins <= now < expires or (longest is not None and expires - now > longest):
        raise _invalid(
            700024,
            f"Client assertion is not within its valid time range. Current time: {_moment(now)}, assertion valid from "
            f"{_moment(begins)}, expiry time of assertion {_moment(expires)}.",
        )
    return expires


def _is_for_tenant(authority: str, tenant_id: str, audience: object) -> bool:
    """Whether the audience is the token endpoint or the issuer of the tenant."""
    base = f"{authority}/{tenant_id}"
    known = {f"{base}/oauth2/v2.0/token", f"{base}/oauth2/token", f"{base}/v2.0", f"{base}/", base}
    return isinstance(audience, str) and audience.lower() in known


def _number(token: ParsedToken, name: str, default: float | None) -> float:
    value = token.claims.get(name, default)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise EntraError("invalid_request", 50027, f"JWT token is invalid or malformed: '{name}' is not a number.")
    return value


def _moment(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(seconds)


def _hex_thumbprint(token: ParsedToken) -> str:
    text = str(token.header.get("x5t#S256") or token.header.get("x5t"))
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).hex().upper()
    except (binascii.Error, ValueError):
        return text


def _unmatched(number: int, name: str, value: object) -> EntraError:
    return _invalid(
        number,
        f"No matching federated identity record found for presented assertion {name} '{value}'. Check your federated "
        "identity credential Subject, Audience and Issuer against the presented assertion.",
    )


def _invalid(number: int, text: str) -> EntraError:
    return EntraError("invalid_client", number, text, _UNAUTHORIZED)
