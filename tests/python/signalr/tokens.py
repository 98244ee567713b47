"""Tokens, read by PyJWT: an implementation that is not ours."""

from typing import Any

import jwt

from signalr.client_kind import KEY

ISSUER = "azure-signalr"
REGISTERED = ("aud", "exp", "iat", "iss", "nbf")
"""The names that RFC 7519 registers and every token has; all other claims are the user's or the service's."""


def verified(token: str, audience: str, key: str = KEY) -> dict[str, Any]:
    """All claims of a token whose signature, audience, issuer and times are right."""
    # PyJWT knows ``sub`` as a text; here it is a claim of the application's, of any type.
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=["HS256"],
        audience=audience,
        issuer=ISSUER,
        options={"require": list(REGISTERED), "verify_sub": False},
    )
    return claims


def unverified(token: str) -> dict[str, Any]:
    """All claims of a token, whoever signed it."""
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def own_claims(token: str) -> dict[str, Any]:
    """The claims of a token that are not in every token."""
    return {name: value for name, value in unverified(token).items() if name not in REGISTERED}
