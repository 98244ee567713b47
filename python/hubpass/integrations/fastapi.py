"""A router for FastAPI, in which ``authorize`` is an ordinary dependency."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hubpass.grants import ANONYMOUS, Forbidden, Grant, _Anonymous
from hubpass.integrations import easy_auth as app_service
from hubpass.integrations._app_cors import log_refused_preflights
from hubpass.integrations._mount import NEGOTIATE, OTHER_METHODS, Mount, run_async
from hubpass.integrations._services import AnyClient
from hubpass.integrations.asgi import living, scope_header
from hubpass.integrations.starlette import response_of, with_common_headers

__all__ = ["easy_auth", "negotiate_router"]

Authorized = Grant | str | None
Authorize = Callable[..., Authorized | Awaitable[Authorized]] | _Anonymous


def negotiate_router(
    client: AnyClient | Callable[[], AnyClient],
    path: str = "",
    *,
    authorize: Authorize,
    hubs: Iterable[str] | None = None,
    allow_origins: Iterable[str] | None = None,
    allow_headers: Iterable[str] = (),
    groups_ttl: timedelta | None = None,
) -> APIRouter:
    """Make a router that answers ``POST {path}/negotiate`` with an async client: ``app.include_router(...)``.

    The arguments and errors are those of :func:`hubpass.integrations.asgi.negotiate_asgi`, except that ``authorize`` is
    a dependency like any other: it may ask for headers, cookies, ``Security(...)`` or other dependencies, and an
    ``HTTPException`` that it raises is answered as FastAPI does. The client is warmed when the application starts.
    """
    mount = Mount(
        client,
        path,
        authorize=authorize,
        hubs=hubs,
        allow_origins=allow_origins,
        allow_headers=allow_headers,
        groups_ttl=groups_ttl,
        asynchronous=True,
    )

    class NegotiateRoute(APIRoute):
        """A route that screens a request before FastAPI resolves its dependencies."""

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            await with_common_headers(super().handle, mount)(scope, receive, send)

        def get_route_handler(self) -> Callable[[Request], Any]:
            handle = super().get_route_handler()

            async def screened(request: Request) -> Response:
                early = mount.screen(request.method, scope_header(request.scope))
                if early is not None:
                    return response_of(early)
                try:
                    return await handle(request)
                except Forbidden as refusal:
                    return response_of(mount.forbidden(refusal))

            return screened

    def lifespan(app: FastAPI) -> AbstractAsyncContextManager[None]:
        log_refused_preflights(app, mount)
        return living(mount)

    async def negotiate(request: Request, authorized: Any) -> Response:
        return response_of(await run_async(mount.plan(authorized, request.path_params.get("hub"))))

    async def negotiate_anybody(request: Request) -> Response:
        return await negotiate(request, ANONYMOUS)

    async def negotiate_user(
        request: Request,
        authorized: Annotated[Any, Depends(authorize if callable(authorize) else None)],
    ) -> Response:
        return await negotiate(request, authorized)

    async def otherwise() -> Response:
        return response_of(mount.doubled())

    router = APIRouter(route_class=NegotiateRoute, lifespan=lifespan)
    endpoint = negotiate_anybody if authorize is ANONYMOUS else negotiate_user
    full = mount.path + NEGOTIATE
    router.add_api_route(full, endpoint, methods=["POST"], response_model=None, name="negotiate")
    # What is not a POST is answered by the screen, before any endpoint.
    rest = ["OPTIONS", *OTHER_METHODS]
    router.add_api_route(full, otherwise, methods=rest, response_model=None, include_in_schema=False)
    twice = full + NEGOTIATE
    router.add_api_route(twice, otherwise, methods=["POST", *rest], response_model=None, include_in_schema=False)
    return router


def easy_auth(request: Request) -> Grant | None:
    """As :func:`hubpass.integrations.easy_auth.easy_auth`, as a dependency: ``authorize=easy_auth``."""
    return app_service.easy_auth(request)
