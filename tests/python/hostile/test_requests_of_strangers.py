"""What strangers may write to a server: no 500, no other URL or hub, no token for a path that is not there."""

import json
from collections.abc import Iterable

import pytest

from hostile.servers import Answered, Server
from signalr.client_kind import ENDPOINT

CHAT, NEWS, KINO = (f"{ENDPOINT}/client/?hub={hub}" for hub in ("chat", "news", "kino"))
MEGABYTE = b"x" * 1024 * 1024


def url_of(answered: Answered) -> str | None:
    """Where the answer sends its client, or None if it gives no token."""
    if b"accessToken" not in answered.body:
        return None
    found = json.loads(answered.body)
    assert set(found) == {"url", "accessToken"}
    assert answered.status == 200
    return str(found["url"])


def check(answers: Iterable[Answered]) -> list[str | None]:
    """The URLs of answers none of which is a failure of the server."""
    answers = list(answers)
    for answered in answers:
        # 501 is what gunicorn says to a transfer coding that it does not know (RFC 9112, section 6.1).
        assert answered.status < 500 or answered.status == 501, answered
        # Nothing of what strangers write comes back as a header or in a body.
        assert not [name for name in answered.headers if name.lower() in {"set-cookie", "x-injected"}]
        if answered.status == 200:
            assert answered.headers["Cache-Control"] == "no-store"
    return [url_of(answered) for answered in answers]


def assert_gets(url: str, answers: list[Answered]) -> None:
    assert check(answers) == [url]


def assert_gets_nothing(answers: list[Answered]) -> None:
    """No token; a server may close without a word."""
    assert check(answers) in ([], [None])


@pytest.mark.parametrize(
    "lines",
    [
        ["Host: evil.example"],
        ["Host: evil.example:1", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "X-Forwarded-Port: 1"],
        ["X-Forwarded-Prefix: /evil", "X-Script-Name: /evil", "X-Original-URL: /rooms/news/negotiate"],
        ["X-Rewrite-URL: /rooms/news/negotiate", "X-Original-Host: evil.example", "X-Host: evil.example"],
        ["Forwarded: for=evil;host=evil.example;proto=http", "X-Real-IP: 1.2.3.4", "X-Forwarded-For: 1.2.3.4, evil"],
        ["X-HTTP-Method-Override: DELETE", "X-Method-Override: GET", "X-HTTP-Method: PUT"],
        ["Origin: https://evil.example", "Referer: https://evil.example/", "Cookie: " + "a=b; " * 100],
        ["Authorization: Bearer x", "Authorization: Bearer y", "X-MS-CLIENT-PRINCIPAL-ID: eve"],
        ["X-\xff: y".encode().decode("latin-1"), "Accept-Language: \xff\xfe"],
    ],
    ids=lambda lines: lines[0].partition(":")[0],
)
def test_headers_change_nothing(server: Server, lines: list[str]) -> None:
    answers = server.ask("/chat/negotiate", *lines)
    assert check(answers) in ([CHAT], [None], [])
    if not any("\xff" in line for line in lines):
        assert_gets(CHAT, answers)


@pytest.mark.parametrize(
    "query",
    [
        "negotiateVersion=1&negotiateVersion=1",
        "hub=news&hub=kino&asrs.s.uid=eve&user_id=eve&authorized=eve",
        "url=https://evil.example&access_token=x",
        "%",
        "%zz=%&&&=;",
        "a=%ff%fe&b=%00&c=%0d%0aX-Injected:%20yes",
        "?" * 100,
        "a" * 3000,
        "&".join(f"a{number}=1" for number in range(300)),
        "__class__=x&request=x&req=x",
    ],
    ids=lambda query: query[:24],
)
def test_queries_change_nothing(server: Server, query: str) -> None:
    assert_gets(CHAT, server.ask(f"/chat/negotiate?{query}"))
    assert_gets(NEWS, server.ask(f"/rooms/news/negotiate?{query}"))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b'{"hub":"news","user_id":"eve"}'),
        ("application/x-www-form-urlencoded", b"hub=news&authorized=eve"),
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=hub\r\n\r\nnews\r\n--x--"),
        ("text/plain;charset=utf-16", b"\xff\xfe"),
        ("x", b"\x00"),
        ("", b"x" * 60_000),
    ],
    ids=repr,
)
def test_a_body_of_any_type_changes_nothing(server: Server, content_type: str, body: bytes) -> None:
    lines = (f"Content-Type: {content_type}", f"Content-Length: {len(body)}")
    assert_gets(CHAT, server.ask("/chat/negotiate", *lines, body=body))


def test_a_body_that_is_announced_too_large_is_refused(server: Server) -> None:
    for length in ("65537", "1000000000000"):
        (answered,) = server.ask("/chat/negotiate", f"Content-Length: {length}")
        assert (answered.status, json.loads(answered.body)["error"]["code"]) == (413, "request_too_large")
    (answered,) = server.ask("/chat/negotiate", "Content-Length: 1048576", body=MEGABYTE)
    assert answered.status == 413


