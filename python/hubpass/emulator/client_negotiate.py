"""`POST /client/negotiate`: the second negotiation of a client, with the service itself.

Source of the answer's form: "Transport Protocols" in dotnet/aspnetcore
(`src/SignalR/docs/specs/TransportProtocols.md`).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from hubpass.emulator.authentication import single_query_value
from hubpass.emulator.client_admission import identify
from hubpass.emulator.interception import call_of
from hubpass.emulator.routes import Match
from hubpass.emulator.service import Service, log
from hubpass.emulator.tokens import refuse_with_text
from hubpass.emulator.transports import TRANSPORTS

_NEWEST_VERSION = 1


async def negotiate(service: Service, request: Request, _: Match) -> Response:
    """Check the client's token and promise it a connection id."""
    version = _version(request)
    if "access_token" in request.query_params:
        log.warning(
            "access_token in the query counts for WebSockets and Server-Sent Events only; negotiate reads the "
            "Authorization header."
        )
    hub, identity = identify(service, request, query_allowed=False)
    promised = service.connections.negotiate(hub, version)
    call_of(request.scope).connection_id = promised.connection_id
    answer: dict[str, object] = {"negotiateVersion": version, "connectionId": promised.connection_id}
    if version > 0:
        answer["connectionToken"] = promised.connection_token
    # There is no useStatefulReconnect in the answer, whatever the query asks for: a client that asked takes that as
    # a refusal and makes an ordinary connection.
    answer["availableTransports"] = [
        transport.describe() for transport in TRANSPORTS if identity.transports & transport.bit
    ]
    return JSONResponse(answer)


def _version(request: Request) -> int:
    """The version to answer with: the requested one, or the newest known if the client knows a newer one."""
    text = single_query_value(request, "negotiateVersion", required=False)
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()):
        message = "The query parameter negotiateVersion is not a number."
        refuse_with_text(400, message)
    return min(int(text), _NEWEST_VERSION)
