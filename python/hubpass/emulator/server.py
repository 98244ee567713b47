"""Runs the two servers of the emulator in one event loop until somebody asks it to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from hubpass.emulator.access_keys import KEY_NAMES
from hubpass.emulator.addresses import Address, bind_loopback
from hubpass.emulator.control_plane import control_plane
from hubpass.emulator.data_plane import data_plane
from hubpass.emulator.redaction import RedactingFormatter, Redactor
from hubpass.emulator.service import Service, ServiceMode, Timing, log, new_service

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override

# Longer than any client keeps an idle connection, so that no request meets a connection that is just being
# closed.
_KEEP_ALIVE_SECONDS = 120
_GRACE_SECONDS = 2
_MAX_WEBSOCKET_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Options:
    """What the command line decides."""

    host: str
    port: int
    control_port: int
    access_key: str | None
    service_mode: ServiceMode
    timing: Timing
    exit_with_parent: bool


def run(options: Options) -> None:
    """Serve until stopped. Raises `NotLoopbackError` or `OSError` if an address cannot be used."""
    redactor = Redactor()
    _log_to_stderr(redactor)
    with (
        contextlib.closing(bind_loopback(options.host, options.port)) as data_socket,
        contextlib.closing(bind_loopback(options.host, options.control_port)) as control_socket,
    ):
        asyncio.run(_serve(options, redactor, data_socket, control_socket))


async def _serve(
    options: Options, redactor: Redactor, data_socket: socket.socket, control_socket: socket.socket
) -> None:
    token = secrets.token_urlsafe(32)
    redactor.learn(token)
    address = Address("http", options.host, data_socket.getsockname()[1])
    control_address = Address("http", options.host, control_socket.getsockname()[1])
    service = new_service(address, redactor, options.access_key, options.service_mode, options.timing)
    servers = [_server(data_plane(service)), _server(control_plane(service, token))]
    serving = [
        asyncio.ensure_future(server.serve(sockets=[listener]))
        for server, listener in zip(servers, (data_socket, control_socket), strict=True)
    ]
    expiring = asyncio.ensure_future(service.connections.close_expired())
    stopping = asyncio.ensure_future(service.stopping.wait())
    with _stopping_on_signals(service):
        if options.exit_with_parent:
            _stop_at_end_of_input(service)
        listening = asyncio.gather(*(server.listening.wait() for server in servers))
        either: set[asyncio.Future[Any]] = {listening, stopping, *serving}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if all(server.listening.is_set() for server in servers):
            print(_ready_line(service, control_address, token), flush=True)
            await asyncio.wait({stopping, expiring, *serving}, return_when=asyncio.FIRST_COMPLETED)
        service.faults.release(None)
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
    for task in (expiring, stopping):
        if task.done():
            task.result()
        task.cancel()


def _ready_line(service: Service, control_address: Address, token: str) -> str:
    ready: dict[str, Any] = {
        "event": "ready",
        "endpoint": service.address.url,
        "control_url": control_address.url,
        "control_token": token,
        "service_mode": service.service_mode,
    }
    for name in KEY_NAMES:
        ready[f"{name}_connection_string"] = service.keys.connection_string(name, service.address)
    return json.dumps(ready)


class _AbortableProtocol(H11Protocol):
    """HTTP/1.1 whose requests know how to cut their connection, which ASGI itself cannot express."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the way to cut the connection where the application finds it."""
        self.app_state = {**self.app_state, "abort": transport.abort}
        super().connection_made(transport)


class _Server(uvicorn.Server):
    """A server that leaves signals to the emulator, since two of them share one process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when connections are accepted."""
        await super().startup(sockets)
        self.listening.set()

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Change nothing."""
        yield


def _server(app: ASGIApp) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            http=_AbortableProtocol,
            # uvicorn's other implementations let a client hang whose URL is longer than 8 KiB, which is where
            # a client with far too many claims needs its 413.
            ws="wsproto",
            # The hub protocol has its own keep-alive; frames of the WebSocket layer would hide its absence.
            ws_ping_interval=None,
            ws_ping_timeout=None,
            ws_max_size=_MAX_WEBSOCKET_BYTES,
            lifespan="off",
            # uvicorn's own lines contain whole URLs, access_token included.
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


def _log_to_stderr(redactor: Redactor) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(message)s", redactor))
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    uvicorn_log = logging.getLogger("uvicorn")
    uvicorn_log.addHandler(handler)
    uvicorn_log.setLevel(logging.WARNING)
    uvicorn_log.propagate = False


@contextlib.contextmanager
def _stopping_on_signals(service: Service) -> Iterator[None]:
    """Let SIGINT and SIGTERM end the emulator in order; a second one changes nothing."""
    loop = asyncio.get_running_loop()
    previous: dict[signal.Signals, Any] = {}

    def stop(*_: object) -> None:
        loop.call_soon_threadsafe(service.stopping.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        previous[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop_at_end_of_input(service: Service) -> None:
    """Stop when standard input ends, which it does when the parent dies, however it dies."""
    loop = asyncio.get_running_loop()

    def watch() -> None:
        # `os.read` takes no lock of the interpreter's own buffers, so a thread that blocks here cannot hinder
        # exit.
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(service.stopping.set)

    _in_background(watch)


def _in_background(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="hubpass-emulator-parent", daemon=True).start()
