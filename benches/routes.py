"""What negotiation costs in a route of FastAPI and Flask: against the same route with a constant, and with PyJWT.

``own`` is a route of the application that calls ``negotiate``, ``mounted`` the one of ``hubpass.integrations``.

Reproduce with ``make bench``, or with a release build of hubpass: ``python benches/routes.py``. Applications are
called in process, as a server would call them, with another user at each request. The process fails if a minimum
misses its goal.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import fastapi
import flask

import hubpass
import hubpass.aio
from hubpass.integrations.fastapi import negotiate_router
from hubpass.integrations.flask import negotiate_blueprint
from negotiate import ENDPOINT, KEY, content, negotiate_by_hand
from rounds import goal_met, interleave

CONNECTION_STRING = f"Endpoint={ENDPOINT};AccessKey={KEY};Version=1.0;"
CONSTANT = negotiate_by_hand("user-0")
USER_IDS = [f"user-{number}" for number in range(50)]
ROUNDS = 200

App = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


async def signed_in(x_user: Annotated[str, fastapi.Header()]) -> str:
    return x_user


def fastapi_app() -> App:
    app = fastapi.FastAPI()
    client = hubpass.aio.SignalRServiceClient.from_connection_string(CONNECTION_STRING, "chat")
    app.include_router(negotiate_router(client, "/mounted", authorize=signed_in))

    @app.post("/own/negotiate")
    async def own(user_id: Annotated[str, fastapi.Depends(signed_in)]) -> dict[str, str]:
        return await client.negotiate(user_id)

    @app.post("/constant/negotiate")
    async def constant(user_id: Annotated[str, fastapi.Depends(signed_in)]) -> dict[str, str]:
        return CONSTANT if user_id else {}

    @app.post("/by-hand/negotiate")
    async def by_hand(user_id: Annotated[str, fastapi.Depends(signed_in)]) -> dict[str, str]:
        return negotiate_by_hand(user_id)

    return app


def flask_app() -> flask.Flask:
    app = flask.Flask("bench")
    client = hubpass.SignalRServiceClient.from_connection_string(CONNECTION_STRING, "chat")
    app.register_blueprint(negotiate_blueprint(client, "/mounted", authorize=lambda request: request.headers["x-user"]))

    @app.post("/own/negotiate")
    def own() -> dict[str, str]:
        return client.negotiate(flask.request.headers["x-user"])

    @app.post("/constant/negotiate")
    def constant() -> dict[str, str]:
        return CONSTANT if flask.request.headers["x-user"] else {}

    @app.post("/by-hand/negotiate")
    def by_hand() -> dict[str, str]:
        return negotiate_by_hand(flask.request.headers["x-user"])

    return app


async def ask_asgi(app: App, path: str, user_id: str) -> bytes:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"negotiateVersion=1",
        "root_path": "",
        "headers": [(b"host", b"localhost"), (b"x-user", user_id.encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return b"".join(message.get("body", b"") for message in sent)


def ask_wsgi(app: flask.Flask, path: str, user_id: str) -> bytes:
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "negotiateVersion=1",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "HTTP_X_USER": user_id,
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": None,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    body = app(environ, lambda *_: lambda _: None)
    return b"".join(body)


async def time_asgi(app: App, path: str) -> float:
    begin = time.perf_counter()
    for user_id in USER_IDS:
        await ask_asgi(app, path, user_id)
    return (time.perf_counter() - begin) / len(USER_IDS)


def time_wsgi(app: flask.Flask, path: str) -> float:
    begin = time.perf_counter()
    for user_id in USER_IDS:
        ask_wsgi(app, path, user_id)
    return (time.perf_counter() - begin) / len(USER_IDS)


def main() -> bool:
    asgi, wsgi = fastapi_app(), flask_app()
    loop = asyncio.new_event_loop()
    kinds = ("own", "mounted", "constant", "by-hand")

    # An error is fast and worth nothing.
    for kind in kinds:
        path = f"/{kind}/negotiate"
        for answer in (loop.run_until_complete(ask_asgi(asgi, path, "user-0")), ask_wsgi(wsgi, path, "user-0")):
            if content(json.loads(answer)) != content(CONSTANT):
                sys.exit("The contestants do not build the same token.")

    def measure_asgi(path: str) -> float:
        return loop.run_until_complete(time_asgi(asgi, path))

    contestants: dict[str, Callable[[], float]] = {}
    for kind in kinds:
        contestants[f"FastAPI {kind}"] = partial(measure_asgi, f"/{kind}/negotiate")
        contestants[f"Flask {kind}"] = partial(time_wsgi, wsgi, f"/{kind}/negotiate")
    spreads = interleave(contestants, rounds=ROUNDS)
    loop.close()
    met = []
    for framework in ("FastAPI", "Flask"):
        own, mounted, constant, by_hand = (spreads[f"{framework} {kind}"] for kind in kinds)
        met.append(goal_met(f"{framework}: own / constant", own.ratio_to(constant), at_most=1.1))
        met.append(goal_met(f"{framework}: by hand / mounted", by_hand.ratio_to(mounted), at_least=1.2))
        # Not a goal: the mounted route screens, authorizes and sets headers, which the constant one does not.
        ratio = mounted.ratio_to(constant)
        print(f"  {framework}: mounted / constant {ratio.minimum:>26.2f} / {ratio.median:.2f}")
    return all(met)


if __name__ == "__main__":
    sys.exit(not main())
