"""A loopback service that accepts every call and keeps what it was sent."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import SimpleQueue
from threading import Thread

import pytest


@pytest.fixture
def loopback_service() -> Iterator[tuple[int, "SimpleQueue[tuple[str, str, dict[str, str], bytes]]"]]:
    """The port of a running service and the queue of its calls.

    A call is its method, its request target, its headers by lower-case name, and its body.
    """
    calls: SimpleQueue[tuple[str, str, dict[str, str], bytes]] = SimpleQueue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            calls.put((self.command, self.path, headers, body))
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port, calls
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
