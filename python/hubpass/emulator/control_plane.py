"""The control API: rotates keys, moves the clock, orders faults, and shows what happened.

It has its own port and a random token. It answers only requests whose `Host` is a loopback name, so that a
web page cannot reach it by pointing its own name at this machine, and it sends no CORS headers.
"""

from __future__ import annotations

import hmac
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from hubpass.emulator.access_keys import KEY_NAMES
from hubpass.emulator.addresses import is_loopback_name, split_authority
from hubpass.emulator.connection_strings import key_connection_string
from hubpass.emulator.connections import CloseOrder, Connection
from hubpass.emulator.control_answer import ControlAnswer
from hubpass.emulator.control_entra import entra_control_routes, entra_state
from hubpass.emulator.control_identity import identity_control_routes
from hubpass.emulator.control_orders import OrderError, number, order_route, read_order, refusal
from hubpass.emulator.control_reset import reset_routes
from hubpass.emulator.faults import FaultError, parse_fault
from hubpass.emulator.service import SERVICE_MODES, Service, log
from hubpass.emulator.web_pubsub_control import close_web_pubsub_connection, web_pubsub_control_routes

_LONGEST_WAIT = 60.0


def control_plane(service: Service, token: str) -> ASGIApp:
    """The ASGI application of the control port; `token` is the bearer that every request must carry."""
    control = _Control(service)
    routes = [
        order_route("/state", "GET", control.state),
        order_route("/keys/rotate", "POST", control.rotate_key),
        order_route("/clock", "POST", control.move_clock),
        order_route("/service-mode", "POST", control.set_service_mode),
        order_route("/faults", "POST", control.add_fault),
        order_route("/faults", "DELETE", control.clear_faults),
        order_route("/held/release", "POST", control.release),
        order_route("/journal", "GET", control.journal),
        order_route("/journal", "DELETE", control.clear_journal),
        order_route("/connections/close", "POST", control.close_connection),
        order_route("/connections/drop", "POST", control.drop_connection),
        order_route("/shutdown", "POST", control.shut_down),
        *reset_routes(service),
        *entra_control_routes(service),
        *web_pubsub_control_routes(service),
        *identity_control_routes(service),
    ]
    return _Guard(Starlette(routes=routes), token)


class _Guard:
    """Refuses whoever is not the one who started the emulator."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check `Host` before the token: a page that was rebound to this machine must learn nothing."""
        headers = scope["headers"]
        hosts = [value for name, value in headers if name == b"host"]
        tokens = [value for name, value in headers if name == b"authorization"]
        if len(hosts) != 1 or not _is_loopback_host(hosts[0].decode("latin-1")):
            await refusal("The Host header does not name this machine.", 403)(scope, receive, send)
        elif len(tokens) != 1 or not hmac.compare_digest(tokens[0], self._expected):
            answer = refusal("The control token is missing or wrong.", 401)
            answer.headers["www-authenticate"] = "Bearer"
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _Control:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def state(self, request: Request) -> Response:
        """The state. With `since` the answer waits for a newer version, at most `wait` seconds."""
        since = request.query_params.get("since")
        if since is not None:
            wait = min(number(request.query_params.get("wait", "0")), _LONGEST_WAIT)
            await self._service.changes.wait_beyond(int(number(since)), wait)
        return ControlAnswer(self._state())

    async def rotate_key(self, request: Request) -> Response:
        name = (await read_order(request, "key")).get("key", "primary")
        if name not in KEY_NAMES:
            raise OrderError(f"key must be one of {', '.join(KEY_NAMES)}")
        self._service.keys.rotate(name)
        self._service.changes.notify()
        log.info("The %s access key was regenerated.", name)
        return ControlAnswer(self._connection_strings())

    async def move_clock(self, request: Request) -> Response:
        order = await read_order(request, "now", "advance", "reset")
        if len(order) != 1:
            raise OrderError("give exactly one of now, advance, reset")
        clock = self._service.clock
        if "now" in order:
            clock.set(number(order["now"]))
        elif "advance" in order:
            clock.advance(number(order["advance"]))
        else:
            clock.reset()
        return ControlAnswer(self._state())

    async def set_service_mode(self, request: Request) -> Response:
        mode = (await read_order(request, "service_mode")).get("service_mode")
        if mode not in SERVICE_MODES:
            raise OrderError(f"service_mode must be one of {', '.join(SERVICE_MODES)}")
        self._service.service_mode = mode
        self._service.changes.notify()
        return ControlAnswer(self._state())

    async def add_fault(self, request: Request) -> Response:
        try:
            self._service.faults.add(parse_fault(await read_order(request)))
        except FaultError as error:
            raise OrderError(str(error)) from error
        return ControlAnswer(self._state())

    async def clear_faults(self, _: Request) -> Response:
        self._service.faults.clear()
        return ControlAnswer(self._state())

    async def release(self, request: Request) -> Response:
        wanted = (await read_order(request, "number")).get("number")
        released = self._service.faults.release(None if wanted is None else int(number(wanted)))
        if wanted is not None and released == 0:
            raise OrderError("no such call is held", 404)
        return ControlAnswer({"released": released})

    async def journal(self, _: Request) -> Response:
        return ControlAnswer({"entries": self._service.journal.entries()})

    async def clear_journal(self, _: Request) -> Response:
        self._service.journal.clear()
        return ControlAnswer(self._state())

    async def close_connection(self, request: Request) -> Response:
        order = await read_order(request, "connection_id", "error", "allow_reconnect")
        connection_id = str(order.get("connection_id"))
        error, allow = order.get("error"), order.get("allow_reconnect", False)
        if not isinstance(error, (str, type(None))) or not isinstance(allow, bool):
            raise OrderError("error must be a text, allow_reconnect true or false")
        connection = self._service.connections.get(connection_id)
        if connection is not None:
            connection.close(CloseOrder(error, allow))
        elif not close_web_pubsub_connection(self._service, connection_id, error, allow):
            raise OrderError("no such connection is open", 404)
        return ControlAnswer({"closing": connection_id})

    async def drop_connection(self, request: Request) -> Response:
        connection = self._open_connection(await read_order(request, "connection_id"))
        connection.cut("dropped by order")
        return ControlAnswer({"dropped": connection.connection_id})

    async def shut_down(self, _: Request) -> Response:
        self._service.stopping.set()
        return ControlAnswer({"stopping": True}, status_code=202)

    def _open_connection(self, order: dict[str, Any]) -> Connection:
        connection = self._service.connections.get(str(order.get("connection_id")))
        if connection is None:
            raise OrderError("no such connection is open", 404)
        return connection

    def _state(self) -> dict[str, Any]:
        service = self._service
        return {
            "version": service.changes.version,
            "service_mode": service.service_mode,
            "clock": {"now": service.clock.now(), "offset": service.clock.offset},
            "connections": [
                *({"service": "SignalR", **connection.describe()} for connection in service.connections.all()),
                *(connection.describe() for connection in service.web_pubsub.connections.open()),
            ],
            "held": service.faults.held(),
            "faults": service.faults.armed(),
            **entra_state(service),
        }

    def _connection_strings(self) -> dict[str, str]:
        service = self._service
        return {f"{name}_connection_string": key_connection_string(service, name) for name in KEY_NAMES}


def _is_loopback_host(header: str) -> bool:
    try:
        host, _ = split_authority(header)
    except ValueError:
        return False
    return is_loopback_name(host)
