"""Checks bearer tokens in the order and with the answers of the service.

The statuses and the `WWW-Authenticate` texts are those that users of Azure SignalR Service report in public
issues (Azure/azure-signalr 883, 1955, 2197) and that ASP.NET Core's bearer handler, on which the service is
built, writes in that form; a token over 4,096 characters gets 413 (troubleshooting guide of Azure SignalR
Service). There is no allowance for clock differences: Azure/azure-signalr issue 445 reports 401 right after a
token's one minute.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from hubpass.emulator.strict_json import parse_json

MAX_TOKEN_CHARACTERS = 4096
# The service's answer when it knows no key that could have signed a token.
KEY_NOT_FOUND = "The signature key was not found"
_KEY_ALGORITHMS = frozenset({"HS256", "HS512"})

Claims = dict[str, Any]


@dataclass(frozen=True, repr=False)
class ParsedToken:
    """A JSON Web Token whose signature has not been checked."""

    algorithm: str
    header: dict[str, Any]
    claims: Claims
    signing_input: bytes
    signature: bytes

    @property
    def is_signed_with_a_key(self) -> bool:
        """Whether it claims to be signed with an access key rather than by Entra."""
        return self.algorithm in _KEY_ALGORITHMS


@dataclass(frozen=True)
class Refusal:
    """Why a request was refused: what the client sees and what the journal says."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    media_type: str = "text/plain"


class RefusedError(Exception):
    """A request that the service does not accept."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def bearer_from_header(values: list[str]) -> str | None:
    """The token of the `Authorization` header, or None if there is no bearer in it.

    The name of the scheme ignores case, as RFC 7235 has it.
    """
    if len(values) > 1:
        refuse("several Authorization headers", "")
    if not values or values[0][:7].lower() != "bearer ":
        return None
    return values[0][7:].strip() or None


def parse_token(token: str | None) -> ParsedToken:
    """The parts of a token; raises `RefusedError` if there is none or if it is not a JSON Web Token."""
    if token is None:
        raise RefusedError(Refusal(401, "the bearer token is missing", (("www-authenticate", "Bearer"),)))
    try:
        header_part, claims_part, signature_part = token.split(".")
    except ValueError:
        refuse("the bearer is not a JSON Web Token", "")
    header, claims = _json_object(header_part), _json_object(claims_part)
    try:
        signature = _base64url(signature_part)
    except ValueError:
        refuse("the signature is not base64url without padding", "The signature is invalid")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str):
        refuse("the header names no algorithm", "The signature is invalid")
    return ParsedToken(algorithm, header, claims, f"{header_part}.{claims_part}".encode("ascii"), signature)


def check_length(token: str | None) -> None:
    """Refuse a client's token that is longer than the service accepts."""
    if token is not None and len(token) > MAX_TOKEN_CHARACTERS:
        reason = f"the token has {len(token)} characters, the service accepts {MAX_TOKEN_CHARACTERS}"
        raise RefusedError(Refusal(413, reason, body="AccessToken must not be longer than 4K."))


def check_key_algorithm(token: ParsedToken) -> None:
    """Refuse a token whose algorithm is not one of those that access keys sign with."""
    if not token.is_signed_with_a_key:
        refuse("the algorithm is not HS256 or HS512", "The signature is invalid")


def verified_claims(
    token: ParsedToken,
    check_signature: Callable[[ParsedToken], None],
    now: float,
    audience_matches: Callable[[str], bool],
) -> Claims:
    """The claims of a token that passed every check; raises `RefusedError` otherwise.

    `check_signature` raises for a bad signature. `audience_matches` decides on one `aud` value; a token with
    several is accepted if one of them matches. `now` is in Unix seconds.
    """
    check_signature(token)
    claims = token.claims
    _check_lifetime(claims, now)
    audiences = claims.get("aud")
    candidates = audiences if isinstance(audiences, list) else [audiences]
    if not any(isinstance(audience, str) and audience_matches(audience) for audience in candidates):
        refuse("the audience does not match", "The audience is invalid")
    return claims


def refuse_with_text(status: int, text: str) -> NoReturn:
    """Raise the refusal of a request that is told why in the body."""
    raise RefusedError(Refusal(status, text, body=text))


def refuse(reason: str, description: str) -> NoReturn:
    """Raise the refusal for a bad token: 401 with the service's `WWW-Authenticate` form."""
    challenge = 'Bearer error="invalid_token"'
    if description:
        challenge += f', error_description="{description}"'
    raise RefusedError(Refusal(401, reason, (("www-authenticate", challenge),)))


def _check_lifetime(claims: Claims, now: float) -> None:
    expires = _numeric_date(claims, "exp")
    not_before = _numeric_date(claims, "nbf")
    if expires is None:
        refuse("the token has no exp", "The token has no expiration")
    if not_before is not None and not_before > expires:
        refuse("nbf is after exp", "The token lifetime is invalid")
    if not_before is not None and not_before > now:
        refuse("nbf is in the future", "The token is not valid yet")
    if expires <= now:
        refuse("exp is in the past", "The token is expired")


def _numeric_date(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        refuse(f"{name} is not a number", "The token lifetime is invalid")
    return value


def _json_object(part: str) -> dict[str, Any]:
    try:
        value = parse_json(_base64url(part).decode("utf-8"))
    except ValueError:
        refuse("the token is not base64url of JSON", "")
    if not isinstance(value, dict):
        refuse("the token is not made of JSON objects", "")
    return value


def _base64url(part: str) -> bytes:
    if not part or not all(character.isalnum() or character in "-_" for character in part) or not part.isascii():
        raise ValueError("not base64url without padding")
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url without padding") from error
