"""Answers that are slow, endless, lies, or not HTTP: each ends with a typed error, and none grows without bounds."""

import gzip
from collections.abc import Callable

import pytest

from hubpass import DeadlineExceededError, HubpassError, ServiceError
from networks.calls import CALLS, Call
from networks.certificates import Certificate
from networks.service import Conversation, Script, ScriptedService, answer_with
from signalr.client_kind import ClientKind
from signalr.service_double import WATCHDOG

HEAD = b"HTTP/1.1 202 Accepted\r\n"
MEGABYTE = b"canary" * 174_763
BOUND = 64 * 1024


@pytest.fixture
def fail(call: Call, client_kind: ClientKind, trusted: Certificate, ca_file: object) -> Callable[..., HubpassError]:
    """Makes a call to a server of TLS that follows a script, and gives the error of the call."""

    def act(script: Script, timeout: float | None = None) -> HubpassError:
        with ScriptedService(script, trusted.context()) as service:
            error = call.failure(client_kind, service.at("localhost"), timeout=timeout, ca_file=ca_file)
            service.take()
            # A request whose fate is not known is never sent twice.
            assert service.requests.empty()
            if timeout is not None:
                assert service.repeated.acquire(timeout=WATCHDOG)
            if timeout is not None and call.name == "send":
                # A flight for a key goes on without the caller who gave up: others may wait for the same.
                assert service.left.get(timeout=WATCHDOG) == 0
        assert isinstance(error, ServiceError)
        assert error.hint
        return error

    return act


def saying(*parts: bytes) -> Script:
    """Reads the request, says this, and hangs up."""

    def script(conversation: Conversation) -> None:
        conversation.receive()
        for part in parts:
            conversation.send(part)

    return script


def repeating(beginning: bytes, part: bytes, pause: float) -> Script:
    """Reads the request, and says this without an end."""

    def script(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(beginning)
        conversation.repeat(part, pause)

    return script


@pytest.mark.parametrize(
    ("beginning", "part"),
    [
        (b"HTTP/1.1 202 Acc", b"e"),
        (HEAD + b"X-Slow: ", b"x"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    ],
    ids=["status", "head", "body", "chunks"],
)
def test_what_trickles_ends_at_the_deadline(fail: Callable[..., HubpassError], beginning: bytes, part: bytes) -> None:
    """Every byte comes before anything could be called idle; only the whole takes too long."""
    error = fail(repeating(beginning, part, 0.02), 0.4)
    assert isinstance(error, DeadlineExceededError)
    assert (error.code, error.status) == ("deadline_exceeded", None)
    assert "timeout=" in error.hint


@pytest.mark.parametrize("status", [b"100 Continue", b"102 Processing", b"103 Early Hints"])
def test_a_flood_of_interim_answers(fail: Callable[..., HubpassError], status: bytes) -> None:
    error = fail(repeating(b"", b"HTTP/1.1 " + status + b"\r\n\r\n", 0.0), 0.4)
    assert error.code == "deadline_exceeded"


@pytest.mark.parametrize("status", [200, 202, 403, 429, 503])
def test_a_megabyte(call: Call, fail: Callable[..., HubpassError], status: int) -> None:
    error = fail(answer_with(status, MEGABYTE, retry_after="9"))
    assert error.status == status
    if status in {200, 202}:
        assert error.code == "unexpected_response"
        assert f"more than {BOUND} bytes" in error.message
        assert call.setting.split(" ")[0] in error.hint
    elif status == 429:
        assert error.code == "throttled"
        assert error.retry_after is not None
        # Where a key is renewed there is a pause of its own, with luck in its length.
        assert error.retry_after >= 9


def test_a_body_without_an_end(fail: Callable[..., HubpassError]) -> None:
    """It is given up at the bound, long before the deadline."""
    error = fail(repeating(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"400\r\n" + b"x" * 1024 + b"\r\n", 0.0))
    assert error.code == "unexpected_response"
    assert f"more than {BOUND} bytes" in error.message


@pytest.mark.parametrize("status", [200, 403, 502])
def test_a_page_of_html(call: Call, fail: Callable[..., HubpassError], status: int) -> None:
    page = b"<html><title>canary</title><h1>Sign in to continue</h1></html>"

    error = fail(answer_with(status, page, content_type="text/html"))
    assert error.status == status
    codes = {
        200: "unexpected_response",
        403: "permission_missing",
        502: "service_unavailable",
    }
    assert error.code == ("identity_unavailable" if call.name == "token" else codes[status])
    if call.name == "token" and status != 502:
        assert "authority=" in error.hint
        assert "ClientSecret" not in error.hint


# A user is put into a group by a success without a body, and what is in one does not matter.
@pytest.mark.parametrize("call", [call for call in CALLS if call.name != "group"], ids=str)
def test_a_body_that_was_compressed_unasked(call: Call, fail: Callable[..., HubpassError]) -> None:
    """Nothing is unpacked, so nothing can swell."""
    body = gzip.compress(b'{"KeyId": "k", "AccessKey": "a", "access_token": "t", "expires_in": 1}')

    def script(conversation: Conversation) -> None:
        received = conversation.receive()
        assert received is not None
        assert "accept-encoding" not in received.headers
        conversation.answer(200, body, content_encoding="gzip")

    error = fail(script)
    assert (error.code, error.status) == (
        "identity_unavailable" if call.name == "token" else "unexpected_response",
        200,
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>canary</html>",
        b"ICY 200 OK\r\n\r\n",
        b"HTTP/3.0 202 Accepted\r\n\r\n",
        b"HTTP/1.1 20x Accepted\r\n\r\n",
        HEAD + b"no colon\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\ncanary",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\ncanary",
        HEAD + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n",
        HEAD + b"".join(b"X-%d: x\r\n" % number for number in range(1000)) + b"\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        b"\x00\x00\x12\x04\x00\x00\x00\x00\x00",
    ],
    ids=[
        "HTTP/0.9",
        "another protocol",
        "HTTP/3",
        "status",
        "header",
        "negative length",
        "two lengths",
        "chunk",
        "huge chunk",
        "huge header",
        "a thousand headers",
        "upgrade",
        "HTTP/2 unasked",
    ],
)
def test_what_is_not_http(call: Call, fail: Callable[..., HubpassError], answer: bytes) -> None:
    error = fail(saying(answer))
    assert error.code == "unexpected_response" or (call.name == "token" and error.code == "identity_unavailable")
    assert call.setting.split(" ")[0] in error.hint


CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (b"", "close"),
        (b"", "reset"),
        (b"HTTP/1.1 202 Acc", "close"),
        (HEAD, "half-close"),
        (HEAD + b"Content-Length: 10\r\n\r\nabc", "close"),
        (HEAD + b"Content-Length: 10\r\n\r\nabc", "half-close"),
        (HEAD + b"Content-Length: 10\r\n\r\nabc", "reset"),
        (CHUNKED + b"5\r\nab", "close"),
        (CHUNKED + b"2\r\nab\r\n", "half-close"),
        (CHUNKED + b"2\r\nab\r\n", "reset"),
    ],
    ids=str,
)
def test_what_breaks_off(call: Call, fail: Callable[..., HubpassError], answer: bytes, end: str) -> None:
    def script(conversation: Conversation) -> None:
        conversation.receive()
        conversation.send(answer)
        if end == "half-close":
            conversation.finish()
            conversation.wait_until_left()
        elif end == "reset":
            conversation.reset()

    error = fail(script)
    assert (error.code, error.status) == ("connection_failed", None)
    assert f"check {call.setting}" in error.hint


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_lead_nowhere(
    call: Call, fail: Callable[..., HubpassError], trusted: Certificate, status: int
) -> None:
    with ScriptedService(tls=trusted.context()) as elsewhere, ScriptedService() as in_the_clear:
        for place in (elsewhere.at("localhost"), elsewhere.at("127.0.0.1"), in_the_clear.at("localhost"), "/"):
            error = fail(answer_with(status, location=place))
            assert (error.code, error.status) == ("redirect_refused", status)
            assert call.setting.split(" ")[0].lower() in error.hint.lower()
        assert elsewhere.connections == 0
        assert in_the_clear.connections == 0


