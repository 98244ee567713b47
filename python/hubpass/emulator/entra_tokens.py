"""Entra access tokens: signed with RS256 by a key of this run, published as a JSON Web Key Set.

The claims are those of an access token of version 1.0, for an application or for a user, which is what a resource
such as Azure SignalR Service gets, also from the v2.0 endpoint (article "Access token claims reference" of the
Microsoft identity platform).
"""

from __future__ import annotations

import secrets

from hubpass.emulator.directory import Principal
from hubpass.emulator.signing_keys import ALGORITHM, SigningKey
from hubpass.emulator.tokens import ParsedToken, refuse

# Entra dates its tokens back, which forgives resources whose clock is behind.
BACKDATED_SECONDS = 300


class TokenIssuer:
    """Signs and checks Entra tokens. `authority` is the URL of the token endpoint's server."""

    def __init__(self, authority: str) -> None:
        self.authority = authority
        self._key = SigningKey()

    def issuer(self, tenant_id: str) -> str:
        """The `iss` of the tenant's tokens."""
        return f"{self.authority}/{tenant_id}/"

    def issue(self, principal: Principal, audience: str, now: float, lifetime: int) -> str:
        """An access token for `audience` that expires `lifetime` seconds after `now` (Unix seconds)."""
        issued = int(now) - BACKDATED_SECONDS
        claims = {
            "aud": audience,
            "iss": self.issuer(principal.tenant_id),
            "iat": issued,
            "nbf": issued,
            "exp": int(now) + lifetime,
            "appid": principal.client_id,
            "idp": self.issuer(principal.tenant_id),
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": principal.tenant_id,
            # Two tokens of the same second differ, as Entra's do.
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        if principal.user_name is None:
            claims.update(appidacr="1", idtyp="app")
        else:
            name = principal.user_name
            claims.update(appidacr="0", idtyp="user", scp="user_impersonation", unique_name=name, upn=name)
        return self._key.sign(claims)

    def check_signature(self, token: ParsedToken) -> None:
        """Refuse a token that this issuer did not sign."""
        if token.algorithm != ALGORITHM:
            refuse(f"the algorithm of an Entra token is {ALGORITHM}", "The signature is invalid")
        if token.header.get("kid") != self._key.key_id:
            refuse("the token's kid is not that of Entra's key", "The signature key was not found")
        if not self._key.verifies(token.signing_input, token.signature):
            refuse("Entra's key does not verify the signature", "The signature is invalid")

    def key_set(self) -> dict[str, object]:
        """The public key as a JSON Web Key Set."""
        return self._key.key_set()
