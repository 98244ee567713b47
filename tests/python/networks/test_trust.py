"""Where the trusted certificates come from: ``ca_file=``, ``SSL_CERT_FILE``, ``SSL_CERT_DIR``, or nowhere."""

from pathlib import Path
from typing import Any

import pytest

from hubpass import ConfigurationError, HubpassError
from networks.calls import SEND, Call
from networks.certificates import Authority, Certificate
from networks.service import ScriptedService, answer_with
from signalr.client_kind import ClientKind
from signalr.scripts import run


def answers(call: Call, kind: ClientKind, certificate: Certificate, **options: Any) -> None:
    """The call gets through to a server of TLS."""
    bodies = {
        "send": (202, b""),
        "group": (200, b""),
        "generate": (200, b'{"token": "t"}'),
        "key": (200, b'{"KeyId": "k", "AccessKey": "a"}'),
        "token": (200, b'{"access_token": "t", "expires_in": 3600}'),
    }
    status, body = bodies[call.name]

    with ScriptedService(answer_with(status, body), certificate.context()) as service:
        address = service.at("localhost")
        if call.name == "token":
            # The token came; the request for a key that it is for goes to a name that does not exist.
            assert call.failure(kind, address, **options).code == "name_resolution_failed"
        else:
            call(kind, address, **options)
        assert service.take().headers["host"] == address.removeprefix("https://")


def unusable(call: Call, kind: ClientKind, address: str = "https://localhost:1", **options: Any) -> HubpassError:
    error = call.failure(kind, address, **options)
    assert isinstance(error, ConfigurationError)
    assert (error.code, error.status) == ("transport_unavailable", None)
    return error


def test_a_ca_file(call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: Path) -> None:
    answers(call, client_kind, trusted, ca_file=ca_file)
    answers(call, client_kind, trusted, ca_file=str(ca_file))


def test_a_ca_file_with_several(client_kind: ClientKind, trusted: Certificate, root: Authority, tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"# Contoso\n" + Authority.root("rival").pem + b"\n" + root.pem)
    answers(SEND, client_kind, trusted, ca_file=bundle)


def test_a_file_of_the_environment(
    call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    answers(call, client_kind, trusted)


def test_directories_of_the_environment(
    call: Call,
    client_kind: ClientKind,
    trusted: Certificate,
    root: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    Authority.root("rival").write(tmp_path / "one/rival.pem")
    root.write(tmp_path / "two/root.pem")
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/one:{tmp_path}/two")
    answers(call, client_kind, trusted)


def test_the_environment_is_read_when_the_client_is_made(
    client_kind: ClientKind, trusted: Certificate, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedService(tls=trusted.context()) as service:
        monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
        sender = client_kind.make(service.at("localhost"))
        monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
        sender.send_to_all("say")


def test_the_environment_and_a_ca_file(
    client_kind: ClientKind,
    trusted: Certificate,
    ca_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One does not take from the other."""
    rival = Authority.root("rival")
    monkeypatch.setenv("SSL_CERT_FILE", str(rival.write(tmp_path / "rival.pem")))
    answers(SEND, client_kind, trusted, ca_file=ca_file)
    answers(SEND, client_kind, rival.issue("localhost"), ca_file=ca_file)


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
@pytest.mark.parametrize("content", [None, "", "no certificate"], ids=["missing", "empty", "garbage"])
def test_no_root_at_all(
    call: Call,
    client_kind: ClientKind,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    content: str | None,
) -> None:
    place = tmp_path / "store"
    file = place
    if variable == "SSL_CERT_DIR":
        file = place / "root.pem"
        if content is not None:
            place.mkdir()
    if content:
        file.write_text(content, encoding="utf-8")
    elif content == "" and variable == "SSL_CERT_FILE":
        file.touch()
    monkeypatch.setenv(variable, str(place))
    error = unusable(call, client_kind)
    assert f"{place}, where {variable} says" in error.message
    assert error.hint.startswith(f"Set {variable}=")
    assert "ca_file=" in error.hint


def test_a_ca_file_is_enough_where_there_is_no_root(
    call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    answers(call, client_kind, trusted, ca_file=ca_file)


def test_a_store_that_is_repaired_is_read_again(
    client_kind: ClientKind, trusted: Certificate, root: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure is not kept: whoever mounts the file late need not start again."""
    place = tmp_path / "root.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(place))
    with ScriptedService(tls=trusted.context()) as service:
        sender = client_kind.make(service.at("localhost"))
        with pytest.raises(ConfigurationError):
            sender.send_to_all("say")
        root.write(place)
        sender.send_to_all("say")


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_store_that_changes_is_read_again(
    client_kind: ClientKind,
    trusted: Certificate,
    root: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    """What one client has read serves the next one, as long as it is what is there."""
    rival = Authority.root("rival")
    place = tmp_path / "root.pem"
    rival.write(tmp_path / "root.pem")
    monkeypatch.setenv(variable, str(place if variable == "SSL_CERT_FILE" else tmp_path))
    with ScriptedService(tls=trusted.context()) as service:
        for _ in range(2):
            with pytest.raises(HubpassError) as caught:
                client_kind.make(service.at("localhost")).send_to_all("say")
            assert caught.value.code == "tls_failed"
        place.unlink()
        root.write(tmp_path / "another.pem").rename(place)
        client_kind.make(service.at("localhost")).send_to_all("say")


@pytest.mark.parametrize("content", [None, b"", b"no certificate", b"\x30\x82\x01\x00"])
def test_a_ca_file_that_is_none(call: Call, client_kind: ClientKind, tmp_path: Path, content: bytes | None) -> None:
    place = tmp_path / "canary.pem"
    if content is not None:
        place.write_bytes(content)
    error = unusable(call, client_kind, ca_file=place)
    assert ("no such file" if content is None else "PEM") in error.message
    assert "Pass ca_file=" in error.hint
    assert "openssl x509 -inform der" in error.hint


def test_a_certificate_in_place_of_its_path(client_kind: ClientKind, root: Authority) -> None:
    error = unusable(SEND, client_kind, ca_file=root.pem.decode())
    assert "BEGIN CERTIFICATE" not in str(error)
    assert "Pass ca_file= with the path" in error.hint


def test_a_damaged_certificate(client_kind: ClientKind, root: Authority, tmp_path: Path) -> None:
    place = tmp_path / "root.pem"
    lines = root.pem.decode().splitlines()
    place.write_text("\n".join([lines[0], "AAAA", lines[-1]]), encoding="ascii")
    error = unusable(SEND, client_kind, ca_file=place)
    assert "no certificate that can be read" in error.message


def test_signing_needs_no_root(client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    assert client_kind.make().negotiate("ada").access_token


def test_nothing_is_read_before_the_first_request() -> None:
    """A client that only signs reads no store; one is made in a process whose store cannot be read."""
    outcome = run(
        """
        from hubpass import SignalRServiceClient
        text = "Endpoint=https://demo.service.signalr.net;AccessKey=a-made-up-access-key-of-44-characters-000000="
        print(bool(SignalRServiceClient.from_connection_string(text, "chat", ca_file="/no/such").negotiate("ada")))
        """,
        environment={"SSL_CERT_FILE": "/no/such/file", "HTTPS_PROXY": "socks5://127.0.0.1:1"},
    )
    assert (outcome.code, outcome.output, outcome.errors) == (0, "True\n", "")
