"""A server that says on each connection what a script tells it, byte by byte if need be."""

import select
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Semaphore

from typing_extensions import override

from networks.listener import Listener, reset
from signalr.service_double import WATCHDOG, Received


class Conversation:
    """A connection as its server sees it."""

    def __init__(self, connection: socket.socket, service: "ScriptedService", number: int) -> None:
        self.connection = connection
        self.number = number
        self._service = service
        self._unread = b""

    def receive(self) -> Received | None:
        """Read a whole request; ``None`` if there comes none."""
        while b"\r\n\r\n" not in self._unread:
            if not self._read():
                return None
            if not self._unread[:1].isalpha():
                # Whoever speaks TLS here is told so in HTTP.
                self.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                return None
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, version = first.split(" ")
        assert version == "HTTP/1.1"
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        while len(self._unread) < length:
            if not self._read():
                return None
        body, self._unread = self._unread[:length], self._unread[length:]
        received = Received(method, target, headers, body)
        self._service.requests.put(received)
        return received

    def _read(self) -> bool:
        data = self.connection.recv(65536)
        self._unread += data
        return bool(data)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def answer(self, status: int = 202, body: bytes = b"", **headers: str) -> None:
        """Send a right answer, after which the connection can carry another request."""
        lines = {"content-length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body)

    def repeat(self, data: bytes, pause: float = 0.0) -> None:
        """Send ``data`` again and again, until the caller goes away or the test ends."""
        with suppress(OSError):
            while not self._service.ended.wait(pause) and not self._is_readable():
                self.send(data)
                self._service.repeated.release()
        self._service.left.put(self.number)

    def _is_readable(self) -> bool:
        """Whether the caller has gone: a request has been read to its end, and after it comes only that."""
        return bool(select.select([self.connection], [], [], 0)[0])

    def wait_until_left(self) -> None:
        """Say nothing until the caller goes away or the test ends."""
        with suppress(OSError):
            while self.connection.recv(65536):
                pass
        self._service.left.put(self.number)

    def finish(self) -> None:
        """Say that nothing more will come, and go on listening."""
        if isinstance(self.connection, ssl.SSLSocket):
            # The end of TLS, without which an end of the connection below is a break of it; what the caller says to it
            # is not waited for.
            self.connection.settimeout(0)
            with suppress(OSError):
                self.connection.unwrap()
            self.connection.settimeout(None)
        self.connection.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        reset(self.connection)


Script = Callable[[Conversation], None]


def accept_all(conversation: Conversation) -> None:
    """Answer each request as the service does: 202 with a bearer, 401 without."""
    while received := conversation.receive():
        conversation.answer(202 if received.headers.get("authorization", "").startswith("Bearer ") else 401)


def answer_with(status: int, body: bytes = b"", **headers: str) -> Script:
    """Give each request this answer."""

    def script(conversation: Conversation) -> None:
        while conversation.receive():
            conversation.answer(status, body, **headers)

    return script


class ScriptedService(Listener):
    """Runs a script for each connection."""

    def __init__(self, script: Script = accept_all, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        super().__init__(tls, host)
        self._script = script
        self._host = f"[{host}]" if ":" in host else host
        self._scheme = "http" if tls is None else "https"
        self.requests: SimpleQueue[Received] = SimpleQueue()
        self.repeated = Semaphore(0)
        """Released each time that ``repeat`` has sent."""
        self.left: SimpleQueue[int] = SimpleQueue()
        """The number of each connection whose caller went away while it waited."""

    @property
    def endpoint(self) -> str:
        return self.at(self._host)

    def at(self, host: str) -> str:
        """The address of the service under another name of this machine."""
        return f"{self._scheme}://{host}:{self.port}"

    def take(self) -> Received:
        """The oldest request that was not taken yet, which must have arrived or be about to."""
        return self.requests.get(timeout=WATCHDOG)

    @override
    def serve(self, connection: socket.socket, number: int) -> None:
        self._script(Conversation(connection, self, number))
