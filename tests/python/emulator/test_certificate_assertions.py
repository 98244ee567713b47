"""Certificate credentials at the local Entra: what azure-identity sends, and one refusal for each defect."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential
from azure.identity.aio import CertificateCredential as AsyncCertificateCredential
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from emulator.identity_support import (
    asked_with_assertion,
    certificate_assertion,
    entra_options,
    is_good_for_a_key,
    number_of,
    object_id_of,
    sha1_header,
    token_of,
    token_of_async,
)
from emulator.support import ABSENT, SCOPE, Azure
from hubpass.emulator import Certificate, ControlError

OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PASSWORD = "certificate canary 4711"


@pytest.fixture(scope="module")
def certificate(shared_azure: Azure) -> Certificate:
    return shared_azure.control.identity.add_certificate(shared_azure.emulator.client_id)


@pytest.fixture
def strict(azure: Azure) -> Iterator[Azure]:
    """An emulator that demands of assertions what a careful client does anyhow."""
    azure.control.identity.set_assertion_policy(refuse_replays=True, longest_life=600)
    yield azure
    azure.control.identity.set_assertion_policy()


def credential(azure: Azure, path: str, kind: Any = CertificateCredential, **options: Any) -> Any:
    emulator = azure.emulator
    return kind(emulator.tenant_id, emulator.client_id, path, **entra_options(azure), **options)


@pytest.mark.parametrize("file", ["pem_file", "pkcs12_file"])
@pytest.mark.parametrize("password", [None, PASSWORD])
@pytest.mark.parametrize("chain", [False, True])
def test_azure_identity_gets_a_token(azure: Azure, file: str, password: str | None, chain: bool) -> None:
    made = azure.control.identity.add_certificate(azure.emulator.client_id, password=password, with_authority=chain)
    token = token_of(credential(azure, getattr(made, file), password=password, send_certificate_chain=chain))
    assert object_id_of(token) == azure.emulator.object_id
    assert is_good_for_a_key(azure, token)


def test_asynchronous_azure_identity_gets_a_token(azure: Azure, certificate: Certificate) -> None:
    # It pads everything as Base64.
    token = asyncio.run(token_of_async(credential(azure, certificate.pem_file, AsyncCertificateCredential)))
    assert is_good_for_a_key(azure, token)


def test_azure_identity_is_refused(azure: Azure) -> None:
    identity = azure.control.identity
    unknown = identity.add_certificate(azure.emulator.client_id, registered=False)
    expired = identity.add_certificate(azure.emulator.client_id, valid_for=-60)
    for made, text in ((unknown, "The key was not found"), (expired, "The key used is expired")):
        with pytest.raises(ClientAuthenticationError, match=f"(?s)AADSTS700027.*{text}.*{made.thumbprint}"):
            token_of(credential(azure, made.pem_file))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
@pytest.mark.parametrize("thumbprint", ["x5t", "x5t#S256"])
def test_both_algorithms_and_both_thumbprints_are_good(
    strict: Azure, certificate: Certificate, algorithm: str, thumbprint: str
) -> None:
    headers = sha1_header(certificate) if thumbprint == "x5t" else {}
    assertion = certificate_assertion(strict, certificate, algorithm=algorithm, headers=headers)
    token = asked_with_assertion(strict, assertion).raise_for_status().json()["access_token"]
    assert object_id_of(token) == strict.emulator.object_id
    assert strict.control.journal("token")[-1].object_id == strict.emulator.object_id


@pytest.mark.parametrize("form", ["oauth2/v2.0/token", "oauth2/token", "v2.0", ""])
def test_the_audience_is_the_token_endpoint_or_the_issuer(strict: Azure, certificate: Certificate, form: str) -> None:
    audience = f"{strict.emulator.authority}/{strict.emulator.tenant_id}/{form}"
    assert asked_with_assertion(strict, certificate_assertion(strict, certificate, aud=audience)).status_code == 200


def test_what_entra_lets_be_absent(strict: Azure, certificate: Certificate) -> None:
    assertion = certificate_assertion(strict, certificate, nbf=ABSENT)
    assert asked_with_assertion(strict, assertion).status_code == 200


Assertion = Callable[[Azure, Certificate], str]


def with_claims(**claims: Any) -> Assertion:
    return lambda azure, certificate: certificate_assertion(azure, certificate, **claims)


def at(name: str, seconds: float) -> Assertion:
    """An assertion with a time that is so many seconds from now."""

    def make(azure: Azure, certificate: Certificate) -> str:
        claims: dict[str, Any] = {name: int(azure.control.state().now + seconds)}
        return certificate_assertion(azure, certificate, **claims)

    return make


def for_tenant(tenant_id: str) -> Assertion:
    return lambda azure, certificate: certificate_assertion(
        azure, certificate, aud=f"{azure.emulator.authority}/{tenant_id}/oauth2/v2.0/token"
    )


def damaged(azure: Azure, certificate: Certificate) -> str:
    head, _, signature = certificate_assertion(azure, certificate).rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


OTHER_ID = str(uuid.uuid4())
DEFECTS: dict[str, tuple[Assertion, int, str, int]] = {
    "another key": (with_claims(key=OTHER_KEY), 401, "invalid_client", 700027),
    "a damaged signature": (damaged, 401, "invalid_client", 700027),
    "an unknown thumbprint": (with_claims(headers={"x5t#S256": "QUFB"}), 401, "invalid_client", 700027),
    "no thumbprint": (with_claims(headers={"x5t#S256": ABSENT}), 401, "invalid_client", 5002723),
    "another algorithm": (with_claims(algorithm="RS384"), 401, "invalid_client", 700027),
    "no algorithm": (with_claims(algorithm="none"), 400, "invalid_request", 50027),
    "another type": (with_claims(headers={"typ": "at+jwt"}), 400, "invalid_request", 5002727),
    "a chain that is no list": (with_claims(headers={"x5c": "QUFB"}), 401, "invalid_client", 700027),
    "a chain of no certificate": (with_claims(headers={"x5c": ["QUFB"]}), 401, "invalid_client", 700027),
    "another issuer": (with_claims(iss=OTHER_ID), 401, "invalid_client", 700021),
    "another subject": (with_claims(sub=OTHER_ID), 401, "invalid_client", 700021),
    "another audience": (with_claims(aud="https://example.com"), 401, "invalid_client", 700023),
    "another tenant's audience": (for_tenant(OTHER_ID), 401, "invalid_client", 700023),
    "no audience": (with_claims(aud=ABSENT), 401, "invalid_client", 700023),
    "no expiry": (with_claims(exp=ABSENT), 400, "invalid_request", 50027),
    "an expiry that is no number": (with_claims(exp="soon"), 400, "invalid_request", 50027),
    "expired": (at("exp", -1), 401, "invalid_client", 700024),
    "not yet valid": (at("nbf", 60), 401, "invalid_client", 700024),
    "no jti": (with_claims(jti=ABSENT), 400, "invalid_request", 50027),
    "no token at all": (lambda _, __: "no.token", 400, "invalid_request", 50027),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defective_assertion_is_refused(azure: Azure, certificate: Certificate, defect: str) -> None:
    make, status, error, number = DEFECTS[defect]
    answer = asked_with_assertion(azure, make(azure, certificate))
    assert (number_of(answer), answer.status_code, answer.json()["error"]) == (number, status, error)
    entry = azure.control.journal("token")[-1]
    assert (entry.action, (entry.reason or "").partition(":")[0]) == ("refused", f"AADSTS{number}")
    assert asked_with_assertion(azure, certificate_assertion(azure, certificate)).status_code == 200


def test_the_chain_begins_with_the_certificate_as_base64_of_its_der(azure: Azure, certificate: Certificate) -> None:
    der = x509.load_pem_x509_certificate(Path(certificate.pem_file).read_bytes()).public_bytes(
        serialization.Encoding.DER
    )
    other = azure.control.identity.add_certificate(azure.emulator.client_id)
    pem = Path(certificate.certificate_file).read_bytes()
    for content, number in (
        (base64.b64encode(der).decode(), None),
        (base64.b64encode(pem).decode(), 700027),
        ("".join(Path(other.certificate_file).read_text(encoding="ascii").splitlines()[1:-1]), 700027),
    ):
        answer = asked_with_assertion(azure, certificate_assertion(azure, certificate, headers={"x5c": [content]}))
        assert (None if answer.status_code == 200 else number_of(answer)) == number


def test_a_replay_is_refused_on_order(strict: Azure, certificate: Certificate) -> None:
    assertion = certificate_assertion(strict, certificate)
    assert asked_with_assertion(strict, assertion).status_code == 200
    replayed = asked_with_assertion(strict, assertion)
    assert (replayed.status_code, number_of(replayed)) == (400, 50027)
    assert "'jti' was used before" in replayed.json()["error_description"]
    # Entra takes it, and a library that keeps its assertion for minutes relies on that.
    strict.control.identity.set_assertion_policy()
    assert asked_with_assertion(strict, assertion).status_code == 200
    with credential(strict, certificate.pem_file) as lasting:
        first = lasting.get_token(SCOPE).token
        second = lasting.get_token("https://webpubsub.azure.com/.default").token
    assert first != second


def test_a_refused_assertion_does_not_use_up_its_jti(strict: Azure, certificate: Certificate) -> None:
    jti = str(uuid.uuid4())
    expired = int(strict.control.state().now) - 10
    refused = certificate_assertion(strict, certificate, jti=jti, exp=expired, nbf=expired - 300)
    assert number_of(asked_with_assertion(strict, refused)) == 700024
    assert asked_with_assertion(strict, certificate_assertion(strict, certificate, jti=jti)).status_code == 200


def test_a_long_life_is_refused_on_order(strict: Azure, certificate: Certificate) -> None:
    def asked(seconds: float) -> int:
        assertion = certificate_assertion(strict, certificate, exp=int(strict.control.state().now + seconds))
        return asked_with_assertion(strict, assertion).status_code

    assert (asked(590), asked(3600)) == (200, 401)
    strict.control.identity.set_assertion_policy()
    assert asked(3600) == 200


def test_an_assertion_is_judged_by_the_emulators_clock(azure: Azure, certificate: Certificate) -> None:
    assertion = certificate_assertion(azure, certificate)
    azure.control.advance_clock(301)
    assert number_of(asked_with_assertion(azure, assertion)) == 700024
    azure.control.advance_clock(-302)
    assert asked_with_assertion(azure, assertion).status_code == 401
    azure.control.advance_clock(2)
    assert asked_with_assertion(azure, assertion).status_code == 200
    azure.control.advance_clock(366 * 24 * 3600)
    refused = asked_with_assertion(azure, certificate_assertion(azure, certificate))
    assert "The key used is expired" in refused.json()["error_description"]


def test_certificates_are_registered_for_one_application_and_can_be_replaced(azure: Azure) -> None:
    control = azure.control
    application = control.add_application()
    old = control.identity.add_certificate(application.client_id)
    new = control.identity.add_certificate(application.client_id)

    def asked(certificate: Certificate, client_id: str = application.client_id) -> Any:
        assertion = certificate_assertion(azure, certificate, client_id=client_id)
        return asked_with_assertion(azure, assertion, client_id=client_id)

    assert (asked(old).status_code, asked(new).status_code) == (200, 200)
    assert number_of(asked(new, azure.emulator.client_id)) == 700027
    control.identity.remove_certificate(application.client_id, old.thumbprint)
    assert number_of(asked(old)) == 700027
    assert asked(new).status_code == 200
    with pytest.raises(ControlError, match="no certificate of that thumbprint"):
        control.identity.remove_certificate(application.client_id, old.thumbprint)
    with pytest.raises(ControlError, match="client_id is not that of an application"):
        control.identity.add_certificate(OTHER_ID)


def test_one_proof_and_one_only(azure: Azure, certificate: Certificate) -> None:
    assertion = certificate_assertion(azure, certificate)
    for form, number in (
        ({"client_secret": azure.emulator.client_secret}, 90023),
        ({"client_assertion_type": ABSENT}, 900144),
        ({"client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, 90023),
        ({"client_assertion": ABSENT}, 7000218),
    ):
        assert number_of(asked_with_assertion(azure, assertion, **form)) == number
    assert asked_with_assertion(azure, assertion).status_code == 200


def test_the_files_of_certificates(azure: Azure) -> None:
    made = azure.control.identity.add_certificate(azure.emulator.client_id, password=PASSWORD)
    paths = [Path(path) for path in (made.pem_file, made.pkcs12_file, made.certificate_file)]
    for path in paths:
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == path.parent.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(TypeError, match="Password was not given"):
        serialization.load_pem_private_key(paths[0].read_bytes(), None)
    with pytest.raises(ValueError, match="Invalid password"):
        pkcs12.load_key_and_certificates(paths[1].read_bytes(), b"wrong")
    assert b"PRIVATE" not in paths[2].read_bytes()
    assert number_of(azure.ask_entra(scope=PASSWORD)) == 70011
    assert PASSWORD not in repr(azure.control.journal())
    assert not any(PASSWORD in line for line in azure.emulator.log_lines)


def test_no_assertion_is_in_the_journal_or_the_log(azure: Azure, certificate: Certificate) -> None:
    assertion = certificate_assertion(azure, certificate)
    signature = assertion.rpartition(".")[2]
    asked_with_assertion(azure, assertion)
    asked_with_assertion(azure, assertion, scope=f"https://{assertion}/.default")
    asked_with_assertion(azure, assertion, client_id=assertion)
    assert len(azure.control.journal("token")) == 3
    assert signature not in repr(azure.control.journal())
    assert not any(signature in line for line in azure.emulator.log_lines)
