"""Client tokens that the service makes itself when `:generateToken` asks for one.

They are signed with a key of the service that nobody else has, so they go on working where access keys are disabled.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from hubpass.emulator.access_keys import is_signed_with
from hubpass.emulator.redaction import Redactor
from hubpass.emulator.signing_keys import base64url, json_part
from hubpass.emulator.tokens import ParsedToken

ALGORITHM = "HS256"
# Names the identity that asked for the token, by Entra's own name for an object id. The service has to remember it in
# some way, since the identity must be allowed to connect when the token is used; the claims say only what was asked.
_GENERATOR = "oid"


@dataclass(frozen=True)
class TokenOrder:
    """What a token is to say; the lifetime is in seconds, `user_id` is None for an anonymous client."""

    audience: str
    user_id: str | None
    roles: Sequence[str]
    groups: Sequence[str]
    lifetime: int


class ClientTokenIssuer:
    """Signs tokens and recognises them."""

    def __init__(self, redactor: Redactor) -> None:
        self._key = secrets.token_urlsafe(32)
        redactor.learn(self._key)
        self._key_id = str(uuid.uuid4())

    def issue(self, order: TokenOrder, object_id: str, now: float) -> str:
        """A token that is valid from `now` (Unix seconds) on."""
        claims: dict[str, object] = {"aud": order.audience, "nbf": int(now), "exp": int(now) + order.lifetime}
        if order.user_id is not None:
            claims["sub"] = order.user_id
        if order.roles:
            claims["role"] = list(order.roles)
        if order.groups:
            claims["webpubsub.group"] = list(order.groups)
        header = {"alg": ALGORITHM, "kid": self._key_id, "typ": "JWT", _GENERATOR: object_id}
        signing_input = f"{json_part(header)}.{json_part(claims)}"
        signature = hmac.new(self._key.encode(), signing_input.encode(), hashlib.sha256).digest()
        return f"{signing_input}.{base64url(signature)}"

    def names_key_of(self, token: ParsedToken) -> bool:
        """Whether the token says that it was made here."""
        return token.header.get("kid") == self._key_id

    def generator_of(self, token: ParsedToken) -> str:
        """The object id of the identity that asked for a token which was made here."""
        return str(token.header[_GENERATOR])

    def has_signed(self, token: ParsedToken) -> bool:
        """Whether it really was."""
        return token.algorithm == ALGORITHM and is_signed_with(
            self._key, token.algorithm, token.signing_input, token.signature
        )
