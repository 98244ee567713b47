"""Negotiation as an ASGI application, to be mounted in any ASGI framework (ASGI 3.0)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

from hubpass.exceptions import HubpassError
from hubpass.grants import ANONYMOUS, Forbidden, Grant
from hubpass.integrations._mount import GetHeader, Headers, Mount, Reply, log, run_async
from hubpass.integrations._paths import hub_in

if TYPE_CHECKING:
    from hubpass.grants import _Anonymous
    from hubpass.integrations._services import AnyClient

__all__ = ["negotiate_asgi"]

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Authorized: TypeAlias = "Grant | str | None"
Authorize: TypeAlias = "Callable[[Scope], Authorized | Awaitable[Authorized]] | _Anonymous"


def negotiate_asgi(
    client: AnyClient | Callable[[], AnyClient],
    path: str = "",
    *,
    authorize: Authorize,
    hubs: Iterable[str] | None = None,
    allow_origins: Iterable[str] | None = None,
    allow_headers: Iterable[str] = (),
    groups_ttl: timedelta | None = None,
) -> App:
    """Make an ASGI application that answers ``POST {path}/negotiate``.

    The functions of the other modules take the same arguments (that for Azure Functions a client, and neither
    ``allow_origins`` nor ``allow_headers``, because the platform has settings for CORS).

    Whatever comes back from a request is decided by ``authorize`` and by the mount: neither ``Host`` nor any
    ``X-Forwarded-*`` header has a part in it.

    Args:
        client: An async client of :mod:`hubpass.aio` (in WSGI frameworks a sync one of :mod:`hubpass`), which is warmed
            when the application starts and belongs to whoever made it. Or a function that makes one: it is called when
            the application starts, and the client is closed when the application ends.
        path: Where clients are told to connect, such as ``/chat``; they add ``/negotiate`` themselves. With ``hubs`` it
            has ``{hub}`` in it.
        authorize: A function, sync or async, that is given the request as the framework has it (here the ASGI scope)
            and returns a user id as text, a :class:`hubpass.Grant`, or ``None`` for nobody (401). It may raise
            :class:`hubpass.Forbidden` (403). Or ``hubpass.ANONYMOUS``, which lets everybody in.
        hubs: The hubs that a path with ``{hub}`` may name; others are answered with 404. Default: the client's hub
            alone.
        allow_origins: Origins of other sites whose pages may negotiate, such as ``https://app.example.com``. The route
            then answers preflights, and refuses pages from elsewhere with 403 before it asks ``authorize``. Default:
            ``None``, which leaves CORS to the application.
        allow_headers: Names of further headers that those pages send. What ``@microsoft/signalr`` sends is allowed
            anyhow.
        groups_ttl: For how long a user of Azure SignalR Service stays in the groups of a grant. Needed if grants have
            groups; each of them then costs a request to the service.

    Raises:
        InvalidArgumentError: An argument cannot be used.
    """
    return _App(
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


class _App:
    """The application, which is also its own lifespan."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            header = scope_header(scope)
            reply = await self._answer(scope, header)
            await send_reply(send, reply, self._mount.common_headers(header))
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, header: GetHeader) -> Reply:
        mount = self._mount
        found, hub = hub_in(path_below_root(scope), mount.path)
        if found == "twice":
            return mount.doubled()
        if found == "nothing":
            return Reply(404, b"")
        return await answer(mount, scope["method"], header, scope, hub)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        async with living(self._mount):
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def answer(mount: Mount, method: str, header: GetHeader, request: object, hub: str | None) -> Reply:
    """Screen, authorize, decide, negotiate. `request` is what `authorize` is given."""
    early = mount.screen(method, header)
    if early is not None:
        return early
    try:
        authorized = await call_authorize(mount.authorize, request)
    except Forbidden as refusal:
        return mount.forbidden(refusal)
    return await run_async(mount.plan(authorized, hub))


async def call_authorize(authorize: Any, request: object) -> object:
    """What the application says of a request; a function that blocks runs on a thread."""
    if authorize is ANONYMOUS:
        return ANONYMOUS
    if _is_async(authorize):
        return await _settled(authorize(request))
    return await _settled(await asyncio.to_thread(authorize, request))


def _is_async(function: Any) -> bool:
    """Whether a function, or an object that is called like one, is a coroutine function."""
    call = function if inspect.isroutine(function) else type(function).__call__
    return inspect.iscoroutinefunction(call)


@asynccontextmanager
async def living(mount: Mount) -> AsyncIterator[None]:
    """Warm the client at the start, and close it at the end if the mount has made it."""
    await warm(mount)
    try:
        yield
    finally:
        client: Any = mount.forget_client()
        if client is not None:
            await client.close()


async def warm(mount: Mount) -> None:
    """Get a key before the first user comes. Without one the application starts all the same, and says so."""
    client: Any = mount.client
    try:
        await client.warm_up()
    except HubpassError as error:
        log.warning("The client of %s is not warm: %s", mount.path or "/", error)


async def send_reply(send: Send, reply: Reply, common: Headers) -> None:
    """Send an answer as ASGI messages."""
    headers = encoded((*common, *reply.headers, ("Content-Length", str(len(reply.body)))))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def scope_header(scope: Scope) -> GetHeader:
    """Look headers up in a scope; the lines of one that comes more than once are one list (RFC 9110 section 5.3)."""

    def header(name: str) -> str | None:
        wanted = name.lower().encode("latin-1")
        lines = [value.decode("latin-1") for key, value in scope["headers"] if key.lower() == wanted]
        return ", ".join(lines) if lines else None

    return header


def path_below_root(scope: Scope) -> str:
    """The path below where the application is mounted: servers and frameworks leave the prefix in or cut it off."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


async def _settled(value: object) -> object:
    """What a callback gave, which may be a coroutine."""
    return await value if isinstance(value, Awaitable) else value
