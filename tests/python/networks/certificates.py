"""Certificates as authorities issue them and as they go wrong, and TLS servers that show them."""

import datetime as dt
import ipaddress
import ssl
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from typing_extensions import Self

DAY = dt.timedelta(days=1)
PEM = serialization.Encoding.PEM


def now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


@dataclass
class Certificate:
    """A certificate with its key and the certificates that vouch for it, its issuer's first."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    issuers: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    def write(self, path: Path) -> Path:
        """Put the certificate, without its key, into a file for ``ca_file=``."""
        path.write_bytes(self.pem)
        return path

    def context(self, *, chain: bool = True) -> ssl.SSLContext:
        """TLS of a server that shows this certificate, with those of intermediate issuers unless ``chain`` is false."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        key = self.key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        shown = [issuer for issuer in self.issuers if issuer.issuer != issuer.subject] if chain else []
        with TemporaryDirectory() as folder:
            file = Path(folder) / "server.pem"
            file.write_bytes(key + self.pem + b"".join(issuer.public_bytes(PEM) for issuer in shown))
            context.load_cert_chain(file)
        return context

    def old_context(self) -> ssl.SSLContext:
        """TLS of a server that was forgotten: it knows no version after 1.1."""
        context = self.context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context

    def mutual_context(self) -> ssl.SSLContext:
        """TLS of a server that wants a certificate of its client."""
        context = self.context()
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=self.pem.decode())
        return context


class Authority(Certificate):
    """An issuer of certificates."""

    @classmethod
    def root(cls, name: str = "root") -> Self:
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(_sign(name, key, None, is_authority=True), key)

    def intermediate(self, name: str = "issuer", until: dt.timedelta = DAY) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        made = _sign(name, key, self, until=until, is_authority=True)
        return Authority(made, key, (self.certificate, *self.issuers))

    def issue(
        self,
        *names: str,
        since: dt.timedelta = -DAY,
        until: dt.timedelta = DAY,
        for_clients: bool = False,
    ) -> Certificate:
        """Issue a server's certificate, valid from ``since`` to ``until``, both counted from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _sign(names[0], key, self, names=names, since=since, until=until, for_clients=for_clients)
        return Certificate(made, key, (self.certificate, *self.issuers))


def self_signed(*names: str, is_authority: bool = False) -> Certificate:
    """A certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Certificate(_sign(names[0], key, None, names=names, is_authority=is_authority), key)


def _sign(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: Certificate | None,
    *,
    names: Sequence[str] = (),
    since: dt.timedelta = -DAY,
    until: dt.timedelta = DAY,
    is_authority: bool = False,
    for_clients: bool = False,
) -> x509.Certificate:
    # No authority of this machine has such a name, which would be taken for the issuer's.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Contoso's {subject}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() + since)
        .not_valid_after(now() + until)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if for_clients else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(alternatives, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(key if issuer is None else issuer.key, hashes.SHA256())


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
