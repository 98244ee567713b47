"""A blueprint for Azure Functions in Python, programming model v2."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from azure.functions import AuthLevel, Blueprint, HttpRequest, HttpResponse

from hubpass.exceptions import InvalidArgumentError
from hubpass.grants import Grant
from hubpass.integrations import asgi, wsgi
from hubpass.integrations._mount import NEGOTIATE, Mount, Reply

if TYPE_CHECKING:
    from hubpass.grants import _Anonymous
    from hubpass.integrations._services import AnyClient

__all__ = ["negotiate_blueprint"]

Authorized: TypeAlias = "Grant | str | None"
Authorize: TypeAlias = "Callable[[HttpRequest], Authorized | Awaitable[Authorized]] | _Anonymous"


def negotiate_blueprint(
    client: AnyClient,
    path: str = "",
    *,
    authorize: Authorize,
    hubs: Iterable[str] | None = None,
    allow_origins: None = None,
    groups_ttl: timedelta | None = None,
    name: str = "negotiate",
) -> Blueprint:
    """Make a blueprint with one HTTP function: ``app.register_functions(...)``.

    It answers ``POST /api{path}/negotiate`` (``/api`` is the host's own prefix). A client of :mod:`hubpass.aio` makes
    it an async function, one of :mod:`hubpass` a sync one, which the host runs on a thread. Clients get their token
    from ``authorize`` and not from a function key: the authorization level is anonymous.

    The arguments and errors are those of :func:`hubpass.integrations.asgi.negotiate_asgi`; ``authorize`` is given the
    ``azure.functions.HttpRequest``. CORS is the platform's, which answers before any function: ``allow_origins`` is
    refused, and the hint has the commands that set it. Give each of several functions a ``name`` of its own. Nothing
    depends on ``close()``: the host ends its workers without asking.
    """
    if allow_origins is not None:
        raise InvalidArgumentError(
            "The argument allow_origins has no effect in Azure Functions, where the platform answers preflights.",
            code="invalid_argument",
            hint="Leave it out, and run: az functionapp cors add -n <app> -g <group> --allowed-origins <origin>; "
            "az functionapp cors credentials -n <app> -g <group> --enable true",
        )
    mount = Mount(
        client,
        path,
        authorize=authorize,
        hubs=hubs,
        allow_origins=None,
        allow_headers=(),
        groups_ttl=groups_ttl,
        asynchronous=None,
    )

    def respond(req: HttpRequest) -> HttpResponse:
        header = req.headers.get
        reply = wsgi.answer(mount, req.method, header, req, req.route_params.get("hub"))
        return _response(mount, reply)

    async def respond_async(req: HttpRequest) -> HttpResponse:
        header = req.headers.get
        reply = await asgi.answer(mount, req.method, header, req, req.route_params.get("hub"))
        return _response(mount, reply)

    blueprint = Blueprint()  # type: ignore[no-untyped-call] # its stubs are incomplete
    route = (mount.path + NEGOTIATE).lstrip("/")
    function = respond_async if mount.client._is_async else respond  # noqa: SLF001 - a class of this package
    decorated = blueprint.route(route=route, methods=["POST"], auth_level=AuthLevel.ANONYMOUS)(function)
    blueprint.function_name(name)(decorated)
    return blueprint


def _response(mount: Mount, reply: Reply) -> HttpResponse:
    headers = {**dict(mount.common_headers(lambda _: None)), **dict(reply.headers)}
    return HttpResponse(reply.body, status_code=reply.status, headers=headers)
