"""An application server on this machine: `POST .../negotiate` answered by Hubpass, as simple as they come."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hubpass import SignalRServiceClient


@contextmanager
def serving(connection_string: str, hub: str, **options: Any) -> Iterator[str]:
    """The URL that a client connects to; `options` are keywords of `negotiate`."""
    client = SignalRServiceClient.from_connection_string(connection_string, hub)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(client.negotiate(**options)).encode()
            self.send_response(200 if self.path.partition("?")[0] == "/negotiate" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Write nothing: a request line may hold a token."""

    with client, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
