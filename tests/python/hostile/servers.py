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

    def send(self, content: bytes, method: str = "POST", *, cut: bool = False) -> list[Answered]:
        """Write bytes and read until the server closes; what it answers, which may be nothing.

        `method` is that of the request, which decides whether an answer has a body. With `cut` the client says that
        nothing more will come, for what is no complete request; some servers take that for a farewell.
        """
        with socket.create_connection(("127.0.0.1", self._port), timeout=WATCHDOG) as connection:
            found = bytearray()
            try:
                connection.sendall(content)
                if cut:
                    connection.shutdown(socket.SHUT_WR)
                while chunk := connection.recv(65536):
                    found += chunk
            except TimeoutError:
                raise
            except OSError:
                # It had enough before it had everything. What it said before counts.
                pass
        return list(_answers(bytes(found), method))

    def ask(
        self, target: str | bytes, *lines: str | bytes, method: str = "POST", body: bytes = b"", cut: bool = False
    ) -> list[Answered]:
        """Send one request of HTTP/1.1 with these lines as headers."""
        head = [b"%s %s HTTP/1.1" % (method.encode(), _bytes(target)), *map(_bytes, lines)]
        if not any(line.lower().startswith(b"host:") for line in head):
            head.append(b"Host: app.example.com")
        if not any(line.lower().startswith(b"connection:") for line in head):
            head.append(b"Connection: close")
        return self.send(b"\r\n".join(head) + b"\r\n\r\n" + body, method, cut=cut)


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
    with tempfile.TemporaryFile() as errors:
        # Once this process has let go of the listener, a server that has died refuses connections.
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port, fd = listener.getsockname()[1], listener.fileno()
            filled = [sys.executable, "-m", *(part.format(fd=fd) for part in command)]
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            process = subprocess.Popen(filled, env=environment, pass_fds=[fd], stdin=subprocess.DEVNULL, stderr=errors)
        try:
            yield Server(port)
            died = process.poll() is not None
            process.terminate()
            process.wait(WATCHDOG)
        finally:
            process.kill()
            process.wait()
            errors.seek(0)
            told = errors.read().decode(errors="replace")
            sys.stderr.write(told)
    assert not died
    assert "Traceback" not in told, told
