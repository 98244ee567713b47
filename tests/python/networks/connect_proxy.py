"""A proxy that tunnels (RFC 9110 section 9.3.6): it wants to be asked with CONNECT, and with the right credentials."""

import base64
import socket
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Thread

from typing_extensions import override

from networks.listener import Listener, cut

Behaviour = Callable[[socket.socket], None]


class ConnectProxy(Listener):
    """Resolves names by a table of its own, as a proxy has a DNS of its own: no name of a test ever leaves the machine.

    Args:
        routes: The port on this machine of each ``host:port``.
        credentials: ``user:password`` that must be shown.
        behaviour: What is done with a connection whose CONNECT is in order, in place of making a tunnel.
        tls: Set for a proxy that is itself spoken to in TLS.
    """

    def __init__(
        self,
        routes: Mapping[str, int] | None = None,
        *,
        credentials: str | None = None,
        behaviour: Behaviour | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(tls)
        self._routes = dict(routes or {})
        self._credentials = credentials
        self._behaviour = behaviour
        self.heads: list[str] = []
        """The head of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url_with(self, credentials: str) -> str:
        return f"http://{credentials}@127.0.0.1:{self.port}"

    @property
    def targets(self) -> list[str]:
        """What each request asked for."""
        return [head.split(" ")[1] for head in self.heads]

    @override
    def serve(self, connection: socket.socket, number: int) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            # Byte by byte, because what follows the head is not for the proxy.
            if not (byte := connection.recv(1)):
                return
            head += byte
        text = head.decode("latin-1")
        self.heads.append(text)
        refusal = self._refusal(text)
        if refusal is not None:
            connection.sendall(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
        elif self._behaviour is not None:
            self._behaviour(connection)
        else:
            self._tunnel(connection, self._routes[self.targets[-1]])

    def _refusal(self, head: str) -> str | None:
        """The status with which a request is refused, if it is."""
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        method, target, version = first.split(" ")
        if method != "CONNECT":
            return "405 Method Not Allowed\r\nAllow: CONNECT"
        if version != "HTTP/1.1" or headers.get("host") != target or not target.rpartition(":")[2].isdigit():
            return "400 Bad Request"
        if self._credentials is not None:
            right = "Basic " + base64.b64encode(self._credentials.encode()).decode()
            if headers.get("proxy-authorization") != right:
                return '407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="contoso"'
        if self._behaviour is None and target not in self._routes:
            return "502 Bad Gateway"
        return None

    def _tunnel(self, connection: socket.socket, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as beyond:
            self.track(beyond)
            connection.sendall(b"HTTP/1.1 200 Connection Established\r\n\r\n")
            back = Thread(target=_copy, args=(beyond, connection))
            back.start()
            _copy(connection, beyond)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes until it ends, and then that it has ended."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    cut(target)


def answering(answer: bytes) -> Behaviour:
    """A proxy that answers each request with these bytes and hangs up."""

    def behave(connection: socket.socket) -> None:
        connection.sendall(answer)

    return behave