def test_a_body_in_chunks_is_not_read(server: Server) -> None:
    """Nobody says how long it is, and nobody waits for its end."""
    chunk = b"100000\r\n" + MEGABYTE + b"\r\n"
    for body in (chunk * 8 + b"0\r\n\r\n", chunk * 8, b"0\r\n\r\n", b"zz\r\n", b"-1\r\n", b"ffffffffffffffffff\r\nx"):
        answers = server.ask("/chat/negotiate", "Transfer-Encoding: chunked", body=body)
        assert check(answers) in ([CHAT], [None], [])
    assert_gets(CHAT, server.ask("/chat/negotiate"))


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: -1"],
        ["Content-Length: +5"],
        ["Content-Length: 5, 5"],
        ["Content-Length: 1_0"],
        ["Content-Length: \xb2"],
        ["Content-Length: 0x5"],
        ["Content-Length: 5", "Content-Length: 6"],
        ["Content-Length: 99999999999999999999999"],
        ["Content-Length: " + "9" * 5000],
        ["Transfer-Encoding: chunked", "Content-Length: 5"],
        ["Transfer-Encoding: xchunked"],
        ["Transfer-Encoding: chunked, identity"],
        ["Expect: 100-continue", "Content-Length: 5"],
        ["Expect: the worst"],
        ["X-A: a\r\n folded: yes"],
        ["X A: a"],
        ["X-A : a"],
        [": no name"],
        ["no colon"],
        ["X-A: a\nX-Injected: yes"],
        ["X-A: a\rX-Injected: yes"],
        ["X-A: a\x00b"],
        ["X-A: " + "a" * 100_000],
        ["X-A: a"] * 200,
        ["Host: a", "Host: b"],
        ["Host: a b"],
        ["Host: "],
    ],
    ids=lambda lines: repr(lines[0][:30]),
)
def test_broken_headers_break_nothing(server: Server, lines: list[str]) -> None:
    """Whether the server refuses them is its own affair; the token is for the right hub, or there is none."""
    for url in check(server.ask("/chat/negotiate", *lines, body=b"hello")):
        assert url in {CHAT, None}
    assert_gets(CHAT, server.ask("/chat/negotiate"))


@pytest.mark.parametrize(
    "lines",
    [
        ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"],
        ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMAAABkAAQAAP__"],
    ],
    ids=["websocket", "h2c"],
)
def test_offers_of_other_protocols_are_not_taken(server: Server, lines: list[str]) -> None:
    for method in ("POST", "GET"):
        for answered in server.ask("/chat/negotiate", *lines, method=method, cut=True):
            assert answered.status != 101
            assert check([answered]) in ([CHAT], [None])
    assert_gets(CHAT, server.ask("/chat/negotiate"))


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "",
        "*",
        "/negotiate",
        "/chat",
        "/chat/",
        "/chat/negotiate/negotiate",
        "/chatnegotiate",
        "/chatter/negotiate",
        "/xchat/negotiate",
        "/chat/negotiate.json",
        "/chat/negotiate;v=1",
        "/chat;/negotiate",
        "/chat/negotiate%00",
        "/chat%00/negotiate",
        "/chat/negotiate%20",
        "/chat/negotiate%0d%0aX-Injected:%20yes",
        "/chat/negotiate%0d%0a%0d%0a<script>",
        "/chat%5cnegotiate",
        "/chat\\negotiate",
        "/CHAT/negotiate",
        "/chat/NEGOTIATE",
        "/chat/./negotiate",
        "/chat/../negotiate",
        "/rooms/../chat/negotiate",
        "/%2e%2e/chat/negotiate",
        "/chat/%2e/negotiate",
        "/chat%252fnegotiate",
        "/%63hat%252fnegotiate",
        "/%c0%afchat/negotiate",
        "/%ff/negotiate",
        "/rooms/negotiate",
        "/rooms//negotiate",
        "/rooms/%2f/negotiate",
        "/rooms/chat/negotiate",
        "/rooms/admin/negotiate",
        "/rooms/{hub}/negotiate",
        "/rooms/%7bhub%7d/negotiate",
        "/rooms/%ff/negotiate",
        "/rooms/news%00/negotiate",
        "/rooms/news%20/negotiate",
        "/rooms/news,kino/negotiate",
        "/rooms/news/kino/negotiate",
        "/rooms/news%2fkino/negotiate",
        "/rooms/news%2f..%2fkino/negotiate",
        "/rooms/..%2fnews/negotiate",
        "/rooms/admin%2f..%2fnews/negotiate",
        "/rooms/%EF%BD%8Eews/negotiate",
        "/rooms/new%C5%BF/negotiate",
        "/rooms/" + "news" * 5000 + "/negotiate",
        "/" + "a" * 100_000,
    ],
    ids=lambda target: target[:40],
)
def test_other_paths_give_nothing(server: Server, target: str) -> None:
    assert_gets_nothing(server.ask(target))


