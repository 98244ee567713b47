"""The data plane: finds the route of a request and calls what serves it."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from hubpass.emulator.client_connect import serve_connection
from hubpass.emulator.client_negotiate import negotiate
from hubpass.emulator.interception import AllowBrowsers, InjectFaults, RecordCalls, call_of
from hubpass.emulator.rest_api import error_response, health, send_to_all
from hubpass.emulator.routes import ROUTES, Match
from hubpass.emulator.service import Service, log
from hubpass.emulator.tokens import Refusal, RefusedError


def data_plane(service: Service) -> ASGIApp:
    """The ASGI application of the service's public port."""
    return RecordCalls(AllowBrowsers(InjectFaults(_Dispatch(service), service)), service)


class _Dispatch:
    def __init__(self, service: Service) -> None:
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request, or refuse it in the way its route does."""
        match: Match = scope["state"]["match"]
        try:
            if match.name == "connect":
                await serve_connection(self._service, WebSocket(scope, receive, send))
            else:
                answer = await self._answer(match, scope, receive)
                await answer(scope, receive, send)
        except RefusedError as error:
            call = call_of(scope)
            call.reason, call.action = error.refusal.reason, "refused"
            await _refusal_response(error.refusal)(scope, receive, send)

    async def _answer(self, match: Match, scope: Scope, receive: Receive) -> Response:
        if match.name == "negotiate":
            return await negotiate(self._service, Request(scope, receive))
        if match.name == "send":
            return await send_to_all(self._service, Request(scope, receive), match.parameters["hub"])
        if match.name == "health":
            return health()
        return _unsupported(match, scope)


def _refusal_response(refusal: Refusal) -> Response:
    return Response(
        refusal.body,
        status_code=refusal.status,
        headers=dict(refusal.headers),
        media_type="text/plain" if refusal.body else None,
    )


def _unsupported(match: Match, scope: Scope) -> JSONResponse:
    call = call_of(scope)
    call.action, call.reason = "refused", "the local Azure has no such route"
    log.warning("The local Azure does not support %s %s.", call.method, call.path)
    status = 405 if match.allowed else 404
    supported = "; ".join(route.shown_as for route in ROUTES)
    answer = error_response(
        status,
        "Error.MethodNotAllowed" if match.allowed else "Error.RouteNotSupported",
        f"The local Azure does not support this request. It has: {supported}.",
    )
    if match.allowed:
        answer.headers["allow"] = ", ".join(match.allowed)
    return answer
