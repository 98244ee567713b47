"""Entra access tokens: signed with RS256 by a key of this run, published as a JSON Web Key Set.

The claims are those of an access token of version 1.0 for an application, which is what a resource such as
Azure SignalR Service gets, also from the v2.0 endpoint (article "Access token claims reference" of the
Microsoft identity platform).
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hubpass.emulator.directory import Principal
from hubpass.emulator.tokens import ParsedToken, refuse

ALGORITHM = "RS256"
_KEY_BITS = 2048
# Entra dates its tokens back, which forgives resources whose clock is behind.
_BACKDATED_SECONDS = 300


class TokenIssuer:
    """Signs and checks Entra tokens. `authority` is the URL of the token endpoint's server."""

    def __init__(self, authority: str) -> None:
        self.authority = authority

    def issuer(self, tenant_id: str) -> str:
        """The `iss` of the tenant's tokens."""
        return f"{self.authority}/{tenant_id}/"

    def issue(self, principal: Principal, audience: str, now: float, lifetime: int) -> str:
        """An access token for `audience` that expires `lifetime` seconds after `now` (Unix seconds)."""
        issued = int(now) - _BACKDATED_SECONDS
        header = {"typ": "JWT", "alg": ALGORITHM, "kid": self.key_id}
        claims = {
            "aud": audience,
            "iss": self.issuer(principal.tenant_id),
            "iat": issued,
            "nbf": issued,
            "exp": int(now) + lifetime,
            "appid": principal.client_id,
            "appidacr": "1",
            "idp": self.issuer(principal.tenant_id),
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": principal.tenant_id,
            # Two tokens of the same second differ, as Entra's do.
            "uti": secrets.token_urlsafe(16),
            "ver": "1.0",
        }
        signing_input = f"{_json_part(header)}.{_json_part(claims)}"
        signature = self._key.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signing_input}.{_base64url(signature)}"

    def check_signature(self, token: ParsedToken) -> None:
        """Refuse a token that this issuer did not sign."""
        if token.algorithm != ALGORITHM:
            refuse(f"the algorithm of an Entra token is {ALGORITHM}", "The signature is invalid")
        if token.header.get("kid") != self.key_id:
            refuse("the token's kid is not that of Entra's key", "The signature key was not found")
        try:
            self._key.public_key().verify(token.signature, token.signing_input, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            refuse("Entra's key does not verify the signature", "The signature is invalid")

    def key_set(self) -> dict[str, object]:
        """The public key as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "kid": self.key_id,
                    "n": _base64url(numbers.n.to_bytes(_KEY_BITS // 8, "big")),
                    "e": _base64url(numbers.e.to_bytes(3, "big")),
                }
            ]
        }

    @cached_property
    def key_id(self) -> str:
        """The id of the key: a hash of its public half."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return _base64url(hashlib.sha256(public).digest()[:20])

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        # Made at first use: it takes a tenth of a second, which a run without Entra need not pay.
        return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


def _json_part(content: Mapping[str, object]) -> str:
    return _base64url(json.dumps(content, separators=(",", ":")).encode())


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
