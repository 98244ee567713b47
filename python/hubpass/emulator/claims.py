"""What the claims of a client token mean: the user, the user's claims, and the orders to the service.

Names and meanings are those of the public SDK (Azure/azure-signalr, `ClaimsUtility` and `Constants`): claims
that begin with `asrs.s.` speak to the service, claims that begin with `asrs.u.` are user claims whose own
name would collide with one of JWT.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

from hubpass.emulator.tokens import Claims, refuse_with_text
from hubpass.emulator.transports import ALL_TRANSPORTS

_SYSTEM_PREFIX = "asrs.s."
_USER_PREFIX = "asrs.u."
_TOKEN_CLAIMS = frozenset(
    {"aud", "exp", "iat", "nbf", "iss", "actort", "acr", "azp", "c_hash", "jti", "nonce"},
)
_USER_ID_CLAIMS = ("asrs.s.uid", "nameid", "sub")


@dataclass(frozen=True)
class Identity:
    """Who connects and how.

    `user_id` is None for an anonymous client. `transports` is a bit mask (see `Transport`). `closes_at` is the
    moment (Unix seconds) at which the service ends the connection, or None.
    """

    user_id: str | None
    claims: dict[str, Any]
    transports: int
    closes_at: float | None


def identity_of(claims: Claims) -> Identity:
    """Read a verified token; raises `RefusedError` (400) for a system claim that has no meaning."""
    closes_at: float | None = None
    if (_system_claim(claims, "asrs.s.coae") or "").lower() == "true":
        closes_at = float(_integer(claims, "asrs.s.aeo", "the Unix seconds at which asrs.s.coae takes effect"))
    transports = ALL_TRANSPORTS
    if "asrs.s.htt" in claims:
        transports = _integer(claims, "asrs.s.htt", "a bit mask from 1 to 7")
        if not 1 <= transports <= ALL_TRANSPORTS:
            _refuse("asrs.s.htt", "a bit mask from 1 to 7")
    return Identity(_user_id(claims), _user_claims(claims), transports, closes_at)


def _user_id(claims: Claims) -> str | None:
    for name in _USER_ID_CLAIMS:
        value = _system_claim(claims, name)
        if value is not None:
            return value
    return None


def _user_claims(claims: Claims) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in claims.items():
        if name.startswith(_SYSTEM_PREFIX) or name in _TOKEN_CLAIMS:
            continue
        own_name = name.removeprefix(_USER_PREFIX)
        if own_name in found:
            # A repeated claim is an array in JWT, so the values of `sub` and `asrs.u.sub` end in one list.
            earlier = found[own_name]
            found[own_name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
        else:
            found[own_name] = value
    return found


def _system_claim(claims: Claims, name: str) -> str | None:
    value = claims.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, dict)):
        # An array means that a caller-supplied claim was merged with the real one, which is how a user id is
        # spoofed.
        _refuse(name, "a single value")
    return str(value)


def _integer(claims: Claims, name: str, meaning: str) -> int:
    text = _system_claim(claims, name) or ""
    if not (text.isascii() and text.isdigit()):
        _refuse(name, meaning)
    return int(text)


def _refuse(name: str, meaning: str) -> NoReturn:
    text = f"The claim {name} must be {meaning}."
    refuse_with_text(400, text)
