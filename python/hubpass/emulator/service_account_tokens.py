"""Tokens of Kubernetes service accounts, signed by the issuer of a cluster that exists only here."""

from __future__ import annotations

import uuid

from hubpass.emulator.signing_keys import ALGORITHM, SigningKey
from hubpass.emulator.tokens import ParsedToken

ISSUER_ALGORITHMS = [ALGORITHM]


class ServiceAccountTokens:
    """The cluster's issuer. Its `url` ends with a slash, as that of Azure Kubernetes Service does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._key = SigningKey()

    def issue(self, namespace: str, name: str, audience: str, now: float, lifetime: float) -> str:
        """A token of a service account that expires `lifetime` seconds after `now` (Unix seconds)."""
        issued = int(now)
        return self._key.sign(
            {
                "aud": [audience],
                "exp": issued + int(lifetime),
                "iat": issued,
                "nbf": issued,
                "iss": self.url,
                "jti": str(uuid.uuid4()),
                "sub": f"system:serviceaccount:{namespace}:{name}",
                "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": str(uuid.uuid4())}},
            }
        )

    def rotate_key(self) -> None:
        """Sign with a new key; tokens of the old one are refused from now on."""
        self._key = SigningKey()

    def has_signed(self, token: ParsedToken) -> bool:
        """Whether the present key made the signature."""
        named = token.algorithm == ALGORITHM and token.header.get("kid") == self._key.key_id
        return named and self._key.verifies(token.signing_input, token.signature)

    def key_set(self) -> dict[str, object]:
        """The public key as a JSON Web Key Set."""
        return self._key.key_set()
