"""One application with the same three mounts in each framework. Everybody is let in, so that any mistake gives a token.

``/chat`` negotiates for the hub of the client, ``/rooms/{hub}`` for two others, and ``/pages`` lets pages of one origin
in. A web server serves one of the attributes that are named after frameworks.
"""

from typing import Any

import fastapi
import flask
import starlette.applications
from azure.core.credentials import AzureKeyCredential
from starlette.types import ASGIApp, Receive, Scope, Send

import hubpass
import hubpass.aio
from hubpass.integrations import asgi, wsgi
from hubpass.integrations import fastapi as for_fastapi
from hubpass.integrations import flask as for_flask
from hubpass.integrations import starlette as for_starlette
from signalr.client_kind import ENDPOINT, KEY

MOUNTS: dict[str, dict[str, Any]] = {
    "/chat": {},
    "/rooms/{hub}": {"hubs": {"news", "kino"}},
    "/pages": {"allow_origins": ["https://app.example.com"]},
}


def make(client: Any, function: Any, authorize: Any) -> list[Any]:
    """What a framework's function makes of each mount."""
    return [function(client, path, authorize=authorize, **options) for path, options in MOUNTS.items()]


def anybody(_: Any) -> str:
    """A user, whoever it is."""
    return "ada"


def any_user() -> str:
    """The same as a dependency."""
    return "ada"


def first_of(apps: list[Any]) -> Any:
    """The first of several WSGI applications that has something other than 404 to say."""

    def app(environ: Any, start_response: Any) -> Any:
        said: list[Any] = []
        body: Any = []
        for one in apps:
            said.clear()
            body = one(environ, lambda *args: said.append(args))
            if not said[0][0].startswith("404"):
                break
        start_response(*said[0])
        return body

    return app


def first_of_async(apps: list[ASGIApp]) -> ASGIApp:
    """The same for ASGI."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await apps[0](scope, receive, send)
            return
        sent: list[Any] = []

        async def keep(message: Any) -> None:
            sent.append(message)

        for one in apps:
            sent.clear()
            await one(scope, receive, keep)
            if sent[0]["status"] != 404:
                break
        for message in sent:
            await send(message)

    return app


sync_client = hubpass.SignalRServiceClient(ENDPOINT, "chat", AzureKeyCredential(KEY))
async_client = hubpass.aio.SignalRServiceClient(ENDPOINT, "chat", AzureKeyCredential(KEY))

wsgi_app = first_of(make(sync_client, wsgi.negotiate_wsgi, anybody))
asgi_app = first_of_async(make(async_client, asgi.negotiate_asgi, anybody))

starlette_app = starlette.applications.Starlette(
    routes=[route for routes in make(async_client, for_starlette.negotiate_routes, anybody) for route in routes]
)

fastapi_app = fastapi.FastAPI()
for router in make(async_client, for_fastapi.negotiate_router, any_user):
    fastapi_app.include_router(router)

flask_app = flask.Flask(__name__)
for number, (path, options) in enumerate(MOUNTS.items()):
    flask_app.register_blueprint(
        for_flask.negotiate_blueprint(sync_client, path, authorize=anybody, name=f"mount{number}", **options)
    )
