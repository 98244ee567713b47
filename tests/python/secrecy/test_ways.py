"""Failures on the way: no trust, no name, a proxy that refuses, no time left. None of our texts may hold a secret."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from typing_extensions import Self

from entra.clients import Client, Events, credential_of
from hubpass import HubpassError
from secrecy.clients import Echoed, Identity
from secrecy.echoing_azure import ACCESS_TOKEN, FAILURES, Failure, Request, Route, canaries
from secrecy.search import Canaries, texts_of_exception, texts_of_value, variables_of_our_frames
from secrecy.witnesses import Witness
from signalr.client_kind import ClientKind

PASSWORD = "proxy's/canary+of@the~password"
USER = "somebody"
SERVICE = "https://contoso.service.signalr.net"


def secrets() -> Canaries:
    found = canaries()
    found.add("proxy password", PASSWORD)
    found.add("proxy authorization", f"{USER}:{PASSWORD}")
    return found


def texts_of_failed(call: Any, client: Client, witnessed: Witness) -> list[str]:
    """What a call that fails says, and what is said of it."""
    with pytest.raises(HubpassError) as caught:
        call()
    error = caught.value
    status = [repr(client.raw.status()), *texts_of_value(client.raw), *texts_of_value(client.raw._native)]
    return [*texts_of_exception(error), *variables_of_our_frames(error), *status, *witnessed.texts]


@pytest.mark.parametrize("identity", ["application", "managed_identity", "credential", "shared_key"])
def test_a_name_that_does_not_resolve(
    client_kind: ClientKind, echo: Echoed, witnessed: Witness, identity: Identity
) -> None:
    events = Events()
    if identity == "credential":
        client = Client(client_kind.make("https://a.invalid", credential=credential_of(client_kind, ACCESS_TOKEN)).raw)
    else:
        text = getattr(echo.azure, identity).replace(echo.azure.endpoint, "https://a.invalid")
        client = echo.connected(client_kind, text, on_event=events)
    assert secrets().find(texts_of_failed(lambda: client.send_to_all("say"), client, witnessed)) == []


def test_an_authority_that_is_not_trusted(client_kind: ClientKind, echo: Echoed, witnessed: Witness) -> None:
    client = echo.connected(client_kind, echo.azure.application, ca_file=None)
    for call in (client.warm_up, lambda: client.negotiate("ada"), lambda: client.send_to_all("say")):
        assert secrets().find(texts_of_failed(call, client, witnessed)) == []
        assert client.status["last_error"] is None or client.status["last_error"]["code"] == "tls_failed"


def test_an_address_that_does_not_speak_tls(client_kind: ClientKind, echo: Echoed, witnessed: Witness) -> None:
    authority = echo.azure.endpoint.replace("http:", "https:")
    client = echo.connected(client_kind, echo.azure.application, authority=authority)
    assert secrets().find(texts_of_failed(client.warm_up, client, witnessed)) == []


def test_plain_http_to_another_machine(client_kind: ClientKind, echo: Echoed, witnessed: Witness) -> None:
    """Refused before anything is sent."""
    for text in (echo.azure.application, echo.azure.shared_key):
        client = echo.connected(client_kind, text.replace("http://127.0.0.1", "http://service.invalid"))
        assert secrets().find(texts_of_failed(lambda c=client: c.send_to_all("say"), client, witnessed)) == []


@pytest.mark.parametrize(
    ("identity", "route"),
    [("application", "token"), ("managed_identity", "managed_identity"), ("credential", "access_key")],
)
def test_a_deadline(
    client_kind: ClientKind, echo: Echoed, witnessed: Witness, identity: Identity, route: Route
) -> None:
    client = echo.client(client_kind, identity)
    with echo.azure.holding(route) as held:
        call = partial(client.warm_up, timeout=0.2)
        texts = texts_of_failed(call, client, witnessed)
        texts += texts_of_failed(lambda: client.negotiate("ada", timeout=0.1), client, witnessed)
        held.wait_until_arrived()
    assert secrets().find(texts) == []


class Proxy:
    """A proxy that fails each CONNECT as it is told, or lets it through into nowhere."""

    def __init__(self) -> None:
        self.failure: Failure = FAILURES[0]
        self.requests: list[Request] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            with connection:
                head = connection.recv(65536).decode("latin-1")
                if not head:
                    # Whoever opened the connection had no use for it.
                    continue
                first, *lines = head.split("\r\n\r\n")[0].split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                method, target, _ = first.split(" ")
                # What the proxy was given is what it repeats.
                shown = headers.get("proxy-authorization", "").removeprefix("Basic ")
                headers["authorization"] = shown
                decoded = base64.b64decode(shown).decode()
                request = Request(method, target, headers, decoded)
                self.requests.append(request)
                # Of a megabyte the client reads what it needs, and closes.
                with suppress(ConnectionError):
                    connection.sendall(self.failure.answer(request))


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as running:
        yield running


LET_THROUGH = Failure("let through into garbage", lambda r: b"HTTP/1.1 200 OK\r\n\r\n" + r.whole.encode() * 3)


def test_a_proxy_that_fails(
    client_kind: ClientKind,
    proxy: Proxy,
    witnessed: Witness,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It repeats the password, in clear and as it stands in ``Proxy-Authorization``."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}")
    client = Client(client_kind.make(SERVICE, credential=credential_of(client_kind, ACCESS_TOKEN)).raw)
    found = []
    for failure in (*FAILURES, LET_THROUGH):
        proxy.failure = failure
        proxy.requests.clear()
        texts = texts_of_failed(lambda: client.send_to_all("say"), client, witnessed)
        assert proxy.requests, failure
        assert proxy.requests[0].body == f"{USER}:{PASSWORD}"
        found += [(str(failure), finding) for finding in secrets().find([*texts, *capfd.readouterr()])]
        witnessed.texts.clear()
    assert found == []


PROXIES = [
    f"http://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:1",
    f"http://{USER}:{quote(PASSWORD, safe='')}@proxy.invalid:8080",
    f"ftp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:1",
    f"http://{USER}:{PASSWORD}@127.0.0.1:1",
    f"http://{USER}:{PASSWORD}@[127.0.0.1",
    f"http://{USER}:{PASSWORD}@127.0.0.1:port",
    f"{USER}:{PASSWORD}",
    PASSWORD,
]


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_proxy_that_cannot_be_used(
    client_kind: ClientKind, witnessed: Witness, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for number, text in enumerate(PROXIES):
        monkeypatch.setenv(variable, text)
        for credential in (credential_of(client_kind, ACCESS_TOKEN), ...):
            client = Client(client_kind.make(SERVICE, credential=credential).raw)
            texts = texts_of_failed(lambda c=client: c.send_to_all("say"), client, witnessed)
            assert secrets().find(texts) == [], number
