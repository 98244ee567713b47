"""A proxy between this machine and the service: taken, refused, broken, gone, or not to be taken at all."""

import base64
import socket
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest

from entra.clients import Client
from hubpass import ConfigurationError, DeadlineExceededError, HubpassError, NetworkBlockedError, ServiceError
from networks.calls import SEND, Call
from networks.certificates import Authority, Certificate
from networks.connect_proxy import ConnectProxy, answering
from networks.listener import reset
from networks.service import ScriptedService, answer_with
from signalr.client_kind import ClientKind
from signalr.service_double import ServiceDouble

HOST = "demo.service.signalr.net"
SERVICE = f"https://{HOST}"
CREDENTIALS = "contoso:canary p@ss:w/rd"
ENCODED = "contoso:canary%20p%40ss%3Aw%2Frd"


@pytest.fixture(params=["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])
def variable(request: pytest.FixtureRequest) -> str:
    """Each name that a proxy can have in the environment."""
    found: str = request.param
    return found


def failure(call: Call, kind: ClientKind, address: str = SERVICE, **options: Any) -> HubpassError:
    return call.failure(kind, address, **options)


def test_the_double_is_a_proxy_to_others_too(trusted: Certificate, ca_file: Path) -> None:
    """Clients that we did not write take it, and are refused where ours would be."""
    context = ssl.create_default_context(cafile=str(ca_file))
    with (
        ScriptedService(tls=trusted.context()) as service,
        ConnectProxy({f"{HOST}:443": service.port}, credentials=CREDENTIALS) as proxy,
    ):
        with httpx.Client(proxy=proxy.url_with(ENCODED), verify=context, trust_env=False) as client:
            assert client.post(SERVICE, headers={"Authorization": "Bearer t"}).status_code == 202
            with pytest.raises(httpx.ProxyError, match="502"):
                client.get("https://other.example")
        with (
            httpx.Client(proxy=proxy.url, verify=context, trust_env=False) as client,
            pytest.raises(httpx.ProxyError, match="407"),
        ):
            client.get(SERVICE)


def test_a_proxy_is_taken(
    client_kind: ClientKind, trusted: Certificate, ca_file: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    with (
        ScriptedService(tls=trusted.context()) as service,
        ConnectProxy({f"{HOST}:443": service.port}, credentials=CREDENTIALS) as proxy,
    ):
        monkeypatch.setenv(variable, proxy.url_with(ENCODED))
        client = client_kind.make(SERVICE, ca_file=ca_file)
        # Who the proxy is was settled above.
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
        client.send_to_all("say")
        client.send_to_all("say again")
        received = service.take()
    assert received.headers["host"] == HOST
    assert received.bearer
    # One tunnel carries both, and what the proxy learns is where it leads.
    [head] = proxy.heads
    assert head.startswith(f"CONNECT {HOST}:443 HTTP/1.1\r\n")
    assert base64.b64encode(CREDENTIALS.encode()).decode() in head
    assert "Bearer" not in head
    # The service learns nothing of the proxy.
    assert "proxy-authorization" not in received.headers


def test_every_request_takes_it(
    call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        ScriptedService(answer_with(418), trusted.context()) as service,
        ConnectProxy({f"{HOST}:8443": service.port}) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.removeprefix("http://"))
        assert failure(call, client_kind, f"{SERVICE}:8443", ca_file=ca_file).status == 418
    assert proxy.targets == [f"{HOST}:8443"]


def test_a_proxy_that_is_spoken_to_in_tls(
    client_kind: ClientKind, root: Authority, trusted: Certificate, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        ScriptedService(tls=trusted.context()) as service,
        ConnectProxy({f"{HOST}:443": service.port}, tls=root.issue("127.0.0.1").context()) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
        SEND(client_kind, SERVICE, ca_file=ca_file)
    with ConnectProxy(tls=root.issue("proxy.example").context()) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{proxy.port}")
        error = failure(SEND, client_kind, ca_file=ca_file)
    # The fault is the proxy's, and so is the setting.
    assert error.code == "tls_failed"
    assert f"the certificate of the proxy 127.0.0.1:{proxy.port} is for proxy.example" in error.message
    assert "Check HTTPS_PROXY" in error.hint


def test_the_certificate_behind_a_proxy_is_the_services(
    client_kind: ClientKind, root: Authority, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        ScriptedService(tls=root.issue("proxy.example").context()) as service,
        ConnectProxy({f"{HOST}:443": service.port}) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure(SEND, client_kind, ca_file=ca_file)
    assert error.code == "tls_failed"
    assert f"the certificate of {HOST} is for proxy.example" in error.message


@pytest.mark.parametrize("shown", [None, "contoso:canary-wrong"])
def test_a_proxy_that_wants_other_credentials(
    call: Call, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, shown: str | None
) -> None:
    with ConnectProxy(credentials=CREDENTIALS) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.url if shown is None else proxy.url_with(shown))
        error = failure(call, client_kind)
    assert isinstance(error, NetworkBlockedError)
    assert (error.code, error.status) == ("network_blocked", 407)
    assert f"the proxy 127.0.0.1:{proxy.port} wants a user name and password" in error.message
    assert error.hint.startswith(f"Set ALL_PROXY=http://<user>:<password>@127.0.0.1:{proxy.port}")
    assert "contoso" not in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\ncanary",
        b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: https://login.proxy.example/\r\n\r\n",
        b"<html>canary</html>",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 100_000,
    ],
    ids=["403", "502", "503", "302", "html", "ssh", "endless head"],
)
def test_a_proxy_that_refuses(
    call: Call, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    with ConnectProxy(behaviour=answering(answer)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure(call, client_kind)
    assert isinstance(error, NetworkBlockedError)
    assert (error.code, error.status) == ("network_blocked", None)
    assert f"the proxy 127.0.0.1:{proxy.port} did not let it through to {HOST}" in error.message
    assert f"NO_PROXY={HOST}" in error.hint
    [head] = proxy.heads
    # The bearer and the secret are for whoever is behind.
    assert "Bearer" not in head
    assert "canary" not in head


@pytest.mark.parametrize("behaviour", [reset, answering(b""), answering(b"HTTP/1.1 200 Conn")])
def test_a_proxy_that_breaks_off(
    call: Call, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, behaviour: Any
) -> None:
    with ConnectProxy(behaviour=behaviour) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure(call, client_kind)
    assert isinstance(error, ServiceError)
    assert not isinstance(error, NetworkBlockedError)
    assert (error.code, error.status) == ("connection_failed", None)
    assert f"the proxy 127.0.0.1:{proxy.port} broke the connection off" in error.message
    assert "check HTTPS_PROXY" in error.hint


def test_a_proxy_that_says_nothing(call: Call, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(connection: socket.socket) -> None:
        while connection.recv(65536):
            pass

    with ConnectProxy(behaviour=wait) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = failure(call, client_kind, timeout=0.5)
        assert len(proxy.heads) == 1
    assert isinstance(error, DeadlineExceededError)
    assert error.code == "deadline_exceeded"
    assert "timeout=" in error.hint
    assert error.hint.endswith(f"to the endpoint by way of the proxy 127.0.0.1:{proxy.port} (HTTPS_PROXY).")


def test_a_deadline_speaks_of_no_proxy_that_was_not_taken(
    client_kind: ClientKind, service: ServiceDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    service.hold()
    error = failure(SEND, client_kind, service.endpoint, timeout=0.1)
    assert error.code == "deadline_exceeded"
    assert error.hint.endswith("to the endpoint.")


def test_a_proxy_where_nobody_listens(call: Call, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    with ConnectProxy() as gone:
        pass
    monkeypatch.setenv("https_proxy", gone.url)
    error = failure(call, client_kind)
    assert (error.code, error.status) == ("connection_failed", None)
    assert f"no answer came from the proxy 127.0.0.1:{gone.port}" in error.message
    assert "Check https_proxy" in error.hint


def test_a_proxy_whose_name_does_not_resolve(
    call: Call, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    error = failure(call, client_kind)
    assert (error.code, error.status) == ("name_resolution_failed", None)
    assert "proxy.invalid:3128" in error.message
    assert HOST not in error.message
    assert "Check HTTPS_PROXY" in error.hint


@pytest.mark.parametrize("scheme", ["socks4", "socks5h"])
def test_a_socks_proxy(client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, variable: str, scheme: str) -> None:
    monkeypatch.setenv(variable, f"{scheme}://user:canary@127.0.0.1:1080")
    error = failure(SEND, client_kind)
    assert isinstance(error, ConfigurationError)
    assert error.code == "transport_unavailable"
    assert f"environment variable {variable} cannot be used: it is a SOCKS proxy" in error.message
    assert error.hint == f"Set HTTPS_PROXY=http://<host>:<port> to an HTTP proxy, or unset {variable}."


@pytest.mark.parametrize("url", ["ftp://user:canary@proxy", "http://[canary", "canary", "http://user:canary/x@proxy"])
def test_a_proxy_that_is_none(call: Call, client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    error = failure(call, client_kind)
    assert isinstance(error, ConfigurationError)
    assert error.code == "transport_unavailable"
    assert error.hint.startswith("Set HTTPS_PROXY=http://<user>:<password>@<host>:<port>")
    assert "percent-encoded" in error.hint


@pytest.mark.parametrize(
    "exception", ["*", ".invalid", "contoso.invalid", "CONTOSO.invalid:443", "a.example, contoso.invalid"]
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_goes_past_it(
    client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, name: str, exception: str
) -> None:
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv(name, exception)
        error = failure(SEND, client_kind, "https://contoso.invalid")
    assert error.code == "name_resolution_failed"
    assert proxy.heads == []


@pytest.mark.parametrize("exception", ["", "other.invalid", "contoso.invalid:8443", "so.invalid", "10.0.0.0/8"])
def test_no_proxy_for_others_changes_nothing(
    client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch, exception: str
) -> None:
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", exception)
        assert failure(SEND, client_kind, "https://contoso.invalid").code == "network_blocked"
    assert proxy.targets == ["contoso.invalid:443"]


def test_networks_in_no_proxy(client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to 0.0.0.0 stays on this machine, and yet it is no loopback address."""
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,0.0.0.0/8")
        assert failure(SEND, client_kind, "https://0.0.0.0:1").code == "connection_failed"
        assert proxy.heads == []
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,0.0.0.0/8:443")
        assert failure(SEND, client_kind, "https://0.0.0.0:1").code == "network_blocked"


def test_what_is_near_is_never_asked_for_by_proxy(
    call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        ConnectProxy() as proxy,
        ScriptedService(answer_with(418), trusted.context()) as service,
    ):
        for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        for host in ("localhost", "127.0.0.1"):
            assert failure(call, client_kind, service.at(host), ca_file=ca_file).status == 418
        assert service.requests.qsize() == 2
    assert proxy.heads == []


def test_a_managed_identity_is_never_asked_for_by_proxy(
    client_kind: ClientKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even where its endpoint is a name: the header proves to it that a request comes from inside."""
    monkeypatch.setenv("IDENTITY_ENDPOINT", "https://identity.invalid/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "canary")
    with ConnectProxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        client = Client(client_kind.from_connection_string(f"Endpoint={SERVICE};AuthType=azure.msi").raw)
        with pytest.raises(ServiceError) as caught:
            client.warm_up()
    assert caught.value.code == "name_resolution_failed"
    assert "IDENTITY_ENDPOINT" in caught.value.hint
    assert proxy.heads == []
