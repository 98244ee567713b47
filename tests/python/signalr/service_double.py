"""A service on this machine: it keeps what it is sent, and answers what it is told to, when it is told."""

import json
import select
import socket
import struct
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from typing_extensions import Self, override

WATCHDOG = 30.0
"""Seconds after which something that has not happened never will. No test is faster for waiting less."""


@dataclass
class Received:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def bearer(self) -> str:
        scheme, _, token = self.headers["authorization"].partition(" ")
        assert scheme == "Bearer"
        return token


class Held:
    """A request that gets no answer until it is let go."""

    def __init__(self) -> None:
        self._arrived = Event()
        self._abandoned = Event()
        self._released = Event()

    def wait_until_arrived(self) -> None:
        assert self._arrived.wait(WATCHDOG), "the request did not arrive"

    def wait_until_abandoned(self) -> None:
        assert self._abandoned.wait(WATCHDOG), "the connection stayed open"

    @property
    def is_abandoned(self) -> bool:
        return self._abandoned.is_set()

    def release(self) -> None:
        self._released.set()

    @property
    def is_released(self) -> bool:
        return self._released.is_set()

    def arrive(self, connection: socket.socket) -> None:
        """Wait until the request may be answered, or whoever sent it has gone away."""
        self._arrived.set()
        while not self._released.wait(0.01):
            readable, _, _ = select.select([connection], [], [], 0)
            # A request has been read to its end: what comes after it is the end of the connection.
            if readable:
                self._abandoned.set()
                self._released.wait(WATCHDOG)
                return


@dataclass
class Answer:
    """What one request is answered with."""

    status: int = 202
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes | None = None
    """Bytes to write in place of an HTTP answer."""
    reset_after: int | None = None
    """How many bytes of the body to write before the connection is reset."""
    held_open: Held | None = None
    """What keeps the connection open after ``raw``."""
    half_closed: bool = False
    """Whether to send nothing more from then on, as a service does that closes an idle connection."""


class ServiceDouble:
    """Answers 202 unless it is told otherwise. Every connection carries one request."""

    def __init__(self) -> None:
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._holds: SimpleQueue[Held] = SimpleQueue()
        self._all_holds: list[Held] = []
        self._requests: SimpleQueue[Received] = SimpleQueue()
        self._server = _make_server(self)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, answer: Answer) -> None:
        """Answer the next request (after those already told of) with this."""
        self._answers.put(answer)

    def hold(self) -> Held:
        """Keep the next request waiting (after those already told of)."""
        held = self.track(Held())
        self._holds.put(held)
        return held

    def track(self, held: Held) -> Held:
        """Let go of ``held`` at the latest when the test ends."""
        self._all_holds.append(held)
        return held

    def take(self) -> Received:
        """The oldest request that was not taken yet, which must have arrived or be about to."""
        return self._requests.get(timeout=WATCHDOG)

    @property
    def is_idle(self) -> bool:
        """Whether no request has arrived that was not taken."""
        return self._requests.empty()

    def handle(self, received: Received, connection: socket.socket) -> Answer:
        self._requests.put(received)
        if not self._holds.empty():
            self._holds.get().arrive(connection)
        return Answer() if self._answers.empty() else self._answers.get()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for held in self._all_holds:
            held.release()
        self._server.shutdown()
        self._thread.join()
        # Waits for the threads of the requests, which have nothing left to wait for.
        self._server.server_close()


def _make_server(double: ServiceDouble) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            answer = double.handle(Received(self.command, self.path, headers, body), self.connection)
            if answer.raw is not None:
                self.wfile.write(answer.raw)
                if answer.half_closed:
                    self.connection.shutdown(socket.SHUT_WR)
                if answer.held_open is not None:
                    answer.held_open.arrive(self.connection)
                return
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if answer.reset_after is None:
                self.wfile.write(answer.body)
                return
            self.wfile.write(answer.body[: answer.reset_after])
            self.wfile.flush()
            # Closing with a linger time of zero sends a reset in place of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        do_GET = do_PUT = do_DELETE = do_HEAD = do_POST  # noqa: N815 - the names are those of http.server

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False
        request_queue_size = 64

        @override
        def handle_error(self, request: Any, client_address: Any) -> None:
            """Ignore callers that went away before they were answered: some tests do."""

    return Server(("127.0.0.1", 0), Handler)
