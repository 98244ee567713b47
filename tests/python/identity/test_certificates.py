"""Certificates: files as tools write them, and assertions that PyJWT accepts."""

import base64
import datetime as dt
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from hubpass import ClientAuthenticationError, InvalidArgumentError
from identity.doubles import CLIENT, TENANT, Entra, Kind, get

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
PKCS8, PKCS1 = serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL
PLAIN = serialization.NoEncryption()
ENCRYPTED = serialization.BestAvailableEncryption(b"p\xc3\xa4ss")
PASSWORD = "päss"


def certificate(key: Any, name: str) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now)
    return builder.not_valid_after(now + dt.timedelta(days=1)).sign(key, hashes.SHA256())


KEY = rsa.generate_private_key(65537, 2048)
OWN = certificate(KEY, "app")
ISSUER = certificate(rsa.generate_private_key(65537, 2048), "issuer")
CERTIFICATES = OWN.public_bytes(PEM) + ISSUER.public_bytes(PEM)


def pkcs12_file(encryption: Any) -> bytes:
    return pkcs12.serialize_key_and_certificates(b"app", KEY, OWN, [ISSUER], encryption)


def older(algorithm: Any, hash_: Any) -> Any:
    builder = PKCS12.encryption_builder().kdf_rounds(2048).key_cert_algorithm(algorithm).hmac_hash(hash_)
    return builder.build(PASSWORD.encode())


PKCS12 = serialization.PrivateFormat.PKCS12
AES, DES = pkcs12.PBES.PBESv2SHA256AndAES256CBC, pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC

FILES: dict[str, tuple[bytes, str | None]] = {
    "PKCS#8": (KEY.private_bytes(PEM, PKCS8, PLAIN) + CERTIFICATES, None),
    "PKCS#1": (KEY.private_bytes(PEM, PKCS1, PLAIN) + CERTIFICATES, None),
    "encrypted PKCS#8": (KEY.private_bytes(PEM, PKCS8, ENCRYPTED) + CERTIFICATES, PASSWORD),
    "certificates first": (CERTIFICATES + KEY.private_bytes(PEM, PKCS8, PLAIN), None),
    "issuer first": (
        ISSUER.public_bytes(PEM) + OWN.public_bytes(PEM) + KEY.private_bytes(PEM, PKCS8, PLAIN),
        None,
    ),
    "with text": (
        b"Bag Attributes: x\n" + KEY.private_bytes(PEM, PKCS8, PLAIN) + b"\nsubject=x\n" + CERTIFICATES,
        None,
    ),
    "PKCS#12": (pkcs12_file(ENCRYPTED), PASSWORD),
    "PKCS#12 of OpenSSL 3": (pkcs12_file(older(AES, hashes.SHA256())), PASSWORD),
    "PKCS#12 of Windows": (pkcs12_file(older(DES, hashes.SHA1())), PASSWORD),  # noqa: S303 - what Windows writes
    "PKCS#12 with SHA-512": (pkcs12_file(older(AES, hashes.SHA512())), PASSWORD),
    "PKCS#12 without password": (pkcs12_file(PLAIN), None),
}


def thumbprint(algorithm: hashes.HashAlgorithm) -> str:
    return base64.urlsafe_b64encode(OWN.fingerprint(algorithm)).decode().rstrip("=")


def assertion_of(entra: Entra, tenant: str = TENANT) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of the assertion that has arrived, of which PyJWT has verified everything."""
    received, form = entra.take()
    assertion = form["client_assertion"]
    header = jwt.get_unverified_header(assertion)
    claims: dict[str, Any] = jwt.decode(
        assertion,
        KEY.public_key(),
        algorithms=[header["alg"]],
        audience=f"{entra.authority}{received.path}",
        options={"require": ["aud", "iss", "sub", "jti", "nbf", "iat", "exp"]},
    )
    assert tenant in received.path
    return header, claims


@pytest.mark.parametrize("as_bytes", [False, True], ids=["path", "bytes"])
@pytest.mark.parametrize("name", FILES)
def test_files_of_every_form(kind: Kind, entra: Entra, tmp_path: Path, name: str, as_bytes: bool) -> None:
    content, password = FILES[name]
    options: dict[str, Any] = {"password": password} if password else {}
    if as_bytes:
        options["certificate_data"] = content
    else:
        (tmp_path / "certificate").write_bytes(content)
        options["certificate_path"] = tmp_path / "certificate"
    get(kind.make("CertificateCredential", TENANT, CLIENT, **options, **entra.options))
    header, claims = assertion_of(entra)
    assert header == {"typ": "JWT", "alg": "PS256", "x5t#S256": thumbprint(hashes.SHA256())}
    assert (claims["iss"], claims["sub"]) == (CLIENT, CLIENT)
    assert claims["exp"] - claims["iat"] == 600


@pytest.mark.parametrize("name", ["PKCS#8", "issuer first", "PKCS#12"])
def test_the_chain_is_sent_on_request(kind: Kind, entra: Entra, name: str) -> None:
    content, password = FILES[name]
    options = {"certificate_data": content, "password": password and password.encode(), "send_certificate_chain": True}
    get(kind.make("CertificateCredential", TENANT, CLIENT, **options, **entra.options))
    header, _ = assertion_of(entra)
    assert [base64.b64decode(one) for one in header["x5c"]] == [OWN.public_bytes(DER), ISSUER.public_bytes(DER)]


def test_adfs_gets_the_older_algorithms(kind: Kind, entra: Entra) -> None:
    get(kind.make("CertificateCredential", "adfs", CLIENT, certificate_data=FILES["PKCS#8"][0], **entra.options))
    header, _ = assertion_of(entra, "adfs")
    assert header == {"typ": "JWT", "alg": "RS256", "x5t": thumbprint(hashes.SHA1())}  # noqa: S303 - what x5t is


def test_a_renewed_file_is_used_at_the_next_exchange(kind: Kind, entra: Entra, tmp_path: Path) -> None:
    file = tmp_path / "certificate"
    credential = kind.make("CertificateCredential", TENANT, CLIENT, str(file), **entra.options)
    with pytest.raises(ClientAuthenticationError) as caught:
        get(credential, "https://a/.default")
    assert caught.value.code == "certificate_unusable"
    assert str(file) not in str(caught.value)
    assert entra.is_idle
    file.write_bytes(FILES["PKCS#8"][0])
    get(credential, "https://b/.default")
    assertion_of(entra)


EC = ec.generate_private_key(ec.SECP256R1())
SMALL = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is refused
PASSPHRASE = b"""-----BEGIN RSA PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,00

