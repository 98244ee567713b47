"""Certificates for applications, made on order: self-signed or by an authority of their own, in files.

The files hold private keys, which is what clients need; they are in the directory of the run.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from hubpass.emulator.run_directory import write_private

_KEY_BITS = 2048
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class CertificateFiles:
    """A certificate with its files: key and chain in PEM and in PKCS#12, and the certificate alone."""

    certificate: x509.Certificate
    pem_file: Path
    pkcs12_file: Path
    certificate_file: Path


def new_certificate(
    directory: Path, now: float, *, valid_for: float, password: str | None, with_authority: bool
) -> CertificateFiles:
    """Make a certificate that is valid for `valid_for` seconds from `now` (Unix seconds), and write its files.

    `password` protects the keys in both files; None leaves them open. `with_authority` adds an issuing authority to
    the chain instead of signing the certificate with its own key.
    """
    key = _new_key()
    subject = _name(f"hubpass local application {uuid.uuid4()}")
    end = dt.datetime.fromtimestamp(now + valid_for, dt.timezone.utc)
    # A day in the past, unless the certificate is to be over sooner than that.
    begin = dt.datetime.fromtimestamp(now, dt.timezone.utc) - _DAY
    if end <= begin:
        begin = end - _DAY
    chain: list[x509.Certificate] = []
    issuer, issuer_key = subject, key
    if with_authority:
        issuer, issuer_key = _name("hubpass local application authority"), _new_key()
        chain.append(_signed(issuer, issuer, issuer_key.public_key(), issuer_key, begin, end, authority=True))
    certificate = _signed(subject, issuer, key.public_key(), issuer_key, begin, end, authority=False)
    return _written(directory, key, certificate, chain, password)


def _written(
    directory: Path,
    key: rsa.RSAPrivateKey,
    certificate: x509.Certificate,
    chain: list[x509.Certificate],
    password: str | None,
) -> CertificateFiles:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password.encode())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    shown = [one.public_bytes(serialization.Encoding.PEM) for one in (certificate, *chain)]
    name = certificate.fingerprint(hashes.SHA256()).hex()[:16]
    files = CertificateFiles(certificate, *(directory / f"{name}{suffix}" for suffix in (".pem", ".pfx", ".cer")))
    write_private(files.pem_file, b"".join([pem, *shown]))
    write_private(
        files.pkcs12_file, pkcs12.serialize_key_and_certificates(b"application", key, certificate, chain, encryption)
    )
    write_private(files.certificate_file, shown[0])
    return files


def _signed(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPublicKey,
    issuer_key: rsa.RSAPrivateKey,
    begin: dt.datetime,
    end: dt.datetime,
    *,
    authority: bool,
) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(issuer_key, hashes.SHA256())
    )


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
