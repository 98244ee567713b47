"""RSA keys that sign JSON Web Tokens with RS256 and publish their public half as a JSON Web Key Set."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cached_property

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ALGORITHM = "RS256"
_KEY_BITS = 2048


class SigningKey:
    """A key of this run."""

    def sign(self, claims: Mapping[str, object]) -> str:
        """A token with these claims, whose header names the key."""
        header = {"typ": "JWT", "alg": ALGORITHM, "kid": self.key_id}
        signing_input = f"{json_part(header)}.{json_part(claims)}"
        signature = self._key.sign(signing_input.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signing_input}.{base64url(signature)}"

    def verifies(self, signing_input: bytes, signature: bytes) -> bool:
        """Whether this key made the signature."""
        try:
            self._key.public_key().verify(signature, signing_input, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def key_set(self) -> dict[str, object]:
        """The public key as a JSON Web Key Set."""
        numbers = self._key.public_key().public_numbers()
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "kid": self.key_id,
                    "n": base64url(numbers.n.to_bytes(_KEY_BITS // 8, "big")),
                    "e": base64url(numbers.e.to_bytes(3, "big")),
                }
            ]
        }

    @cached_property
    def key_id(self) -> str:
        """The id of the key: a hash of its public half."""
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64url(hashlib.sha256(public).digest()[:20])

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        # Made at first use: it takes a tenth of a second, which a run without Entra need not pay.
        return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


def base64url(content: bytes) -> str:
    """Base64url without padding, as JSON Web Tokens have it."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def json_part(content: Mapping[str, object]) -> str:
    """A part of a JSON Web Token."""
    return base64url(json.dumps(content, separators=(",", ":")).encode())
