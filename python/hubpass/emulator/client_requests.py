"""The transports that are made of HTTP requests: who gets an event stream, who polls, and what clients post.

Sources of the statuses: "Transport Protocols" in dotnet/aspnetcore
(`src/SignalR/docs/specs/TransportProtocols.md`) and ASP.NET Core's `HttpConnectionDispatcher`. Every request needs a
token that has not expired, so such a connection lives no longer than its token (troubleshooting guide of Azure
SignalR Service).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from hubpass.emulator.client_admission import (
    admit,
    check_transport,
    identify,
    refuse_unknown,
    required_id,
)
from hubpass.emulator.client_events import EventStream
from hubpass.emulator.client_polling import PollingSession, first_answer
from hubpass.emulator.client_session import Session
from hubpass.emulator.connections import Connection, UnknownIdError
from hubpass.emulator.hub_protocol import MAX_MESSAGE_BYTES
from hubpass.emulator.interception import call_of
from hubpass.emulator.request_body import BodyEndedError, BodyTooLongError, read_body
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service
from hubpass.emulator.tokens import refuse_with_text
from hubpass.emulator.transports import LONG_POLLING, SERVER_SENT_EVENTS

# Several messages may come together; one that is too long ends the connection with an error that says so.
_MAX_POST_BYTES = 4 * MAX_MESSAGE_BYTES


class RequestTransports:
    """The sessions of one service whose clients come by Server-Sent Events or long polling, by their tokens."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}

    async def stream(self, service: Service, request: Request, _: Match) -> Response:
        """`GET` with `Accept: text/event-stream`: open a connection and send it events.

        Browsers cannot set headers on an event stream, so its token may stand in the query.
        """
        hub, identity = identify(service, request, query_allowed=True)
        connection = admit(service, request, hub, identity, SERVER_SENT_EVENTS)
        session = Session(service, connection, call_of(request.scope))
        self._keep(session)
        return EventStream(session)

    async def poll(self, service: Service, request: Request, _: Match) -> Response:
        """`GET`: the first poll opens a connection, the others wait for messages."""
        hub, identity = identify(service, request, query_allowed=False)
        check_transport(identity, LONG_POLLING)
        session = self._session(service.connections.find(hub, required_id(request)))
        if isinstance(session, PollingSession):
            call_of(request.scope).connection_id = session.connection.connection_id
            return await session.poll(request)
        connection = admit(service, request, hub, identity, LONG_POLLING)
        self._keep(PollingSession(service, connection, call_of(request.scope)))
        return first_answer()

    async def send(self, service: Service, request: Request, _: Match) -> Response:
        """`POST`: what a client says to the service."""
        hub, _identity = identify(service, request, query_allowed=False)
        token = required_id(request)
        try:
            body = await read_body(request, _MAX_POST_BYTES)
        except BodyTooLongError:
            refuse_with_text(413, f"The content may have at most {_MAX_POST_BYTES} bytes.")
        except BodyEndedError:
            refuse_with_text(400, "The content ended before it was complete.")
        connection = service.connections.find(hub, token)
        if connection is None:
            _keep_early(service, hub, token, body)
            return _accepted(200)
        call_of(request.scope).connection_id = connection.connection_id
        session = self._session(connection)
        if session is None:
            refuse_with_text(405, "POST is not allowed for a connection over WebSockets.")
        if connection.closing:
            refuse_unknown()
        session.hear(body)
        return _accepted(200)

    async def stop(self, service: Service, request: Request, _: Match) -> Response:
        """`DELETE`: end a connection over long polling."""
        hub, _identity = identify(service, request, query_allowed=False)
        connection = service.connections.find(hub, required_id(request))
        if connection is None:
            refuse_unknown()
        call_of(request.scope).connection_id = connection.connection_id
        session = self._session(connection)
        if not isinstance(session, PollingSession):
            refuse_with_text(400, f"DELETE cannot end a connection over {connection.transport.name}.")
        session.stop()
        return _accepted(202)

    def _keep(self, session: Session) -> None:
        self._sessions = {token: kept for token, kept in self._sessions.items() if not kept.ended.is_set()}
        self._sessions[session.connection.connection_token] = session
        session.hear_early()

    def _session(self, connection: Connection | None) -> Session | None:
        return None if connection is None else self._sessions.get(connection.connection_token)


def _keep_early(service: Service, hub: str, token: str, body: bytes) -> None:
    """Keep what is posted to an id before its transport is there."""
    try:
        promised = service.connections.promised(hub, token)
    except UnknownIdError:
        refuse_unknown()
    if len(promised.early) + len(body) > _MAX_POST_BYTES:
        refuse_with_text(413, f"A client that has not connected may post at most {_MAX_POST_BYTES} bytes.")
    promised.early.extend(body)


def _accepted(status: int) -> Response:
    return Response(status_code=status, media_type="text/plain")
