"""The certificate authority of one run, and the TLS server certificate that it signs.

Entra is reached over https only, so the local one needs a certificate. Its authority exists for one run: the
authority's private key stays in memory and is dropped as soon as it has signed the one certificate that there
is, so trusting the authority's certificate lets nobody else in.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import secrets
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# A demo may run for weeks; a day in the past forgives a machine whose clock is being corrected.
_VALID_BEFORE = dt.timedelta(days=1)
_VALID_FOR = dt.timedelta(days=365)
_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, repr=False)
class ServerCertificate:
    """What a TLS server needs (`context`) and what its clients need (`authority`, the PEM of the CA)."""

    context: ssl.SSLContext
    authority: bytes


def new_server_certificate(host: str) -> ServerCertificate:
    """A certificate for `host` and the usual loopback names, signed by an authority made for it alone."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("Hubpass local Azure, authority of one run")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_alternative_name(name) for name in dict.fromkeys((host, *_LOOPBACK_NAMES))]
    leaf = (
        _builder(_name("Hubpass local Azure"), authority_name, key.public_key(), authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    return ServerCertificate(_context(key, leaf.public_bytes(encoding)), authority.public_bytes(encoding))


@contextmanager
def authority_file(certificate: ServerCertificate) -> Iterator[Path]:
    """The authority's certificate, which is public, in a file that is gone when the block ends."""
    handle, name = tempfile.mkstemp(prefix="hubpass-local-azure-ca-", suffix=".pem")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(certificate.authority)
        yield path
    finally:
        path.unlink(missing_ok=True)


def _context(key: ec.EllipticCurvePrivateKey, chain: bytes) -> ssl.SSLContext:
    """The TLS context of the server.

    `ssl` loads keys from named files only. So the file holds the key encrypted with a password that exists in
    memory alone, and it is removed before anybody is served: nothing that could reach a disk is usable. This
    works on every platform, which anonymous files do not.
    """
    password = secrets.token_hex(16)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    handle, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(encrypted + chain)
        context.load_cert_chain(name, password=password)
    finally:
        Path(name).unlink()
    return context


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer_key: ec.EllipticCurvePublicKey,
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    # Strict verifiers, such as that of Python 3.13, insist on both key identifiers.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALID_BEFORE)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _alternative_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