def test_what_follows_an_answer_is_not_the_next_one(
    client_kind: ClientKind, trusted: Certificate, ca_file: object
) -> None:
    """An answer longer than it says (the rest looks like another) spoils its connection, not the next request."""

    def script(conversation: Conversation) -> None:
        first = conversation.number == 0
        while conversation.receive():
            conversation.send(HEAD + b"Content-Length: 0\r\n\r\n")
            if first:
                # It is sent together with the first answer, or before the connection is used again.
                conversation.send(b"HTTP/1.1 500 Poison\r\nContent-Length: 0\r\n\r\n")
                conversation.wait_until_left()
                return

    with ScriptedService(script, trusted.context()) as service:
        sender = client_kind.make(service.at("localhost"), ca_file=ca_file)
        sender.send_to_all("first")
        assert service.left.get(timeout=WATCHDOG) == 0
        sender.send_to_all("second")
        assert service.connections == 2


def test_a_reset_in_place_of_the_second_answer(client_kind: ClientKind, trusted: Certificate, ca_file: object) -> None:
    """The service has seen the second message, so it is not sent again over another connection."""

    def script(conversation: Conversation) -> None:
        conversation.receive()
        conversation.answer()
        if conversation.receive() is not None:
            conversation.reset()

    with ScriptedService(script, trusted.context()) as service:
        sender = client_kind.make(service.at("localhost"), ca_file=ca_file)
        sender.send_to_all("first")
        with pytest.raises(ServiceError) as caught:
            sender.send_to_all("second")
        assert caught.value.code == "connection_failed"
        assert [service.take().json["Target"] for _ in range(2)] == ["first", "second"]
        assert service.requests.empty()
        assert service.connections == 1
        sender.send_to_all("third")


def test_connections_are_used_again(client_kind: ClientKind, trusted: Certificate, ca_file: object) -> None:
    with ScriptedService(tls=trusted.context()) as service:
        sender = client_kind.make(service.at("localhost"), ca_file=ca_file)
        for _ in range(3):
            sender.send_to_all("say")
        assert service.connections == 1
