"""IPv6: addresses in brackets, and names of which only one address answers."""

import socket
from pathlib import Path

import pytest

from hubpass import ConfigurationError, ServiceError
from networks.calls import SEND, Call
from networks.certificates import Certificate
from networks.connect_proxy import ConnectProxy
from networks.service import ScriptedService, answer_with
from signalr.client_kind import ClientKind
from signalr.tokens import unverified


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def test_every_request_reaches_an_address(
    call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: Path
) -> None:
    with ScriptedService(answer_with(418), trusted.context(), "::1") as service:
        assert call.failure(client_kind, service.endpoint, ca_file=ca_file).status == 418
        assert service.take().headers["host"] == f"[::1]:{service.port}"


def test_a_message_and_a_client_of_an_address(client_kind: ClientKind) -> None:
    with ScriptedService(host="::1") as service:
        client = client_kind.make(service.endpoint)
        client.send_to_all("say")
        received = service.take()
    assert unverified(received.bearer)["aud"] == f"http://[::1]:{service.port}/api/hubs/chat/:send"
    answer = client.negotiate("ada")
    assert answer.url == f"http://[::1]:{service.port}/client/?hub=chat"
    assert unverified(answer.access_token)["aud"] == "http://[::1]/client/?hub=chat"


def test_an_address_in_a_connection_string(client_kind: ClientKind) -> None:
    with ScriptedService(host="::1") as service:
        text = f"Endpoint=http://[::1];Port={service.port};AccessKey=a-made-up-access-key-of-44-characters-000000="
        client_kind.from_connection_string(text).send_to_all("say")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_name_of_which_one_address_answers(
    client_kind: ClientKind, trusted: Certificate, ca_file: Path, host: str
) -> None:
    addresses = {info[4][0] for info in socket.getaddrinfo("localhost", 0)}
    if host not in addresses:
        pytest.skip(f"localhost is not {host} on this machine")
    with ScriptedService(tls=trusted.context(), host=host) as service:
        SEND(client_kind, service.at("localhost"), ca_file=ca_file)


def test_an_address_where_nobody_listens(client_kind: ClientKind) -> None:
    with ScriptedService(host="::1") as gone:
        pass
    error = SEND.failure(client_kind, gone.endpoint)
    assert isinstance(error, ServiceError)
    assert error.code == "connection_failed"
    assert "no answer came from [::1]" in error.message


def test_an_address_behind_a_proxy(call: Call, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """2001:db8::/32 is for documentation (RFC 3849)."""
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = call.failure(client_kind, "https://[2001:db8::1]")
        assert proxy.connections == 0
    assert isinstance(error, ConfigurationError)
    assert error.code == "transport_unavailable"
    assert error.hint.startswith(f"Put the host's name into {call.setting}")
    assert "NO_PROXY=2001:db8::1" in error.hint
