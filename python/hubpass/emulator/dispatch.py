"""Calls what serves a route, or refuses the request in the way its route does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from hubpass.emulator.interception import call_of
from hubpass.emulator.rest_errors import error_response, refuse_network
from hubpass.emulator.routes import Match, Route
from hubpass.emulator.service import Service, log
from hubpass.emulator.tokens import Refusal, RefusedError

Handler = Callable[[Service, Request, Match], Awaitable[Response]]
WebSocketHandler = Callable[[Service, WebSocket], Awaitable[None]]


class Dispatch:
    """The innermost layer of a server: one handler for each name in `routes`.

    `unsupported_status` answers requests that have no route: 404, or 501 where clients take 404 for a normal answer.
    """

    def __init__(
        self,
        service: Service,
        routes: tuple[Route, ...],
        handlers: Mapping[str, Handler],
        serve_websocket: WebSocketHandler | None = None,
        unsupported_status: int = 404,
    ) -> None:
        self._service = service
        self._routes = routes
        self._handlers = handlers
        self._serve_websocket = serve_websocket
        self._unsupported_status = unsupported_status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        match: Match = scope["state"]["match"]
        call = call_of(scope)
        call.permission = match.action
        try:
            if match.action is not None and self._service.network_denied:
                refuse_network()
            handler = self._handlers.get(match.name)
            if match.route is not None and not match.route.methods and self._serve_websocket is not None:
                await self._serve_websocket(self._service, WebSocket(scope, receive, send))
                return
            if handler is None:
                answer: Response = self._unsupported(match, scope)
            else:
                answer = await handler(self._service, Request(scope, receive), match)
            await answer(scope, receive, send)
        except RefusedError as error:
            call.reason, call.action = error.refusal.reason, "refused"
            await _refusal_response(error.refusal)(scope, receive, send)

    def _unsupported(self, match: Match, scope: Scope) -> JSONResponse:
        call = call_of(scope)
        call.action, call.reason = "refused", "the local Azure has no such route"
        log.warning("The local Azure does not support %s %s.", call.method, call.path)
        status = 405 if match.allowed else self._unsupported_status
        supported = "; ".join(route.shown_as for route in self._routes if route.shown_as)
        answer = error_response(
            status,
            "Error.MethodNotAllowed" if match.allowed else "Error.RouteNotSupported",
            f"The local Azure does not support this request. It has: {supported}.",
        )
        if match.allowed:
            answer.headers["allow"] = ", ".join(match.allowed)
        return answer


def _refusal_response(refusal: Refusal) -> Response:
    return Response(
        refusal.body,
        status_code=refusal.status,
        headers=dict(refusal.headers),
        media_type=refusal.media_type if refusal.body else None,
    )
