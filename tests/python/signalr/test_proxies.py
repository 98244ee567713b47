"""What stands between: an https proxy from the environment, which refuses, or is not there."""

import socket
import threading
from collections.abc import Iterator

import pytest

from hubpass import NetworkBlockedError, ServiceError
from signalr.client_kind import ClientKind

SERVICE = "https://contoso.service.signalr.net"
PASSWORD = "canary-of-the-proxy"


@pytest.fixture
def refusing_proxy() -> Iterator[tuple[int, list[bytes]]]:
    """A proxy that answers each CONNECT with 403."""
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    seen.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1]), seen
        server.shutdown(socket.SHUT_RDWR)
    thread.join(30)


def test_a_proxy_that_refuses_is_told_from_the_service(
    client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, refusing_proxy: tuple[int, list[bytes]]
) -> None:
    port, seen = refusing_proxy
    monkeypatch.setenv("HTTPS_PROXY", f"http://user:{PASSWORD}@127.0.0.1:{port}")
    with pytest.raises(NetworkBlockedError) as caught:
        client_kind.make(SERVICE).send_to_all("say")
    assert caught.value.code == "network_blocked"
    assert "NO_PROXY" in caught.value.hint
    assert PASSWORD not in f"{caught.value!r} {caught.value} {vars(caught.value)}"
    [request] = seen
    assert request.startswith(b"CONNECT contoso.service.signalr.net:443 ")
    # The bearer is for the service alone.
    assert b"Bearer" not in request


def test_no_proxy_goes_past_it(
    client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, refusing_proxy: tuple[int, list[bytes]]
) -> None:
    port, seen = refusing_proxy
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("NO_PROXY", ".invalid")
    with pytest.raises(ServiceError) as caught:
        client_kind.make("https://contoso.invalid").send_to_all("say")
    assert caught.value.code == "name_resolution_failed"
    assert seen == []
