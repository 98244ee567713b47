"""Who may connect: the token, the transports that it allows, and the id that was negotiated."""

from __future__ import annotations

from typing import NoReturn

from starlette.requests import HTTPConnection

from hubpass.emulator.authentication import client_claims, client_hub, single_query_value
from hubpass.emulator.claims import Identity, identity_of
from hubpass.emulator.connections import Connection, IdInUseError, UnknownIdError
from hubpass.emulator.interception import call_of
from hubpass.emulator.service import Service
from hubpass.emulator.tokens import refuse_with_text
from hubpass.emulator.transports import WEB_SOCKETS, Transport


def identify(service: Service, request: HTTPConnection, *, query_allowed: bool) -> tuple[str, Identity]:
    """The hub key and the bearer of a request; raises `RefusedError` as the service does for a bad token."""
    call = call_of(request.scope)
    hub = client_hub(request)
    call.hub = hub.lower()
    identity = identity_of(client_claims(service, request, hub, query_allowed=query_allowed))
    call.user_id = identity.user_id
    return hub.lower(), identity


def check_transport(identity: Identity, transport: Transport) -> None:
    """Refuse a transport that the token does not allow, in the way in which ASP.NET Core refuses a disabled one."""
    if not identity.transports & transport.bit:
        refuse_with_text(404, f"The token's asrs.s.htt does not allow {transport.name}.")


def admit(service: Service, request: HTTPConnection, hub: str, identity: Identity, transport: Transport) -> Connection:
    """Take up the id of the request on this transport; raises `RefusedError`.

    Only a WebSocket can do without an id. An id that is in use is refused with 409, on another transport with 400.
    """
    check_transport(identity, transport)
    token = single_query_value(request, "id", required=False) if transport is WEB_SOCKETS else required_id(request)
    try:
        connection = service.connections.claim(hub, token, identity, transport)
    except UnknownIdError:
        refuse_unknown()
    except IdInUseError as error:
        call_of(request.scope).connection_id = error.connection.connection_id
        if error.connection.transport is not transport:
            refuse_with_text(
                400, f"The connection uses {error.connection.transport.name}; it cannot change its transport."
            )
        refuse_with_text(409, "A connection with that ID is open already.")
    call_of(request.scope).connection_id = connection.connection_id
    return connection


def required_id(request: HTTPConnection) -> str:
    """The connection token of a request; raises `RefusedError` (400)."""
    token = single_query_value(request, "id", required=False)
    if not token:
        refuse_with_text(400, "Connection ID required: the query parameter id is missing.")
    return token


def refuse_unknown() -> NoReturn:
    """Refuse a request that names a connection which does not exist."""
    refuse_with_text(404, "No connection with that ID: it was not negotiated for this hub, too long ago, or is closed.")
