"""Certificates that do not pass: each is refused with a hint of its own, and before anything secret is sent."""

import ssl
from pathlib import Path
from typing import Any

from hubpass import HubpassError, ServiceError
from networks.calls import SEND, Call
from networks.certificates import DAY, Authority, Certificate, now, self_signed
from networks.service import ScriptedService
from signalr.client_kind import ClientKind


def refused(
    call: Call, kind: ClientKind, context: ssl.SSLContext, host: str = "localhost", **options: Any
) -> HubpassError:
    """The error of a call to a server of this TLS, which hears nothing."""
    with ScriptedService(tls=context) as service:
        error = call.failure(kind, service.at(host), **options)
        assert service.connections > 0
    assert service.requests.empty()
    assert type(error).__name__ == "ServiceError"
    assert isinstance(error, ServiceError)
    assert (error.code, error.status) == ("tls_failed", None)
    assert host in error.message
    return error


def test_expired(call: Call, client_kind: ClientKind, root: Authority, ca_file: Path) -> None:
    made = root.issue("localhost", since=-30 * DAY, until=-2 * DAY)
    before = now()
    error = refused(call, client_kind, made.context(), ca_file=ca_file)
    assert f"until {made.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC" in error.message
    assert any(f"here it is {day:%Y-%m-%d}" in error.message for day in (before, now()))
    assert "Renew the certificate on localhost" in error.hint
    assert "timedatectl set-ntp true" in error.hint


def test_not_yet_valid(call: Call, client_kind: ClientKind, root: Authority, ca_file: Path) -> None:
    made = root.issue("localhost", since=2 * DAY, until=3 * DAY)
    error = refused(call, client_kind, made.context(), ca_file=ca_file)
    assert f"from {made.certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC" in error.message
    assert error.hint.startswith("Set this machine's clock: timedatectl set-ntp true")


def test_for_another_host(call: Call, client_kind: ClientKind, root: Authority, ca_file: Path) -> None:
    made = root.issue("a.contoso.example", "b.contoso.example")
    error = refused(call, client_kind, made.context(), ca_file=ca_file)
    assert "of localhost is for a.contoso.example, b.contoso.example, not for that name" in error.message
    assert call.setting in error.hint


def test_for_an_address_that_is_not_in_it(call: Call, client_kind: ClientKind, root: Authority, ca_file: Path) -> None:
    error = refused(call, client_kind, root.issue("localhost").context(), "127.0.0.1", ca_file=ca_file)
    assert "is for localhost, not" in error.message


def test_self_signed(call: Call, client_kind: ClientKind, ca_file: Path, tmp_path: Path) -> None:
    made = self_signed("localhost")
    error = refused(call, client_kind, made.context(), ca_file=ca_file)
    assert "is signed by itself" in error.message
    assert "ca_file=" in error.hint
    assert "openssl s_client" in error.hint
    # What the hint says works.
    with ScriptedService(tls=made.context()) as service:
        SEND(client_kind, service.at("localhost"), ca_file=made.write(tmp_path / "itself.pem"))


def test_an_authority_as_a_server(call: Call, client_kind: ClientKind, tmp_path: Path) -> None:
    """What ``openssl req -x509`` makes unless it is told otherwise."""
    made = self_signed("localhost", is_authority=True)
    error = refused(call, client_kind, made.context(), ca_file=made.write(tmp_path / "itself.pem"))
    assert "of an authority, not of a server" in error.message
    assert "basicConstraints=critical,CA:FALSE" in error.hint


def test_of_an_unknown_issuer(call: Call, client_kind: ClientKind, ca_file: Path) -> None:
    made = Authority.root("rival").intermediate().issue("localhost")
    error = refused(call, client_kind, made.context(), ca_file=ca_file)
    assert "an issuer that this machine does not trust" in error.message
    assert "ca_file=" in error.hint
    assert "SSL_CERT_FILE" in error.hint


def test_without_the_intermediate(call: Call, client_kind: ClientKind, root: Authority, ca_file: Path) -> None:
    made = root.intermediate().issue("localhost")
    error = refused(call, client_kind, made.context(chain=False), ca_file=ca_file)
    assert "came alone" in error.message
    assert "Let localhost send the whole chain" in error.hint
    assert "ca_file=" in error.hint
    with ScriptedService(tls=made.context()) as service:
        SEND(client_kind, service.at("localhost"), ca_file=ca_file)


def test_of_a_client(call: Call, client_kind: ClientKind, root: Authority, ca_file: Path) -> None:
    error = refused(call, client_kind, root.issue("localhost", for_clients=True).context(), ca_file=ca_file)
    assert "not made for servers" in error.message
    assert "serverAuth" in error.hint


def test_old_tls(call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: Path) -> None:
    error = refused(call, client_kind, trusted.old_context(), ca_file=ca_file)
    assert "versions of TLS before 1.2" in error.message
    assert "TLS 1.2" in error.hint


def test_a_server_that_wants_a_certificate(
    call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: Path
) -> None:
    error = refused(call, client_kind, trusted.mutual_context(), ca_file=ca_file)
    assert "wants a certificate of this client" in error.message
    assert "client certificates" in error.hint


def test_https_to_a_port_of_http(call: Call, client_kind: ClientKind, ca_file: Path) -> None:
    with ScriptedService() as service:
        error = call.failure(client_kind, f"https://localhost:{service.port}", ca_file=ca_file)
    assert (error.code, error.status) == ("tls_failed", None)
    assert "does not speak TLS at this port" in error.message
    assert f"Check the port in {call.setting}" in error.hint


def test_http_to_a_port_of_https(client_kind: ClientKind, trusted: Certificate) -> None:
    """The server of TLS answers with an alert, or with nothing."""
    with ScriptedService(tls=trusted.context()) as service:
        error = SEND.failure(client_kind, f"http://localhost:{service.port}")
    assert service.requests.empty()
    assert error.code in ("unexpected_response", "connection_failed")
    assert "https://" in error.hint


def test_an_issuer_that_expired(client_kind: ClientKind, root: Authority, ca_file: Path) -> None:
    """The dates in the message are those of the certificate that has ended, whichever it is."""
    issuer = root.intermediate(until=-DAY / 2)
    error = refused(SEND, client_kind, issuer.issue("localhost").context(), ca_file=ca_file)
    assert f"until {issuer.certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC" in error.message
    assert "Renew the certificate" in error.hint


def test_an_issuer_that_was_made_anew(call: Call, client_kind: ClientKind, ca_file: Path) -> None:
    made = Authority.root().issue("localhost")
    error = refused(call, client_kind, made.context(), ca_file=ca_file)
    assert "trusted issuer of that name, whose key is another" in error.message
    assert "made anew: pass ca_file=" in error.hint
