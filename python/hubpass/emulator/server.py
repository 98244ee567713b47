"""Runs the servers of the emulator in one event loop until somebody asks it to stop."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import wsproto  # noqa: F401 - uvicorn imports it only when it serves, too late for the hint to install it
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from hubpass.emulator.access_keys import KEY_NAMES
from hubpass.emulator.addresses import Address, bind_loopback
from hubpass.emulator.certificates import authority_file, new_server_certificate
from hubpass.emulator.connection_strings import (
    application_connection_string,
    key_connection_string,
    managed_identity_connection_string,
    web_pubsub_application_connection_string,
    web_pubsub_key_connection_string,
    web_pubsub_managed_identity_connection_string,
)
from hubpass.emulator.control_identity import identity_endpoints
from hubpass.emulator.control_plane import control_plane
from hubpass.emulator.data_plane import data_plane
from hubpass.emulator.entra_endpoint import entra_plane
from hubpass.emulator.machine_plane import machine_plane
from hubpass.emulator.managed_identity import identity_plane
from hubpass.emulator.redaction import RedactingFormatter, Redactor
from hubpass.emulator.service import Addresses, Service, ServiceMode, Timing, log, new_service
from hubpass.emulator.web_pubsub_plane import web_pubsub_plane

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
    key_life: float
    key_issue_for: float
    roles: tuple[str, ...]
    local_auth_disabled: bool
    exit_with_parent: bool
    arc_directory: str | None = None


@dataclass(frozen=True)
class _Sockets:
    """One bound socket for each server."""

    service: socket.socket
    control: socket.socket
    entra: socket.socket
    identity: socket.socket
    web_pubsub: socket.socket
    machine: socket.socket


def run(options: Options) -> None:
    """Serve until stopped. Raises `NotLoopbackError` or `OSError` if an address cannot be used."""
    redactor = Redactor()
    _log_to_stderr(redactor)
    with contextlib.ExitStack() as stack:
        ports = (options.port, options.control_port, 0, 0, 0, 0)
        bound = [stack.enter_context(contextlib.closing(bind_loopback(options.host, port))) for port in ports]
        certificate = new_server_certificate(options.host)
        ca_file = stack.enter_context(authority_file(certificate))
        asyncio.run(_serve(options, redactor, _Sockets(*bound), certificate.context, str(ca_file)))


async def _serve(options: Options, redactor: Redactor, sockets: _Sockets, tls: ssl.SSLContext, ca_file: str) -> None:
    token = secrets.token_urlsafe(32)
    redactor.learn(token)
    control_address = _address(options, sockets.control)
    service = _new_service(options, redactor, sockets)
    listeners = {
        sockets.service: _server(data_plane(service)),
        sockets.control: _server(control_plane(service, token)),
        sockets.entra: _server(entra_plane(service), tls),
        sockets.identity: _server(identity_plane(service)),
        sockets.web_pubsub: _server(web_pubsub_plane(service)),
        sockets.machine: _server(machine_plane(service)),
    }
    servers = list(listeners.values())
    serving = [asyncio.ensure_future(server.serve(sockets=[listener])) for listener, server in listeners.items()]
    expiring = asyncio.ensure_future(service.connections.close_expired())
    stopping = asyncio.ensure_future(service.stopping.wait())
    with _stopping_on_signals(service), contextlib.closing(service.identity):
        if options.exit_with_parent:
            _stop_at_end_of_input(service)
        listening = asyncio.gather(*(server.listening.wait() for server in servers))
        either: set[asyncio.Future[Any]] = {listening, stopping, *serving}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        listening.cancel()
        if all(server.listening.is_set() for server in servers):
            print(_ready_line(service, control_address, token, ca_file), flush=True)
            await asyncio.wait({stopping, expiring, *serving}, return_when=asyncio.FIRST_COMPLETED)
        service.faults.release(None)
        service.connections.cut_requests()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
    for task in (expiring, stopping):
        if task.done():
            task.result()
        task.cancel()


def _new_service(options: Options, redactor: Redactor, sockets: _Sockets) -> Service:
    addresses = Addresses(
        service=_address(options, sockets.service),
        entra=_address(options, sockets.entra, "https"),
        identity=_address(options, sockets.identity),
        web_pubsub=_address(options, sockets.web_pubsub),
        machine=_address(options, sockets.machine),
    )
    service = new_service(addresses, redactor, options.access_key, options.service_mode, options.timing)
    service.temporary_keys.set_policy(options.key_life, options.key_issue_for)
    service.local_auth_disabled = options.local_auth_disabled
    if options.arc_directory is not None:
        service.identity.arc.set_directory(Path(options.arc_directory).resolve())
    for principal in service.directory.default_principals():
        for role in options.roles:
            service.permissions.assign(principal.object_id, role)
    return service


def _address(options: Options, bound: socket.socket, scheme: str = "http") -> Address:
    return Address(scheme, options.host, bound.getsockname()[1])


def _ready_line(service: Service, control_address: Address, token: str, ca_file: str) -> str:
    directory = service.directory
    application, user_assigned = directory.default_application, directory.user_assigned
    ready: dict[str, Any] = {
        "event": "ready",
        "endpoint": service.address.url,
        "control_url": control_address.url,
        "control_token": token,
        "service_mode": service.service_mode,
        "authority": service.issuer.authority,
        "ca_file": ca_file,
        "tenant_id": directory.tenant_id,
        "client_id": application.principal.client_id,
        "client_secret": application.client_secret,
        "object_id": application.principal.object_id,
        "entra_connection_string": application_connection_string(service, application),
        "identity_endpoint": f"{service.identity_address.url}/msi/token",
        "identity_header": service.identity_header,
        "managed_identity_object_id": directory.system_assigned.principal.object_id,
        "managed_identity_connection_string": managed_identity_connection_string(service),
        "identity": identity_endpoints(service),
        "user_assigned_client_id": user_assigned.principal.client_id,
        "user_assigned_object_id": user_assigned.principal.object_id,
        "user_assigned_resource_id": user_assigned.resource_id,
        "web_pubsub_endpoint": service.web_pubsub.address.url,
        "web_pubsub_entra_connection_string": web_pubsub_application_connection_string(service, application),
        "web_pubsub_managed_identity_connection_string": web_pubsub_managed_identity_connection_string(service),
    }
    for name in KEY_NAMES:
        ready[f"web_pubsub_{name}_connection_string"] = web_pubsub_key_connection_string(service, name)
        ready[f"{name}_connection_string"] = key_connection_string(service, name)
    return json.dumps(ready)


class _AbortableProtocol(H11Protocol):
    """HTTP/1.1 whose requests know how to cut their connection, which ASGI itself cannot express."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Put the way to cut the connection where the application finds it."""
        self.app_state = {**self.app_state, "abort": transport.abort}
        super().connection_made(transport)

    @override
    def shutdown(self) -> None:
        """Close an idle connection; one over TLS at once, because its client is not there to say goodbye."""
        super().shutdown()
        if self.scheme == "https" and self.transport.is_closing():
            self.transport.abort()


class _Server(uvicorn.Server):
    """A server that leaves signals to the emulator, since several of them share one process."""

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


def _server(app: ASGIApp, tls: ssl.SSLContext | None = None) -> _Server:
    config = uvicorn.Config(
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
    if tls is not None:
        # uvicorn's own options name files of keys, which are gone by now.
        config.load()
        config.ssl = tls
    return _Server(config)


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
