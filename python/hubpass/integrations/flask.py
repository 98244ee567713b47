"""A blueprint for Flask."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeAlias

from flask import Blueprint, Request, Response, request

from hubpass.grants import Grant
from hubpass.integrations._mount import NEGOTIATE, OTHER_METHODS, Mount, Reply
from hubpass.integrations.wsgi import answer

if TYPE_CHECKING:
    from hubpass.grants import _Anonymous
    from hubpass.integrations._services import AnyClient

__all__ = ["negotiate_blueprint"]

Authorize: TypeAlias = "Callable[[Request], Grant | str | None] | _Anonymous"


def negotiate_blueprint(
    client: AnyClient | Callable[[], AnyClient],
    path: str = "",
    *,
    authorize: Authorize,
    hubs: Iterable[str] | None = None,
    allow_origins: Iterable[str] | None = None,
    allow_headers: Iterable[str] = (),
    groups_ttl: timedelta | None = None,
    name: str = "hubpass",
) -> Blueprint:
    """Make a blueprint that answers ``POST {path}/negotiate`` with a sync client: ``app.register_blueprint(...)``.

    The arguments and errors are those of :func:`hubpass.integrations.asgi.negotiate_asgi`; ``authorize`` is given
    ``flask.request``, and what it raises by ``abort(...)`` is answered as Flask does. Give each of several blueprints a
    ``name`` of its own. Warm the client in a hook of the server, such as gunicorn's ``post_worker_init``.
    """
    mount = Mount(
        client,
        path,
        authorize=authorize,
        hubs=hubs,
        allow_origins=allow_origins,
        allow_headers=allow_headers,
        groups_ttl=groups_ttl,
        asynchronous=False,
    )
    blueprint = Blueprint(name, __name__)

    def negotiate(hub: str | None = None) -> Response:
        return respond(answer(mount, request.method, request.headers.get, request, hub))

    def twice(hub: str | None = None) -> Response:  # noqa: ARG001 - Flask passes what the path has
        return respond(mount.screen(request.method, request.headers.get) or mount.doubled())

    def respond(reply: Reply) -> Response:
        headers = [*reply.headers, *mount.common_headers(request.headers.get)]
        return _Response(reply.body, reply.status, headers)

    def complete(response: Response) -> Response:
        # What abort() made, or the application's own handler of errors.
        if not isinstance(response, _Response):
            response.headers.extend(mount.common_headers(request.headers.get))
        return response

    # Flask answers OPTIONS and HEAD by itself unless a route names them.
    methods = ["POST", "OPTIONS", *OTHER_METHODS]
    rule = mount.path.replace("{hub}", "<hub>") + NEGOTIATE
    blueprint.add_url_rule(rule, "negotiate", negotiate, methods=methods)
    blueprint.add_url_rule(rule + NEGOTIATE, "negotiate_twice", twice, methods=methods)
    blueprint.after_request(complete)
    return blueprint


class _Response(Response):
    """An answer that is complete: it needs no more headers."""
