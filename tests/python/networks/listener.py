"""What every server of these tests does: it listens on this machine, and a thread of its own serves each connection."""

import socket
import ssl
import struct
from contextlib import suppress
from threading import Event, Lock, Thread

from typing_extensions import Self

from signalr.service_double import WATCHDOG


class Listener:
    """Accepts connections until the test ends, at which each that is left is cut."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listening = socket.create_server((host, 0), family=family)
        self.port: int = self._listening.getsockname()[1]
        self.ended = Event()
        self._tls = tls
        self._lock = Lock()
        self._open: list[socket.socket] = []
        self._threads: list[Thread] = []
        self.connections = 0
        """How many connections were made."""

    def serve(self, connection: socket.socket, number: int) -> None:
        """Serve a connection, the ``number``-th from zero."""
        raise NotImplementedError

    def track(self, connection: socket.socket) -> None:
        """Cut ``connection`` at the latest when the test ends."""
        with self._lock:
            self._open.append(connection)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.ended.set()
        # Closing alone does not wake a thread that waits in accept.
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            cut(connection)
        for thread in self._threads:
            thread.join(WATCHDOG)
            assert not thread.is_alive(), "a connection is still being served"

    def _start(self, target: object, *arguments: object) -> None:
        thread = Thread(target=target, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.track(connection)
            number, self.connections = self.connections, self.connections + 1
            self._start(self._serve, connection, number)

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self.track(connection)
            self.serve(connection, number)
        except OSError:
            # The caller went away, or does not like our certificate: some tests are about that.
            return
        finally:
            cut(connection)


def cut(connection: socket.socket) -> None:
    """End a connection, whatever state it is in, and wake whoever waits on it."""
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def reset(connection: socket.socket) -> None:
    """End a connection with a reset in place of an orderly end, which is what a linger time of zero means."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