AAAA
-----END RSA PRIVATE KEY-----
"""


@pytest.mark.parametrize(
    ("content", "password", "hint"),
    [
        (b"", None, "certificate_path="),
        (b"canary", None, "certificate_path="),
        (b"-----BEGIN PRIVATE KEY-----\ncanary\n", None, "certificate_path="),
        (CERTIFICATES, None, "certificate_path="),
        (KEY.private_bytes(PEM, PKCS8, PLAIN), None, "cat key.pem certificate.pem"),
        (KEY.private_bytes(PEM, PKCS8, PLAIN) + ISSUER.public_bytes(PEM), None, "cat key.pem certificate.pem"),
        (EC.private_bytes(PEM, PKCS8, PLAIN) + certificate(EC, "ec").public_bytes(PEM), None, "rsa:2048"),
        (EC.private_bytes(PEM, PKCS1, PLAIN) + certificate(EC, "ec").public_bytes(PEM), None, "rsa:2048"),
        (SMALL.private_bytes(PEM, PKCS8, PLAIN) + certificate(SMALL, "small").public_bytes(PEM), None, "rsa:2048"),
        (PASSPHRASE + CERTIFICATES, "canary", "openssl pkcs8 -topk8"),
        (FILES["encrypted PKCS#8"][0], "canary", "password="),
        (FILES["encrypted PKCS#8"][0], None, "password="),
        (FILES["PKCS#12"][0], "canary", "password="),
        (FILES["PKCS#12"][0], None, "password="),
        (FILES["PKCS#12"][0][:-40], PASSWORD, "certificate_path="),
    ],
)
def test_what_cannot_be_used(kind: Kind, tmp_path: Path, content: bytes, password: str | None, hint: str) -> None:
    (tmp_path / "certificate").write_bytes(content)
    options = {"password": password}
    from_file = kind.make("CertificateCredential", TENANT, CLIENT, tmp_path / "certificate", **options)
    with pytest.raises(ClientAuthenticationError) as of_file:
        get(from_file)
    errors = [of_file.value]
    if content:
        with pytest.raises(ClientAuthenticationError) as of_bytes:
            kind.make("CertificateCredential", TENANT, CLIENT, certificate_data=content, **options)
        errors.append(of_bytes.value)
    for error in errors:
        assert error.code == "certificate_unusable"
        assert hint in error.hint
        assert "canary" not in str(error)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"certificate_path": "a", "certificate_data": b"b"},
        {"certificate_path": 5},
        {"certificate_data": "text"},
        {"certificate_path": "a", "password": 5},
        {"certificate_path": "a", "send_certificate_chain": "yes"},
    ],
)
def test_arguments_that_cannot_be_used(kind: Kind, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        kind.make("CertificateCredential", TENANT, CLIENT, **options)
    assert caught.value.code == "invalid_argument"
    assert "Pass " in caught.value.hint


def test_the_environment_names_a_certificate(
    kind: Kind, entra: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "certificate").write_bytes(FILES["PKCS#12"][0])
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PATH", str(tmp_path / "certificate"))
    monkeypatch.setenv("AZURE_CLIENT_CERTIFICATE_PASSWORD", PASSWORD)
    monkeypatch.setenv("AZURE_CLIENT_SEND_CERTIFICATE_CHAIN", "true")
    get(kind.make("EnvironmentCredential", **entra.options))
    assert len(assertion_of(entra)[0]["x5c"]) == 2
