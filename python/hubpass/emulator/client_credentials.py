"""What a client of Entra can prove its identity with: secrets, certificates, and tokens of other issuers."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa

from hubpass.emulator.signing_keys import base64url

SecretVerdict = Literal["valid", "expired", "unknown"]


@dataclass(frozen=True)
class ClientSecret:
    """A secret that counts until `expires_at` in Unix seconds (None: for ever)."""

    text: str = field(repr=False)
    expires_at: float | None = None


@dataclass(frozen=True)
class RegisteredCertificate:
    """The public half of a certificate that assertions are signed with. Times are Unix seconds."""

    thumbprint: str
    sha256_thumbprint: str
    x5t: str
    x5t_s256: str
    public_key: rsa.RSAPublicKey
    not_before: float
    not_after: float


@dataclass(frozen=True)
class FederatedCredential:
    """Trust in one subject of another issuer; the three texts must match an assertion exactly, case included."""

    issuer: str
    subject: str
    audience: str


@dataclass
class Credentials:
    """Everything that counts for one client."""

    secrets: list[ClientSecret] = field(default_factory=list)
    certificates: list[RegisteredCertificate] = field(default_factory=list)
    federated: list[FederatedCredential] = field(default_factory=list)

    def clear(self) -> None:
        """Let nothing count any more."""
        for kind in (self.secrets, self.certificates, self.federated):
            kind.clear()

    def secret_verdict(self, text: str, now: float) -> SecretVerdict:
        """Whether the text is a secret of the client, and whether it still counts."""
        for secret in self.secrets:
            if hmac.compare_digest(secret.text.encode(), text.encode()):
                return "valid" if secret.expires_at is None or now < secret.expires_at else "expired"
        return "unknown"

    def certificate(self, header: Mapping[str, object]) -> RegisteredCertificate | None:
        """The certificate whose thumbprint the header of an assertion names, in `x5t#S256` or in `x5t`."""
        strong, weak = header.get("x5t#S256"), header.get("x5t")
        for found in self.certificates:
            # Thumbprints with the padding of Base64 are sent as well.
            if isinstance(strong, str) and strong.rstrip("=") == found.x5t_s256:
                return found
            if strong is None and isinstance(weak, str) and weak.rstrip("=") == found.x5t:
                return found
        return None


def registered(certificate: x509.Certificate) -> RegisteredCertificate:
    """What Entra keeps of a certificate that was uploaded; raises `TypeError` unless its key is an RSA key."""
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("the key of the certificate is not an RSA key")
    # The thumbprint is an identifier that the protocol prescribes; nothing relies on its being hard to forge.
    weak, strong = certificate.fingerprint(hashes.SHA1()), certificate.fingerprint(hashes.SHA256())  # noqa: S303
    return RegisteredCertificate(
        thumbprint=weak.hex().upper(),
        sha256_thumbprint=strong.hex().upper(),
        x5t=base64url(weak),
        x5t_s256=base64url(strong),
        public_key=key,
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
    )
