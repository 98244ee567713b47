"""An Azure at its worst: it knows what it is sent, and answers with it.

Entra, the managed-identity endpoint and the service in one. Each refuses what the real one refuses; the requests of a
route can be answered with a failure that repeats them whole, credentials included.
"""

import json
import re
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal
from urllib.parse import parse_qs, unquote_plus, urlsplit

import jwt
from typing_extensions import Self, override

from hubpass.emulator.certificates import new_server_certificate
from networks.listener import reset
from secrecy.search import Canaries
from signalr.service_double import Held

TENANT, CLIENT_ID = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
CLIENT_SECRET = "q8Q~client.canary+of/the_secret-Zz9=7"
IDENTITY_HEADER = "header-canary-of-the-identity-7f3a9c"
ACCESS_TOKEN = "bearerCanaryOfEntra0123456789abcdefXYZ"
"""No JWT, and short: nothing but its value tells that it is a secret."""
KID, TEMPORARY_KEY = "kid-1", "temporary+canary/of/the+key+0123456789abcde="
ACCESS_KEY = "access+canary/of/the/key+0123456789abcdefgh="
MESSAGE = "message-canary-to-everybody"

Route = Literal["token", "managed_identity", "access_key", "send", "group", "generate"]


def canaries() -> Canaries:
    """All secrets that this Azure gives out or is given."""
    return Canaries(
        client_secret=CLIENT_SECRET,
        identity_header=IDENTITY_HEADER,
        access_token=ACCESS_TOKEN,
        temporary_key=TEMPORARY_KEY,
        access_key=ACCESS_KEY,
    )


@dataclass
class Request:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: str

    @property
    def whole(self) -> str:
        """All of it, as sent and decoded."""
        lines = "\n".join(f"{name}: {value}" for name, value in self.headers.items())
        return f"{self.method} {self.target}\n{lines}\n\n{self.body}\n{unquote_plus(self.body)}"

    @property
    def credential(self) -> str:
        """The secret in it."""
        form = parse_qs(self.body)
        if "client_secret" in form:
            return form["client_secret"][0]
        header = self.headers.get("authorization") or self.headers.get("x-identity-header") or ""
        return header.removeprefix("Bearer ")


@dataclass
class Failure:
    """A way to fail: the bytes to answer with, after which the connection is closed or reset."""

    name: str
    answer: Callable[[Request], bytes]
    reset: bool = False

    def __str__(self) -> str:
        return self.name


