"""Negotiation as a WSGI application, to be mounted in any WSGI framework or server (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from hubpass.grants import ANONYMOUS, Forbidden, Grant
from hubpass.integrations._mount import GetHeader, Mount, Reply, run
from hubpass.integrations._paths import hub_in

if TYPE_CHECKING:
    from hubpass.grants import _Anonymous
    from hubpass.integrations._services import AnyClient

__all__ = ["negotiate_wsgi"]

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[[str, list[tuple[str, str]]], object]
App: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
Authorize: TypeAlias = "Callable[[Environ], Grant | str | None] | _Anonymous"


def negotiate_wsgi(
    client: AnyClient | Callable[[], AnyClient],
    path: str = "",
    *,
    authorize: Authorize,
    hubs: Iterable[str] | None = None,
    allow_origins: Iterable[str] | None = None,
    allow_headers: Iterable[str] = (),
    groups_ttl: timedelta | None = None,
) -> App:
    """Make a WSGI application that answers ``POST {path}/negotiate`` with a sync client.

    The arguments and errors are those of :func:`hubpass.integrations.asgi.negotiate_asgi`; ``authorize`` is given the
    WSGI environment. WSGI knows no start and no end of an application: warm the client in a hook of the server, such as
    gunicorn's ``post_worker_init``.
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

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        header = _environ_header(environ)
        reply = _answer(mount, environ, header)
        status = f"{reply.status} {HTTPStatus(reply.status).phrase}"
        length = ("Content-Length", str(len(reply.body)))
        start_response(status, [*mount.common_headers(header), *reply.headers, length])
        return [reply.body]

    return app


def _answer(mount: Mount, environ: Environ, header: GetHeader) -> Reply:
    # The bytes of the path, one character each (PEP 3333, "Unicode Issues").
    path = str(environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace")
    found, hub = hub_in(path, mount.path)
    if found == "twice":
        return mount.doubled()
    if found == "nothing":
        return Reply(404, b"")
    return answer(mount, str(environ["REQUEST_METHOD"]), header, environ, hub)


def answer(mount: Mount, method: str, header: GetHeader, request: object, hub: str | None) -> Reply:
    """Screen, authorize, decide, negotiate. `request` is what `authorize` is given."""
    early = mount.screen(method, header)
    if early is not None:
        return early
    authorize: Any = mount.authorize
    try:
        authorized = ANONYMOUS if authorize is ANONYMOUS else authorize(request)
    except Forbidden as refusal:
        return mount.forbidden(refusal)
    return run(mount.plan(authorized, hub))


def _environ_header(environ: Environ) -> GetHeader:
    def header(name: str) -> str | None:
        key = name.upper().replace("-", "_")
        found = environ.get(key if key in {"CONTENT_LENGTH", "CONTENT_TYPE"} else f"HTTP_{key}")
        return found or None

    return header
