"""The part of the control API that is about Web PubSub: its access keys and its connections."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hubpass.emulator.access_keys import KEY_NAMES
from hubpass.emulator.connection_strings import web_pubsub_key_connection_string
from hubpass.emulator.control_answer import ControlAnswer
from hubpass.emulator.control_orders import OrderError, order_route, read_order, text
from hubpass.emulator.service import Service, log
from hubpass.emulator.web_pubsub_connections import WebPubSubConnection

_CLOSED_BY_CONTROL = "Closed by the control API."


def web_pubsub_control_routes(service: Service) -> list[Route]:
    """The routes for the control port, whose guard stands in front of them."""
    control = _WebPubSubControl(service)
    return [
        order_route("/web-pubsub/keys/rotate", "POST", control.rotate_key),
        order_route("/web-pubsub/connections/drop", "POST", control.drop_connection),
    ]


def close_web_pubsub_connection(service: Service, connection_id: str, error: str | None, allow_reconnect: bool) -> bool:
    """End a connection of Web PubSub with a reason; False if there is none of that id."""
    connection = _find(service, connection_id)
    if connection is None:
        return False
    if allow_reconnect:
        raise OrderError("allow_reconnect is for connections of SignalR; a client of Web PubSub decides by itself")
    service.web_pubsub.connections.close(connection, error or _CLOSED_BY_CONTROL)
    return True


class _WebPubSubControl:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def rotate_key(self, request: Request) -> Response:
        name = (await read_order(request, "key")).get("key", "primary")
        if name not in KEY_NAMES:
            raise OrderError(f"key must be one of {', '.join(KEY_NAMES)}")
        self._service.web_pubsub.keys.rotate(name)
        self._service.changes.notify()
        log.info("The %s access key of Web PubSub was regenerated.", name)
        return ControlAnswer(
            {f"{key}_connection_string": web_pubsub_key_connection_string(self._service, key) for key in KEY_NAMES}
        )

    async def drop_connection(self, request: Request) -> Response:
        connection = _find(self._service, text(await read_order(request, "connection_id"), "connection_id"))
        if connection is None or connection.socket is None:
            raise OrderError("no such connection of Web PubSub is open", 404)
        connection.socket.abort()
        return ControlAnswer({"dropped": connection.connection_id})


def _find(service: Service, connection_id: str) -> WebPubSubConnection | None:
    opened = service.web_pubsub.connections.open()
    return next((found for found in opened if found.connection_id == connection_id), None)
