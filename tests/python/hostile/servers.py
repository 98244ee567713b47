"""Real web servers, and a client that writes whatever it likes."""

import http.client
import io
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from signalr.service_double import WATCHDOG


@dataclass
class Answered:
    """One answer of a server."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Server:
    """A server that can be sent bytes."""

    def __init__(self, port: int) -> None:
        self._port = port

    def send(self, content: bytes, method: str = "POST") -> list[Answered]:
        """Write bytes and read until the server closes; what it answers, which may be nothing.

        `method` is that of the request, which decides whether an answer has a body.
        """
        with socket.create_connection(("127.0.0.1", self._port), timeout=WATCHDOG) as connection:
            found = bytearray()
            try:
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(65536):
                    found += chunk
            except ConnectionError:
                # It had enough before it had everything. What it said before counts.
                pass
        return list(_answers(bytes(found), method))

    def ask(self, target: str | bytes, *lines: str | bytes, method: str = "POST", body: bytes = b"") -> list[Answered]:
        """Send one request of HTTP/1.1 with these lines as headers."""
        head = [b"%s %s HTTP/1.1" % (method.encode(), _bytes(target)), *map(_bytes, lines)]
        if not any(line.lower().startswith(b"host:") for line in head):
            head.append(b"Host: app.example.com")
        head.append(b"Connection: close")
        return self.send(b"\r\n".join(head) + b"\r\n\r\n" + body, method)


def _bytes(text: str | bytes) -> bytes:
    return text.encode("latin-1") if isinstance(text, str) else text


class _Source:
    def __init__(self, file: io.BytesIO) -> None:
        self._file = file

    def makefile(self, *_: Any) -> io.BytesIO:
        return self._file


class _Unclosable(io.BytesIO):
    """The answers that follow are in it too."""

    def close(self) -> None:
        """Stay open."""


def _answers(content: bytes, method: str) -> Iterator[Answered]:
    file = _Unclosable(content)
    while file.tell() < len(content):
        response = http.client.HTTPResponse(_Source(file), method=method)  # type: ignore[arg-type]
        response.begin()
        body = response.read()
        yield Answered(response.status, response.headers, body)


@contextmanager
def serving(command: Sequence[str]) -> Iterator[Server]:
    """Run a web server, whose command has ``{fd}`` where the number of its socket goes.

    It must not have anything like a traceback to tell, whatever it was sent.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.TemporaryFile() as errors:
        filled = [sys.executable, "-m", *(part.format(fd=listener.fileno()) for part in command)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            filled, env=environment, pass_fds=[listener.fileno()], stdin=subprocess.DEVNULL, stderr=errors
        )
        try:
            yield Server(listener.getsockname()[1])
            assert process.poll() is None, "the server has died"
            process.terminate()
            process.wait(WATCHDOG)
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        told = errors.read().decode(errors="replace")
    assert "Traceback" not in told, told