def http(status: int, body: str, headers: dict[str, str] | None = None, reason: str = "Reason") -> bytes:
    """An answer as bytes."""
    content = body.encode()
    lines = {"Content-Type": "text/html", "Content-Length": str(len(content)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} {reason}\r\n{head}Connection: close\r\n\r\n".encode() + content


def one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def _with_status(status: int) -> Failure:
    headers = {"Location": "https://elsewhere.invalid/?{}"} if 300 <= status < 400 else {}

    def answer(request: Request) -> bytes:
        filled = {name: value.format(one_line(request.whole)) for name, value in headers.items()}
        return http(status, f"<html>nginx AADSTS7000215 {request.whole}</html>", filled)

    return Failure(f"status {status}", answer)


def _with_json(name: str, status: int, content: Callable[[Request], dict[str, Any]]) -> Failure:
    return Failure(f"{name}, status {status}", lambda request: http(status, json.dumps(content(request))))


def _with_header(status: int, name: str) -> list[Failure]:
    return [
        Failure(f"all in {name}, status {status}", lambda request: http(status, "", {name: one_line(request.whole)})),
        Failure(f"secret in {name}, status {status}", lambda request: http(status, "", {name: request.credential})),
    ]


STATUSES = [200, 201, 204, 226, 300, 302, 307, 308, 400, 401, 402, 403, 404, 405, 407, 408, 409, 410, 413, 414, 415]
STATUSES += [418, 422, 429, 431, 451, 500, 501, 502, 503, 504, 505, 599, 999]

FAILURES = [
    *map(_with_status, STATUSES),
    *_with_header(400, "x-ms-error-code"),
    *_with_header(401, "WWW-Authenticate"),
    *_with_header(429, "Retry-After"),
    *_with_header(503, "Set-Cookie"),
    _with_json(
        "an OAuth error", 400, lambda r: {"error": r.credential, "error_description": f"AADSTS70011: {r.whole}"}
    ),
    _with_json("a token with no end", 200, lambda r: {"access_token": r.credential, "expires_in": r.credential}),
    _with_json("a token that is no header", 200, lambda r: {"access_token": r.whole, "expires_in": 60}),
    _with_json("a key named as the token", 200, lambda r: {"KeyId": r.credential, "AccessKey": TEMPORARY_KEY}),
    _with_json("a key named as itself", 200, lambda _: {"KeyId": TEMPORARY_KEY, "AccessKey": TEMPORARY_KEY}),
    _with_json("a key with a bad name", 200, lambda r: {"KeyId": r.whole, "AccessKey": TEMPORARY_KEY}),
    _with_json("a key with an endless name", 200, lambda r: {"KeyId": r.credential * 99, "AccessKey": TEMPORARY_KEY}),
    _with_json("a key of a wrong type", 200, lambda r: {"KeyId": 1, "AccessKey": [r.credential]}),
    Failure("all in the reason", lambda r: http(500, "", reason=one_line(r.whole))),
    Failure("a megabyte, status 200", lambda r: http(200, r.whole * (1_000_000 // len(r.whole)))),
    Failure("a megabyte, status 500", lambda r: http(500, r.whole * (1_000_000 // len(r.whole)))),
    Failure("garbage", lambda r: r.whole.encode()),
    Failure("half a status line", lambda r: f"HTTP/1.1 2{r.credential}".encode()),
    Failure("a bad header", lambda r: f"HTTP/1.1 200 OK\r\n{r.whole}\r\n\r\n".encode()),
    Failure("an endless header", lambda r: f"HTTP/1.1 200 OK\r\nx: {one_line(r.whole) * 3000}\r\n\r\n".encode()),
    Failure("a bad length", lambda r: http(200, "", {"Content-Length": r.credential})),
    Failure("a bad chunk", lambda r: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{r.whole}\r\n".encode()),
    Failure("a body that ends early", lambda r: http(200, r.whole, {"Content-Length": "60000"})),
    Failure("a body that is reset", lambda r: http(200, r.whole, {"Content-Length": "60000"}), reset=True),
    Failure("nothing", lambda _: b""),
    Failure("a reset", lambda _: b"", reset=True),
]


class EchoingAzure:
    """The three of them, on this machine."""

    def __init__(self) -> None:
        certificate = new_server_certificate("127.0.0.1")
        self.authority_pem = certificate.authority
        self._plain = self._server(None)
        self._secure = self._server(certificate.context)
        self._threads = [Thread(target=each.serve_forever, args=(0.01,)) for each in (self._plain, self._secure)]
        self._failures: dict[str, Failure | Held] = {}
        self.failed = 0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._plain.server_port}"

    @property
    def identity_endpoint(self) -> str:
        return f"{self.endpoint}/msi/token"

    @property
    def authority(self) -> str:
        return f"https://127.0.0.1:{self._secure.server_port}"

    @property
    def application(self) -> str:
        """The connection string of the application."""
        identity = f"ClientId={CLIENT_ID};TenantId={TENANT};ClientSecret={CLIENT_SECRET}"
        return f"Endpoint={self.endpoint};AuthType=azure.app;{identity};Version=1.0;"

    @property
    def managed_identity(self) -> str:
        return f"Endpoint={self.endpoint};AuthType=azure.msi;Version=1.0;"

    @property
    def shared_key(self) -> str:
        return f"Endpoint={self.endpoint};AccessKey={ACCESS_KEY};Version=1.0;"

    @contextmanager
    def failing(self, route: Route, failure: Failure) -> Iterator[None]:
        """Fail so at each request of the route."""
        self._failures, self.failed = {route: failure}, 0
        try:
            yield
        finally:
            self._failures = {}

    @contextmanager
    def holding(self, route: Route) -> Iterator[Held]:
        """Keep each request of the route until the block ends."""
        held = Held()
        self._failures = {route: held}
        try:
            yield held
        finally:
            self._failures = {}
            held.release()

    def respond(self, request: Request, connection: socket.socket) -> tuple[bytes, bool]:
        """The answer, and whether the connection is reset after it."""
        route = self._route(request, is_secure=isinstance(connection, ssl.SSLSocket))
        failure = self._failures.get(route)
        if isinstance(failure, Held):
            failure.arrive(connection)
        elif failure is not None:
            self.failed += 1
            return failure.answer(request), failure.reset
        return self._serve(route, request), False

    @staticmethod
    def _route(request: Request, *, is_secure: bool) -> str:
        path = urlsplit(request.target).path
        routes = {
            ("POST", f"/{TENANT}/oauth2/v2.0/token", True): "token",
            ("GET", "/msi/token", False): "managed_identity",
            ("GET", "/api/v1/auth/accessKey", False): "access_key",
            ("POST", "/api/hubs/chat/:send", False): "send",
            ("POST", "/api/hubs/chat/:generateToken", False): "generate",
        }
        if request.method == "PUT" and path.startswith("/api/hubs/chat/users/"):
            return "group"
        return routes.get((request.method, path, is_secure), "unknown")

    def _serve(self, route: str, request: Request) -> bytes:
        token = json.dumps({"token_type": "Bearer", "access_token": ACCESS_TOKEN, "expires_in": 3600})
        key = json.dumps({"KeyId": KID, "AccessKey": TEMPORARY_KEY})
        right = {"token": CLIENT_SECRET, "managed_identity": IDENTITY_HEADER, "access_key": ACCESS_TOKEN}
        success = {"token": (200, token), "managed_identity": (200, token), "access_key": (200, key), "send": (202, "")}
        if route not in success:
            return http(404, "")
        is_known = request.credential == right.get(route) or (route == "send" and self._may_send(request.credential))
        return http(*success[route]) if is_known else http(401, "")

    def _may_send(self, bearer: str) -> bool:
        if bearer == ACCESS_TOKEN:
            return True
        try:
            jwt.decode(bearer, ACCESS_KEY, ["HS256"], audience=f"{self.endpoint}/api/hubs/chat/:send")
        except jwt.PyJWTError:
            return False
        return True

    def _server(self, tls: ssl.SSLContext | None) -> ThreadingHTTPServer:
        azure = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", "0"))).decode()
                request = Request(self.command, self.path, headers, body)
                answer, is_reset = azure.respond(request, self.connection)
                self.wfile.write(answer)
                self.close_connection = True
                if is_reset:
                    reset(self.connection)

            do_GET = do_PUT = do_POST  # noqa: N815 - the names are those of http.server

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output clean."""

        class Server(ThreadingHTTPServer):
            daemon_threads = False

            @override
            def handle_error(self, request: Any, client_address: Any) -> None:
                """Ignore callers that went away, or did not trust the certificate: some tests do."""

        server = Server(("127.0.0.1", 0), Handler)
        if tls is not None:
            # The handshake is left to the thread of the connection, so that one that hangs stops nobody else.
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        return server

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for server in (self._plain, self._secure):
            server.shutdown()
        for thread in self._threads:
            thread.join()
        for server in (self._plain, self._secure):
            server.server_close()

    def write_authority(self, folder: Path) -> Path:
        """The certificate to trust, in a file."""
        path = folder / "authority.pem"
        path.write_bytes(self.authority_pem)
        return path
