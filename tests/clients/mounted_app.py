"""An application with a mounted route, cookies, and pages of its own on another origin.

It finds the local Azure by ``SIGNALR_CONNECTION_STRING``; ``PAGE_ORIGIN`` is the origin whose pages may negotiate.
``/seen`` tells what has come to the route and how often ``authorize`` was asked. It writes one JSON line with its URL
when it can be reached, and ends when its standard input does, so that it never outlives the tests.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Cookie, FastAPI, Request, Response
from negotiate_app import serve

from hubpass.aio import SignalRServiceClient
from hubpass.integrations.fastapi import negotiate_router

seen: list[dict[str, Any]] = []
asked: list[str | None] = []


def signed_in(session: Annotated[str | None, Cookie()] = None) -> str | None:
    """Whoever has the cookie is its user."""
    asked.append(session)
    return session


client = SignalRServiceClient.from_connection_string(os.environ["SIGNALR_CONNECTION_STRING"], "chat")
app = FastAPI()
app.include_router(negotiate_router(client, "/chat", authorize=signed_in, allow_origins=[os.environ["PAGE_ORIGIN"]]))


@app.middleware("http")
async def note(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Note what comes to the route, and what became of it."""
    answer = await call_next(request)
    if request.url.path == "/chat/negotiate":
        found = {"method": request.method, "origin": request.headers.get("origin"), "status": answer.status_code}
        seen.append({**found, "cookie": request.cookies.get("session")})
    return answer


@app.get("/login")
async def login(response: Response) -> None:
    """Sign somebody in, as a form would."""
    response.set_cookie("session", "ann", httponly=True, samesite="lax")


@app.get("/seen")
async def what_was_seen() -> dict[str, Any]:
    """Tell, and forget."""
    found = {"requests": list(seen), "asked": list(asked)}
    seen.clear()
    asked.clear()
    return found


@app.post("/send", status_code=202)
async def send(text: str) -> None:
    """Send to everybody."""
    await client.send_to_all("message", text)


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(serve(listener, app))
