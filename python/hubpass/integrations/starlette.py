"""Routes for Starlette."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hubpass.grants import Grant
from hubpass.integrations._app_cors import log_refused_preflights
from hubpass.integrations._mount import NEGOTIATE, OTHER_METHODS, Mount, Reply
from hubpass.integrations.asgi import answer, encoded, living, scope_header

if TYPE_CHECKING:
    from hubpass.grants import _Anonymous
    from hubpass.integrations._services import AnyClient

__all__ = ["NegotiateRoutes", "negotiate_routes"]

Authorized: TypeAlias = "Grant | str | None"
Authorize: TypeAlias = "Callable[[Request], Authorized | Awaitable[Authorized]] | _Anonymous"


class NegotiateRoutes(list[Route]):
    """Routes for ``Starlette(routes=[*routes], lifespan=routes.lifespan)``."""

    def __init__(self, mount: Mount) -> None:
        async def negotiate(request: Request) -> Response:
            hub = request.path_params.get("hub")
            return response_of(await answer(mount, request.method, scope_header(request.scope), request, hub))

        async def twice(request: Request) -> Response:
            early = mount.screen(request.method, scope_header(request.scope))
            return response_of(early or mount.doubled())

        path = mount.path + NEGOTIATE
        methods = ["POST", "OPTIONS", *OTHER_METHODS]
        super().__init__((Route(path, negotiate, methods=methods), Route(path + NEGOTIATE, twice, methods=methods)))
        for route in self:
            route.app = with_common_headers(route.app, mount)
        self._mount = mount

    def lifespan(self, app: Starlette) -> AbstractAsyncContextManager[None]:
        """Warm the client when the application starts, and close it at the end if it was made here."""
        log_refused_preflights(app, self._mount)
        return living(self._mount)


def negotiate_routes(
    client: AnyClient | Callable[[], AnyClient],
    path: str = "",
    *,
    authorize: Authorize,
    hubs: Iterable[str] | None = None,
    allow_origins: Iterable[str] | None = None,
    allow_headers: Iterable[str] = (),
    groups_ttl: timedelta | None = None,
) -> NegotiateRoutes:
    """Make the routes that answer ``POST {path}/negotiate`` with an async client.

    The arguments and errors are those of :func:`hubpass.integrations.asgi.negotiate_asgi`; ``authorize`` is given the
    ``starlette.requests.Request``, and an ``HTTPException`` that it raises is answered as Starlette does.

    Returns:
        A list of routes with one attribute more, ``lifespan``: pass it to ``Starlette(lifespan=...)``, or enter it in a
        lifespan of your own.
    """
    return NegotiateRoutes(
        Mount(
            client,
            path,
            authorize=authorize,
            hubs=hubs,
            allow_origins=allow_origins,
            allow_headers=allow_headers,
            groups_ttl=groups_ttl,
            asynchronous=True,
        )
    )


def response_of(reply: Reply) -> Response:
    """An answer as Starlette has it."""
    return Response(reply.body, reply.status, dict(reply.headers))


def with_common_headers(app: ASGIApp, mount: Mount) -> ASGIApp:
    """The same application with the headers that every answer of a mount carries, those of exceptions included."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                common = encoded(mount.common_headers(scope_header(scope)))
                message = {**message, "headers": [*message.get("headers", ()), *common]}
            await send(message)

        await app(scope, receive, send_more)

    return wrapped
