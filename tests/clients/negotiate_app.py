"""The application server of the client tests: the real client, steered by each test through its requests.

With `SIGNALR_ACCESS_KEY` it uses that key for the service at `SIGNALR_ENDPOINT`. Otherwise it uses Entra, with
`SIGNALR_CONNECTION_STRING`, `SIGNALR_AUTHORITY` and `SIGNALR_CA_FILE`; `SIGNALR_RENEW_AT_ONCE` lets every key be due as
soon as it is there. It writes one JSON line with its URL when it can be reached, and ends when its standard input does,
so that it never outlives the tests.
"""

import asyncio
import json
import os
import socket
import sys
import threading
from datetime import timedelta
from typing import Annotated, Any

import uvicorn
from azure.core.credentials import AzureKeyCredential
from fastapi import Body, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from hubpass import HubpassError, KeyPolicy
from hubpass.aio import SignalRServiceClient

# Renewals that bring the same key again, as most of them do then, hardly pause the next one.
RENEW_AT_ONCE = KeyPolicy(
    renew_after=(timedelta(0), timedelta(0)),
    retry_after=(timedelta(milliseconds=1), timedelta(milliseconds=1)),
)

app = FastAPI()
access_key = os.environ.get("SIGNALR_ACCESS_KEY")
credential = AzureKeyCredential(access_key) if access_key else None
clients: dict[tuple[str, str | None], SignalRServiceClient] = {}


def client_of(hub: str, application: str | None) -> SignalRServiceClient:
    """One client for each hub and application, made once and with one credential, as applications do it."""
    if (hub, application) not in clients:
        clients[hub, application] = new_client(hub, application)
    return clients[hub, application]


def new_client(hub: str, application: str | None) -> SignalRServiceClient:
    """A client with the access key or with Entra."""
    if credential is not None:
        return SignalRServiceClient(os.environ["SIGNALR_ENDPOINT"], hub, credential, application_name=application)
    return SignalRServiceClient.from_connection_string(
        os.environ["SIGNALR_CONNECTION_STRING"],
        hub,
        application_name=application,
        authority=os.environ["SIGNALR_AUTHORITY"],
        ca_file=os.environ["SIGNALR_CA_FILE"],
        key_policy=RENEW_AT_ONCE if os.environ.get("SIGNALR_RENEW_AT_ONCE") else None,
    )


@app.exception_handler(HubpassError)
async def explain(_: Request, error: HubpassError) -> JSONResponse:
    """Answer with the error's code; after an error that nobody handles, the web server would drop the connection."""
    return JSONResponse({"code": error.code}, status_code=502)


@app.post("/{hub}/negotiate")
async def negotiate(hub: str, options: str, application: str | None = None) -> dict[str, str]:
    """Negotiate with the keywords in `options`, a JSON object; `lifetime` is in seconds."""
    keywords: dict[str, Any] = json.loads(options)
    if "lifetime" in keywords:
        keywords["lifetime"] = timedelta(seconds=keywords["lifetime"])
    return await client_of(hub, application).negotiate(**keywords)


@app.post("/{hub}/send", status_code=202)
async def send(
    hub: str,
    target: Annotated[str, Body()],
    arguments: Annotated[list[Any], Body()],
    excluded: Annotated[list[str], Body()],
    application: str | None = None,
) -> None:
    """Send to all clients of the hub but the excluded connections."""
    await client_of(hub, application).send_to_all(target, *arguments, excluded=excluded)


@app.put("/key", status_code=204)
async def update_key(key: Annotated[str, Body(embed=True)]) -> None:
    """Replace the access key in the credential that all clients share."""
    if credential is None:
        raise HTTPException(409, "This application has no access key.")
    credential.update(key)


@app.delete("/{hub}/keys/{kid}")
async def invalidate_key(hub: str, kid: str, application: str | None = None) -> dict[str, bool]:
    """Report a temporary key dead."""
    return {"dropped": await client_of(hub, application).invalidate_key(kid)}


async def serve(listener: socket.socket, application: FastAPI) -> None:
    """Serve until the end of standard input."""
    server = uvicorn.Server(uvicorn.Config(application, log_level="warning"))

    def watch() -> None:
        while os.read(sys.stdin.fileno(), 4096):
            pass
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    # Connections wait in the listener's queue until the server takes them, so the line is true already.
    sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listener.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    await server.serve(sockets=[listener])


if __name__ == "__main__":
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asyncio.run(serve(listener, app))