@pytest.mark.parametrize(
    ("target", "url"),
    [
        ("//chat/negotiate", CHAT),
        ("/chat//negotiate", CHAT),
        ("/" * 3000 + "chat/negotiate", CHAT),
        ("/chat/negotiate/", CHAT),
        ("/ch%61t/negotiate", CHAT),
        ("/chat%2fnegotiate", CHAT),
        ("/chat/negotiate#fragment", CHAT),
        ("/rooms/n%65ws/negotiate", NEWS),
        ("/rooms/NEWS/negotiate", NEWS),
        ("/rooms/news%2fnegotiate", NEWS),
        # A capital letter of another alphabet, of which k is the small one.
        ("/rooms/%E2%84%AAino/negotiate", KINO),
        ("http://evil.example/chat/negotiate", CHAT),
        ("http://evil.example/rooms/news/negotiate", NEWS),
        ("https://user:password@evil.example:1/chat/negotiate", CHAT),
        ("//evil.example/chat/negotiate", CHAT),
    ],
)
def test_other_spellings_of_a_path_give_its_token_or_none(server: Server, target: str, url: str) -> None:
    """Servers and frameworks differ in what they take for the same path."""
    for found in check(server.ask(target, "Host: evil.example")):
        assert found in {url, None}
    assert_gets(CHAT, server.ask("/chat/negotiate"))


@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "post", "P" * 50]
)
def test_other_methods_give_nothing(server: Server, method: str) -> None:
    for target in ("/chat/negotiate", "/rooms/news/negotiate", "/pages/negotiate"):
        answers = server.ask(target, "X-HTTP-Method-Override: POST", method=method)
        assert_gets_nothing(answers)
        if method == "HEAD":
            assert (answers[0].status, answers[0].body) == (405, b"")


def test_connect_gives_nothing(server: Server) -> None:
    assert_gets_nothing(server.ask("evil.example:443", method="CONNECT"))


@pytest.mark.parametrize(
    "content",
    [
        b"POST /chat/negotiate HTTP/1.0\r\n\r\n",
        b"POST /chat/negotiate HTTP/1.0\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["no host", "host"],
)
def test_http_1_0(server: Server, content: bytes) -> None:
    assert_gets(CHAT, server.send(content))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n\r\n",
        b"POST",
        b"POST /chat/negotiate\r\n\r\n",
        b"POST /chat/negotiate HTTP/9.9\r\nHost: a\r\n\r\n",
        b"POST /chat/negotiate HTTP/1.1 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /chat/negotiate?a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST\t/chat/negotiate\tHTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /chat/negotiate HTTP/1.1\r\n\r\n",
        b"POST /chat/negotiate HTTP/1.1\r\nHost: a",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 1000,
        b"x" * 100_000,
    ],
    ids=lambda content: repr(content[:40]),
)
def test_what_is_no_request_breaks_nothing(server: Server, content: bytes) -> None:
    for url in check(server.send(content, cut=True)):
        assert url in {CHAT, None}
    assert_gets(CHAT, server.ask("/chat/negotiate"))


def test_requests_in_one_go_are_answered_each_for_itself(server: Server) -> None:
    """A server may close after the first; those that it answers are answered in order."""
    targets = {"/chat/negotiate": CHAT, "/none": None, "/rooms/news/negotiate": NEWS, "/rooms/kino/negotiate": KINO}
    requests = [f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" for target in targets]
    found = check(server.send(("\r\n".join(requests) + "Connection: close\r\n\r\n").encode()))
    assert found
    assert found == list(targets.values())[: len(found)]


def test_a_body_is_not_taken_for_a_request(server: Server) -> None:
    hidden = b"POST /rooms/news/negotiate HTTP/1.1\r\nHost: a\r\n\r\n"
    for lines in (
        [f"Content-Length: {len(hidden)}"],
        [f"Content-Length: {len(hidden)}", "Content-Type: message/http"],
    ):
        assert_gets(CHAT, server.ask("/chat/negotiate", *lines, body=hidden))


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://evil.example#https://app.example.com",
        "https://app.example.com@evil.example",
        "https://app.example.com/",
        "https://app.example.com https://evil.example",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com:x",
        "https://[::1",
        "https://app.example.com\\evil",
        "\x01https://app.example.com",
        "https://app.example.com\x7f",
        "https://app.example.com\xa0",
        "https://\xe4pp.example.com",
        "null",
        "*",
    ],
    ids=repr,
)
def test_origins_that_are_not_allowed(server: Server, origin: str) -> None:
    for method in ("POST", "OPTIONS"):
        answers = server.ask("/pages/negotiate", f"Origin: {origin}".encode("latin-1"), method=method)
        assert_gets_nothing(answers)
        for answered in answers:
            assert answered.status in {400, 403}
            assert answered.headers["Access-Control-Allow-Origin"] is None
    allowed = server.ask("/pages/negotiate", "Origin: https://app.example.com")
    assert_gets(CHAT, allowed)
    assert allowed[0].headers["Access-Control-Allow-Origin"] == "https://app.example.com"


def test_two_origins_are_none(server: Server) -> None:
    lines = ("Origin: https://app.example.com", "Origin: https://evil.example")
    for order in (lines, lines[::-1]):
        answers = server.ask("/pages/negotiate", *order)
        assert_gets_nothing(answers)
