"""One face for every framework, so that one test body runs over all of them."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import azure.functions as func
import fastapi
import flask
import starlette.applications
import starlette.requests
from azure.core.credentials import AzureKeyCredential
from werkzeug.test import Client as WsgiClient

import hubpass
import hubpass.aio
from hubpass.integrations import asgi, azure_functions, wsgi
from hubpass.integrations import fastapi as for_fastapi
from hubpass.integrations import flask as for_flask
from hubpass.integrations import starlette as for_starlette
from signalr.client_kind import ENDPOINT, KEY
from signalr.service_double import WATCHDOG

Headers = Mapping[str, str]


@dataclass
class Answered:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


Request = Callable[[str, str, Headers], Answered]


@dataclass
class Framework:
    """A framework: whether its clients are async, and how an application is made of a mount's arguments."""

    name: str
    asynchronous: bool
    make: Callable[..., Request]
    header: Callable[[Any, str], str | None]
    """How ``authorize`` reads a header."""
    has_cors: bool = True

    def __str__(self) -> str:
        return self.name

    def client(
        self,
        endpoint: str = ENDPOINT,
        credential: Any = None,
        *,
        class_name: str = "SignalRServiceClient",
        **options: Any,
    ) -> Any:
        module: Any = hubpass.aio if self.asynchronous else hubpass
        return getattr(module, class_name)(endpoint, "chat", credential or AzureKeyCredential(KEY), **options)

    def mount(self, path: str = "/chat", *, client: Any = None, **options: Any) -> Mounted:
        """An application with one mount; ``authorize`` gets a function that reads headers in place of a request."""
        authorize = options.pop("authorize")
        if callable(authorize):
            authorize = self._reading_headers(authorize)
        return Mounted(self.make(client or self.client(), path, authorize=authorize, **options))

    def _reading_headers(self, authorize: Callable[[Callable[[str], str | None]], Any]) -> Callable[[Any], Any]:
        if self.name == "fastapi":
            # A dependency: FastAPI reads what it asks for from its signature.
            def dependency(request: starlette.requests.Request) -> Any:
                return authorize(lambda name: self.header(request, name))

            dependency.__annotations__ = {"request": starlette.requests.Request}
            return dependency
        return lambda request: authorize(lambda name: self.header(request, name))


class Mounted:
    """An application that can be asked."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def post(self, path: str = "/chat/negotiate", headers: Headers | None = None) -> Answered:
        return self.request("POST", path, headers or {})


def asgi_request(app: Any) -> Request:
    """Ask an ASGI application as a server would, without one."""

    def request(method: str, target: str, headers: Headers) -> Answered:
        return asyncio.run(exchange(app, method, target, headers))

    return request


async def exchange(app: Any, method: str, target: str, headers: Headers) -> Answered:
    parts = urlsplit(target)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "state": {},
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *rest = sent
    found: dict[str, str] = {}
    for name, value in start["headers"]:
        key = name.decode()
        found[key] = f"{found[key]}, {value.decode()}" if key in found else value.decode()
    return Answered(start["status"], found, b"".join(message.get("body", b"") for message in rest))


@contextmanager
def running(app: Any) -> Iterator[Request]:
    """An ASGI application between its start and its end, on one event loop."""
    loop = asyncio.new_event_loop()
    with closing(loop):
        orders: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        life = loop.create_task(app({"type": "lifespan", "state": {}}, orders.get, told.put))

        async def order(name: str) -> None:
            await orders.put({"type": f"lifespan.{name}"})
            assert (await told.get())["type"] == f"lifespan.{name}.complete"

        loop.run_until_complete(order("startup"))
        yield lambda method, target, headers: loop.run_until_complete(exchange(app, method, target, headers))
        loop.run_until_complete(order("shutdown"))
        loop.run_until_complete(asyncio.wait_for(life, WATCHDOG))
        loop.run_until_complete(loop.shutdown_default_executor())


def wsgi_request(app: Any) -> Request:
    def request(method: str, target: str, headers: Headers) -> Answered:
        given = {name: value for name, value in headers.items() if name.lower() != "content-length"}
        length = headers.get("content-length")
        overrides = {} if length is None else {"CONTENT_LENGTH": length}
        found = WsgiClient(app).open(target, method=method, headers=given, environ_overrides=overrides)
        return Answered(found.status_code, {k.lower(): v for k, v in found.headers.items()}, found.get_data())

    return request


def make_asgi(client: Any, path: str, **options: Any) -> Request:
    return asgi_request(asgi.negotiate_asgi(client, path, **options))


def make_wsgi(client: Any, path: str, **options: Any) -> Request:
    return wsgi_request(wsgi.negotiate_wsgi(client, path, **options))


def make_starlette(client: Any, path: str, **options: Any) -> Request:
    routes = for_starlette.negotiate_routes(client, path, **options)
    return asgi_request(starlette.applications.Starlette(routes=routes))


def make_fastapi(client: Any, path: str, **options: Any) -> Request:
    app = fastapi.FastAPI()
    app.include_router(for_fastapi.negotiate_router(client, path, **options))
    return asgi_request(app)


def make_flask(client: Any, path: str, **options: Any) -> Request:
    app = flask.Flask("test")
    app.register_blueprint(for_flask.negotiate_blueprint(client, path, **options))
    return wsgi_request(app)


def make_functions(client: Any, path: str, **options: Any) -> Request:
    app = func.FunctionApp()
    app.register_functions(azure_functions.negotiate_blueprint(client, path, **options))
    (function,) = app.get_functions()
    call: Any = function.get_user_function()
    route = "/" + str(function.get_trigger().route)  # type: ignore[union-attr]

    def request(method: str, target: str, headers: Headers) -> Answered:
        # The host matches routes and methods; of its matching no more is played here than the tests need.
        parameters = matched(route, urlsplit(target).path)
        if parameters is None or method != "POST":
            return Answered(404 if parameters is None else 405, {"cache-control": "no-store"}, b"")
        given = func.HttpRequest(method, target, headers=dict(headers), route_params=parameters, body=b"")
        answer = call(given)
        if inspect.iscoroutine(answer):
            answer = asyncio.run(answer)
        return Answered(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.get_body())

    return request


def matched(route: str, path: str) -> dict[str, str] | None:
    """The parameters of a path, or None if the route is another."""
    wanted, given = route.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    parameters = {}
    for pattern, segment in zip(wanted, given, strict=True):
        if pattern.startswith("{"):
            parameters[pattern.strip("{}")] = segment
        elif pattern != segment:
            return None
    return parameters


def scope_header(scope: Any, name: str) -> str | None:
    return {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}.get(name)


def environ_header(environ: Any, name: str) -> str | None:
    value: str | None = environ.get("HTTP_" + name.upper().replace("-", "_"))
    return value


def request_header(request: Any, name: str) -> str | None:
    value: str | None = request.headers.get(name)
    return value


FRAMEWORKS = [
    Framework("asgi", True, make_asgi, scope_header),
    Framework("wsgi", False, make_wsgi, environ_header),
    Framework("starlette", True, make_starlette, request_header),
    Framework("fastapi", True, make_fastapi, request_header),
    Framework("flask", False, make_flask, request_header),
    Framework("functions-sync", False, make_functions, request_header, has_cors=False),
    Framework("functions-async", True, make_functions, request_header, has_cors=False),
]
