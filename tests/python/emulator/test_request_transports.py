"""What only Server-Sent Events and long polling have: polls, posts, the end by DELETE, and where a token may stand."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import product

import httpx
import pytest

from emulator.hub_clients import connected, joined, opened, refused
from emulator.support import ABSENT, WATCHDOG_SECONDS, Azure
from hubpass.emulator import Emulator

HANDSHAKE = b'{"protocol":"json","version":1}\x1e'
REQUEST_TRANSPORTS = ["ServerSentEvents", "LongPolling"]
TRANSPORTS = ["WebSockets", *REQUEST_TRANSPORTS]
Ask = Callable[..., httpx.Response]


@pytest.fixture
def ask(azure: Azure) -> Ask:
    """A request of a client to the address of connections; the token is good unless another is given."""

    def send(
        method: str,
        connection_id: str | None,
        *,
        token: str | None = None,
        in_query: bool = False,
        events: bool = False,
        content: bytes = b"",
    ) -> httpx.Response:
        bearer = azure.token() if token is None else token
        query = {"hub": "chat"} | ({} if connection_id is None else {"id": connection_id})
        headers = {"Accept": "text/event-stream"} if events else {}
        if in_query:
            query["access_token"] = bearer
        else:
            headers["Authorization"] = f"Bearer {bearer}"
        url = f"{azure.endpoint}/client/"
        request = azure.http.build_request(method, url, params=query, headers=headers, content=content or None)
        answer = azure.http.send(request, stream=True)
        if answer.headers.get("content-type") != "text/event-stream":
            answer.read()
        answer.close()
        return answer

    return send


def negotiated(azure: Azure) -> str:
    token: str = azure.negotiate(azure.token()).json()["connectionToken"]
    return token


def test_an_event_stream_says_how_it_is_to_be_handled(azure: Azure) -> None:
    with connected(azure, "ServerSentEvents") as client:
        headers = client.answer.headers
        assert headers["content-type"] == "text/event-stream"
        assert headers["cache-control"] == "no-cache,no-store"
        assert "content-length" not in headers


def test_polls_are_not_cached(azure: Azure) -> None:
    with joined(azure, "LongPolling") as client:
        azure.send()
        answer = client.poll()
        assert answer.headers["cache-control"] == "no-cache, no-store"
        assert answer.headers["content-type"] == "application/octet-stream"


def test_one_poll_brings_everything_that_waits(azure: Azure) -> None:
    with joined(azure, "LongPolling") as client:
        for _ in range(3):
            azure.send()
        assert client.poll().text.count("\x1e") == 3


def test_a_newer_poll_ends_the_older_one(azure: Azure) -> None:
    with joined(azure, "LongPolling") as client, ThreadPoolExecutor(2) as pool:
        polls: list[Future[httpx.Response]] = [pool.submit(client.poll) for _ in range(2)]
        # Whichever came first has its answer because of the other, for nothing else has happened.
        ended, waiting = wait(polls, WATCHDOG_SECONDS, FIRST_COMPLETED)
        assert [poll.result().status_code for poll in ended] == [204]
        assert len(waiting) == 1
        azure.send()
        answer = waiting.pop().result(WATCHDOG_SECONDS)
        assert answer.status_code == 200
        assert "hello" in answer.text
        assert sorted(entry.action for entry in azure.control.journal("poll")) == [*["served"] * 3, "superseded"]


def test_a_poll_that_nothing_answers_ends_without_content_and_the_next_goes_on() -> None:
    with Emulator(poll_timeout=0.05) as emulator:
        azure = Azure(emulator)
        with joined(azure, "LongPolling") as client:
            answer = client.poll()
            assert (answer.status_code, answer.content) == (200, b"")
            azure.send()
            assert client.hear()["target"] == "hello"
        azure.close()


def test_a_poll_that_waits_is_a_sign_of_life() -> None:
    with Emulator(client_timeout=0.4, poll_timeout=1.0) as emulator:
        azure = Azure(emulator)
        with joined(azure, "LongPolling") as client:
            # It waits for longer than a client may be silent, and brings no farewell.
            assert client.poll().content == b""
        azure.close()


def test_every_poll_needs_a_token_that_allows_it(azure: Azure, ask: Ask) -> None:
    promised = negotiated(azure)
    with opened(azure, "LongPolling", azure.token(), f"hub=chat&id={promised}") as client:
        answer = ask("GET", promised, token=azure.user_token({"asrs.s.htt": "3"}))
        assert answer.status_code == 404
        assert "does not allow LongPolling" in answer.text
        client.say_raw(HANDSHAKE)
        assert client.hear() == {}


def test_messages_wait_for_the_next_poll(azure: Azure) -> None:
    with joined(azure, "LongPolling") as client:
        azure.send()
        azure.send(body={"target": "second"})
        assert [client.hear()["target"] for _ in range(2)] == ["hello", "second"]


def test_delete_ends_long_polling_and_the_poll_that_waits(azure: Azure) -> None:
    with joined(azure, "LongPolling") as client, ThreadPoolExecutor(2) as pool:
        # The end of one poll shows that the other one waits.
        _, waiting = wait([pool.submit(client.poll) for _ in range(2)], WATCHDOG_SECONDS, FIRST_COMPLETED)
        assert client.delete().status_code == 202
        assert waiting.pop().result(WATCHDOG_SECONDS).status_code == 204
        azure.control.wait_for_connections(0)
        for answer in (client.poll(), client.post(b'{"type":6}\x1e'), client.delete()):
            assert answer.status_code == 404
    assert azure.control.journal("disconnect")[0].action == "closed by the client"


@pytest.mark.parametrize("transport", ["WebSockets", "ServerSentEvents"])
def test_delete_ends_nothing_else(azure: Azure, transport: str, ask: Ask) -> None:
    promised = negotiated(azure)
    with opened(azure, transport, azure.token(), f"hub=chat&id={promised}") as client:
        answer = ask("DELETE", promised)
        assert answer.status_code == 400
        assert transport in answer.text
        client.say_raw(HANDSHAKE)
        assert client.hear() == {}


def test_post_is_refused_over_websockets(azure: Azure, ask: Ask) -> None:
    promised = negotiated(azure)
    with opened(azure, "WebSockets", azure.token(), f"hub=chat&id={promised}"):
        answer = ask("POST", promised, content=HANDSHAKE)
        assert answer.status_code == 405
        assert "WebSockets" in answer.text


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_id_is_needed(azure: Azure, ask: Ask, method: str) -> None:
    assert ask(method, None).status_code == 400
    assert ask(method, "").status_code == 400
    assert ask(method, "invented").status_code == 404
    assert "Connection ID required" in ask(method, None).text
    assert azure.control.connections() == ()


def test_what_is_posted_before_the_transport_is_there_is_kept(azure: Azure, ask: Ask) -> None:
    for transport in REQUEST_TRANSPORTS:
        promised = negotiated(azure)
        assert ask("POST", promised, content=HANDSHAKE).status_code == 200
        with opened(azure, transport, azure.token(), f"hub=chat&id={promised}") as client:
            assert client.hear() == {}
        azure.control.wait_for_connections(0)


# A second poll is no second connection.
@pytest.mark.parametrize(
    ("first", "second"), [pair for pair in product(TRANSPORTS, repeat=2) if pair != ("LongPolling", "LongPolling")]
)
def test_a_connection_keeps_its_transport(azure: Azure, first: str, second: str) -> None:
    promised = negotiated(azure)
    query = f"hub=chat&id={promised}"
    with opened(azure, first, azure.token(), query) as client:
        answer = refused(azure, second, azure.token(), query)
        assert answer.status_code == (409 if first == second else 400)
        client.say_raw(HANDSHAKE)
        assert client.hear() == {}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_only_event_streams_take_the_token_from_the_query(azure: Azure, ask: Ask, method: str) -> None:
    assert ask("GET", negotiated(azure), in_query=True, events=True).status_code == 200
    azure.control.wait_for_connections(0)
    promised = negotiated(azure)
    answer = ask(method, promised, in_query=True)
    assert answer.status_code == 401
    (entry,) = [entry for entry in azure.control.journal() if entry.status == 401]
    assert entry.reason == "the bearer token is missing"
    assert promised not in entry.path
    assert "access_token" not in entry.path


@pytest.mark.parametrize("transport", REQUEST_TRANSPORTS)
def test_every_request_needs_a_token_that_has_not_expired(azure: Azure, transport: str) -> None:
    now = int(azure.control.state().now)
    with joined(azure, transport, azure.token(exp=now + 100)) as client:
        azure.control.set_clock(now + 101)
        assert client.post(b'{"type":6}\x1e').status_code == 401
        if transport == "LongPolling":
            assert client.poll().status_code == 401
        azure.control.set_clock(now)
        assert client.post(b'{"type":6}\x1e').status_code == 200


@pytest.mark.parametrize("claims", [{"exp": ABSENT}, {"aud": ABSENT}, {"pad": "x" * 4096}], ids=["exp", "aud", "size"])
def test_bad_tokens_may_not_speak(azure: Azure, ask: Ask, claims: dict[str, object]) -> None:
    promised, bad = negotiated(azure), azure.user_token(claims)
    with opened(azure, "LongPolling", azure.token(), f"hub=chat&id={promised}") as client:
        for method in ("GET", "POST", "DELETE"):
            assert ask(method, promised, token=bad, content=HANDSHAKE).status_code in {401, 413}
        client.say_raw(HANDSHAKE)
        assert client.hear() == {}


def test_a_post_has_a_limit(azure: Azure) -> None:
    with joined(azure, "LongPolling") as client:
        assert client.post(b"x" * (4 * 1024 * 1024 + 1)).status_code == 413
        client.say_raw(b"x" * (1024 * 1024 + 1))
        assert "at most 1048576 bytes" in client.hear()["error"]


def test_posts_in_the_middle_of_a_character_are_put_together(azure: Azure) -> None:
    text = '{"type":1,"invocationId":"1","target":"Grüße","arguments":[]}\x1e'.encode()
    middle = text.index("ü".encode()) + 1
    with joined(azure, "ServerSentEvents") as client:
        client.say_raw(text[:middle])
        client.say_raw(text[middle:])
        assert "'Grüße'" in client.hear()["error"]


def test_a_browser_may_use_every_method(azure: Azure) -> None:
    origin = "http://localhost:5173"
    answer = azure.http.options(
        f"{azure.endpoint}/client/?hub=chat", headers={"Origin": origin, "Access-Control-Request-Method": "DELETE"}
    )
    assert answer.status_code == 204
    assert {"GET", "POST", "DELETE"} <= set(answer.headers["access-control-allow-methods"].split(", "))
    promised = azure.negotiate(azure.token()).json()["connectionToken"]
    with azure.http.stream(
        "GET",
        f"{azure.endpoint}/client/?hub=chat&id={promised}&access_token={azure.token()}",
        headers={"Origin": origin, "Accept": "text/event-stream"},
    ) as events:
        assert events.headers["access-control-allow-origin"] == origin
        assert events.headers["access-control-allow-credentials"] == "true"


def test_nothing_secret_is_written_down(azure: Azure, ask: Ask) -> None:
    promised, token = negotiated(azure), azure.token()
    assert ask("GET", promised, token=token, in_query=True, events=True).status_code == 200
    with opened(azure, "LongPolling", token, f"hub=chat&id={negotiated(azure)}"):
        pass
    written = f"{azure.control.journal()} {azure.control.state()} {azure.emulator.log_lines}"
    assert promised not in written
    assert token not in written
