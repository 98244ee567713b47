"""What ``send_to_all`` makes of what comes back: a status, a page, garbage, or nothing."""

from queue import SimpleQueue

import pytest

from hubpass import (
    DeadlineExceededError,
    Event,
    HubpassError,
    NetworkBlockedError,
    PermissionMissingError,
    ServiceError,
)
from signalr.client_kind import KEY, AnyClient, ClientKind
from signalr.service_double import WATCHDOG, Answer, Held, ServiceDouble
from signalr.tokens import own_claims

CANARY = "canary-in-a-body"


def failure(client: AnyClient) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        client.send_to_all("say")
    return caught.value


@pytest.fixture
def sender(client_kind: ClientKind, service: ServiceDouble) -> AnyClient:
    return client_kind.make(service.endpoint, "Chat")


STATUSES: list[tuple[Answer, type[HubpassError], str, str]] = [
    (Answer(400), ServiceError, "request_refused", "arguments"),
    (Answer(401), ServiceError, "unauthorized", "disableLocalAuth"),
    (
        Answer(
            401,
            {"WWW-Authenticate": 'Bearer error_description="The signature key was not found"'},
        ),
        ServiceError,
        "unauthorized",
        "az signalr key list",
    ),
    (
        Answer(
            401,
            {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The audience is invalid"'},
        ),
        ServiceError,
        "unauthorized",
        "ServerEndpoint=",
    ),
    (
        Answer(401, {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The token expired"'}),
        ServiceError,
        "unauthorized",
        "timedatectl set-ntp true",
    ),
    (
        Answer(403),
        PermissionMissingError,
        "permission_missing",
        'az role assignment create --role "SignalR REST API Owner"',
    ),
    (
        Answer(403, body=b"<html><center>403 Forbidden</center><hr><center>nginx</center></html>"),
        NetworkBlockedError,
        "network_blocked",
        "az signalr network-rule update",
    ),
    (Answer(404), ServiceError, "not_found", "az signalr show"),
    (Answer(413), ServiceError, "request_refused", "smaller arguments"),
    (Answer(429), ServiceError, "throttled", "az signalr update --unit-count"),
    (Answer(500), ServiceError, "service_unavailable", "Try again later"),
    (Answer(503), ServiceError, "service_unavailable", "Try again later"),
    (
        Answer(200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"),
        ServiceError,
        "unexpected_response",
        "Endpoint",
    ),
    (Answer(204), ServiceError, "unexpected_response", "Endpoint"),
]


@pytest.mark.parametrize(
    ("answer", "error_class", "code", "hint"),
    STATUSES,
    ids=[f"{answer.status} {code} {number}" for number, (answer, _, code, _) in enumerate(STATUSES)],
)
def test_statuses(
    sender: AnyClient,
    service: ServiceDouble,
    answer: Answer,
    error_class: type[ServiceError],
    code: str,
    hint: str,
) -> None:
    service.answer(answer)
    error = failure(sender)
    assert isinstance(error, error_class)
    assert (error.code, error.status, error.retry_after) == (code, answer.status, None)
    assert hint in error.hint
    service.take()
    # A message may have been delivered, so it is never sent twice.
    assert service.is_idle
    sender.send_to_all("the client goes on")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("99999", 300.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("Fri, 31 Dec 1999 23:59:59 GMT", None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after(
    sender: AnyClient, service: ServiceDouble, status: int, header: str, seconds: float | None
) -> None:
    service.answer(Answer(status, {"Retry-After": header}))
    assert failure(sender).retry_after == seconds


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_refused(sender: AnyClient, service: ServiceDouble, status: int) -> None:
    with ServiceDouble() as elsewhere:
        service.answer(Answer(status, {"Location": f"{elsewhere.endpoint}/api/hubs/chat/:send"}))
        error = failure(sender)
        assert (error.code, error.status) == ("redirect_refused", status)
        assert "server_endpoint=" in error.hint
        service.take()
        assert service.is_idle
        assert elsewhere.is_idle


@pytest.mark.parametrize("status", [202, 429, 503])
def test_a_megabyte_of_answer(sender: AnyClient, service: ServiceDouble, status: int) -> None:
    service.answer(Answer(status, {"Retry-After": "9"}, CANARY.encode() * 65536))
    error = failure(sender)
    expected = {202: "unexpected_response", 429: "throttled", 503: "service_unavailable"}[status]
    assert (error.code, error.status) == (expected, status)
    assert CANARY not in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 502])
def test_a_page_of_html(sender: AnyClient, service: ServiceDouble, status: int) -> None:
    service.answer(Answer(status, {"Content-Type": "text/html"}, f"<html>{CANARY}</html>".encode()))
    error = failure(sender)
    assert error.status == status
    assert CANARY not in str(error)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (Answer(body=b"x" * 1000, reset_after=10), "connection_failed"),
        (Answer(reset_after=0, headers={"Content-Length": "1000"}), "connection_failed"),
        (Answer(raw=b""), "connection_failed"),
        (Answer(raw=b"HTTP/1.1 202 Acc"), "connection_failed"),
        (Answer(raw=b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\nabc"), "connection_failed"),
        (Answer(raw=b"\x00\x01\x02 garbage \xff\r\n\r\n"), "unexpected_response"),
        (Answer(raw=b"SSH-2.0-OpenSSH_9.6\r\n"), "unexpected_response"),
        (
            Answer(raw=b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "unexpected_response",
        ),
        (Answer(raw=b"HTTP/1.1 202 Accepted\r\nX: " + b"x" * 1_000_000 + b"\r\n\r\n"), "unexpected_response"),
        (
            Answer(raw=b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"),
            "unexpected_response",
        ),
    ],
    ids=[
        "reset in the body",
        "reset before the body",
        "nothing",
        "half a head",
        "half a body",
        "garbage",
        "ssh",
        "chunks",
        "large head",
        "upgrade",
    ],
)
def test_answers_that_are_none(sender: AnyClient, service: ServiceDouble, answer: Answer, code: str) -> None:
    service.answer(answer)
    error = failure(sender)
    assert error.code == code
    assert error.hint
    assert not isinstance(error, DeadlineExceededError)
    service.take()
    assert service.is_idle
    sender.send_to_all("the client goes on")


def test_a_connection_that_the_service_closed_while_it_was_idle_is_not_used_again(
    sender: AnyClient, service: ServiceDouble
) -> None:
    idle = service.track(Held())
    answer = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
    service.answer(Answer(raw=answer, held_open=idle, half_closed=True))
    sender.send_to_all("first")
    idle.wait_until_abandoned()
    sender.send_to_all("second")
    assert [service.take().json["Target"] for _ in range(2)] == ["first", "second"]


def test_nobody_listens(client_kind: ClientKind) -> None:
    with ServiceDouble() as gone:
        endpoint = gone.endpoint
    error = failure(client_kind.make(endpoint))
    assert (error.code, error.status) == ("connection_failed", None)
    assert "curl -I" in error.hint
    assert "127.0.0.1" in error.message


def test_a_name_that_does_not_resolve(client_kind: ClientKind) -> None:
    """``.invalid`` never does (RFC 6761)."""
    error = failure(client_kind.make("https://demo.invalid"))
    assert error.code == "name_resolution_failed"
    assert "privatelink.service.signalr.net" in error.hint
    assert "demo.invalid" in error.message


def test_https_to_a_port_that_speaks_http(client_kind: ClientKind, service: ServiceDouble) -> None:
    error = failure(client_kind.make(service.endpoint.replace("http://", "https://")))
    assert error.code == "tls_failed"
    assert "Port=" in error.hint


def test_failures_are_told_as_events(client_kind: ClientKind, service: ServiceDouble) -> None:
    events: SimpleQueue[Event] = SimpleQueue()
    sender = client_kind.make(service.endpoint, on_event=events.put)
    sender.send_to_all("fine")
    service.answer(Answer(503))
    failure(sender)
    event = events.get(timeout=WATCHDOG)
    assert event.name == "request_failed"
    assert dict(event.attributes) == {
        "operation": "send_to_all",
        "code": "service_unavailable",
        "status": 503,
    }
    assert events.empty()
    assert KEY not in repr(event)


@pytest.mark.parametrize(
    "variable", ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]
)
@pytest.mark.parametrize("proxy", ["http://127.0.0.1:1", "socks5://127.0.0.1:1", "not a proxy"])
def test_no_proxy_stands_before_this_machine(
    client_kind: ClientKind,
    service: ServiceDouble,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    proxy: str,
) -> None:
    monkeypatch.setenv(variable, proxy)
    client_kind.make(service.endpoint).send_to_all("say")
    client_kind.make(service.endpoint.replace("127.0.0.1", "localhost")).send_to_all("say")
    assert own_claims(service.take().bearer)["nameid"]


@pytest.mark.parametrize("host", ["[::ffff:127.0.0.1]", "[::1]", "127.9.9.9", "localhost"])
def test_a_proxy_never_sees_a_token_for_this_machine(
    client_kind: ClientKind, service: ServiceDouble, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """Here the double is the proxy, and nobody listens where the request is meant to go."""
    for variable in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(variable, service.endpoint)
    failure(client_kind.make(f"http://{host}:1"))
    assert service.is_idle


def test_a_proxy_that_refuses_is_named(
    client_kind: ClientKind, service: ServiceDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The double does not know CONNECT and says so with a status of its own."""
    monkeypatch.setenv("HTTPS_PROXY", service.endpoint.replace("http://", "http://user:canary-password@"))
    error = failure(client_kind.make("https://demo.service.signalr.net"))
    assert isinstance(error, NetworkBlockedError)
    assert "NO_PROXY" in error.hint
    assert "canary-password" not in str(error)
    assert service.is_idle
