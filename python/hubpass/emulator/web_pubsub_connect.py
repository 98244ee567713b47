"""The WebSocket of a Web PubSub client: admission, or taking up a connection again."""

from __future__ import annotations

from typing import NoReturn

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from hubpass.emulator.authentication import single_query_value
from hubpass.emulator.interception import call_of
from hubpass.emulator.journal import Call
from hubpass.emulator.rest_errors import refuse_rest
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service, log
from hubpass.emulator.tokens import refuse_with_text
from hubpass.emulator.web_pubsub_authentication import client_claims, client_hub
from hubpass.emulator.web_pubsub_connections import JSON_SUBPROTOCOL, RELIABLE_SUBPROTOCOL, Socket, WebPubSubConnection
from hubpass.emulator.web_pubsub_identity import is_group_name, web_pubsub_identity
from hubpass.emulator.web_pubsub_messages import connected
from hubpass.emulator.web_pubsub_session import PlainMode, WebPubSubSession

_SUBPROTOCOLS = frozenset({JSON_SUBPROTOCOL, RELIABLE_SUBPROTOCOL})
_PROTOBUF = frozenset({"protobuf.webpubsub.azure.v1", "protobuf.reliable.webpubsub.azure.v1"})
_POLICY_VIOLATION = 1008
_OTHER_CLIENTS = {"mqtt": "MQTT", "socketio": "Socket.IO"}


async def serve_web_pubsub_client(service: Service, websocket: WebSocket) -> None:
    """Serve one WebSocket until it ends; raises `RefusedError` before it is accepted."""
    match: Match = websocket.scope["state"]["match"]
    if "protocol" in match.parameters:
        _refuse_protocol(match)
    call = call_of(websocket.scope)
    hub = client_hub(websocket, match)
    call.hub = hub.lower()
    subprotocol = _chosen_subprotocol(websocket)
    if single_query_value(websocket, "awps_connection_id", required=False):
        await _recover(service, websocket, call, subprotocol)
        return
    identity = web_pubsub_identity(client_claims(service, websocket, hub))
    call.user_id = identity.user_id
    mode = _plain_mode(websocket) if subprotocol is None else PlainMode()
    socket = Socket(websocket.scope["state"]["abort"])
    connection = service.web_pubsub.connections.add(hub.lower(), identity, subprotocol, socket)
    call.connection_id = connection.connection_id
    if subprotocol is not None:
        connection.tell(connected(connection.connection_id, identity.user_id, connection.reconnection_token))
    await _serve(service, websocket, connection, socket, mode, call)


async def refuse_without_upgrade(_: Service, __: Request, ___: Match) -> Response:
    """The answer to an ordinary request at a client's path."""
    refuse_with_text(400, "A client of Web PubSub connects by WebSocket.")


async def refuse_other_client(_: Service, __: Request, match: Match) -> Response:
    """The answer to a client of MQTT or Socket.IO that comes by HTTP."""
    _refuse_protocol(match)


async def _recover(service: Service, websocket: WebSocket, call: Call, subprotocol: str | None) -> None:
    """Take a connection up again. What fails is told by the close code 1008 and not by a status, as clients expect it.

    The reconnection token is all that counts: the service looks at the access token only for new connections.
    """
    connection_id = single_query_value(websocket, "awps_connection_id", required=False) or ""
    token = single_query_value(websocket, "awps_reconnection_token", required=False) or ""
    socket = Socket(websocket.scope["state"]["abort"])
    connections = service.web_pubsub.connections
    connection = connections.recover(call.hub or "", connection_id, token, subprotocol, socket)
    if connection is None:
        call.action, call.reason = "refused", "there is no such connection to take up again"
        await websocket.accept(subprotocol)
        await websocket.close(_POLICY_VIOLATION, "The connection cannot be taken up again.")
        return
    call.action, call.connection_id, call.user_id = "recovered", connection_id, connection.identity.user_id
    await _serve(service, websocket, connection, socket, PlainMode(), call)


async def _serve(
    service: Service,
    websocket: WebSocket,
    connection: WebPubSubConnection,
    socket: Socket,
    mode: PlainMode,
    call: Call,
) -> None:
    """Accept the WebSocket of a connection and serve it; whatever happens, the connection does not keep it."""
    try:
        await websocket.accept(connection.subprotocol)
        await WebPubSubSession(service, websocket, connection, socket, mode, call).run()
    except WebSocketDisconnect:
        # The client went away while it was being accepted.
        return
    finally:
        service.web_pubsub.connections.lose(connection, socket)


def _chosen_subprotocol(websocket: WebSocket) -> str | None:
    """The first known subprotocol that the client offers, as it spells it; names ignore case.

    A client that offers only others is one without a subprotocol, as in Microsoft's own emulator of the service. That
    would be the wrong thing for the two of protobuf, which the service has and the local Azure lacks.
    """
    offered: list[str] = websocket.scope["subprotocols"]
    known = next((name for name in offered if name.lower() in _SUBPROTOCOLS), None)
    if known is None and any(name.lower() in _PROTOBUF for name in offered):
        refuse_with_text(501, "The local Azure does not support the protobuf subprotocols of Web PubSub.")
    return known


def _plain_mode(websocket: WebSocket) -> PlainMode:
    """What becomes of the frames of a client without a subprotocol."""
    mode = single_query_value(websocket, "webpubsub_mode", required=False)
    if mode is None or mode.lower() == "sendevent":
        return PlainMode()
    if mode.lower() != "sendtogroup":
        refuse_with_text(400, "webpubsub_mode must be sendEvent or sendToGroup.")
    group = single_query_value(websocket, "group", required=True) or ""
    if not is_group_name(group):
        refuse_with_text(400, "The query parameter group is not a valid group name.")
    no_echo = single_query_value(websocket, "noEcho", required=False) or "false"
    if no_echo.lower() not in {"true", "false"}:
        refuse_with_text(400, "noEcho must be true or false.")
    return PlainMode(group, no_echo=no_echo.lower() == "true")


def _refuse_protocol(match: Match) -> NoReturn:
    name = _OTHER_CLIENTS[match.parameters["protocol"]]
    log.warning("A client of %s was refused.", name)
    refuse_rest(
        501, "Error.NotImplemented", f"The local Azure does not support {name} clients, only /client/hubs/{{hub}}."
    )
