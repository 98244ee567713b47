"""The application server of the client tests: the real client, steered by each test through its requests.

It finds the service in `SIGNALR_ENDPOINT` and the key in `SIGNALR_ACCESS_KEY`, writes one JSON line with its
URL when it can be reached, and ends when its standard input does, so that it never outlives the tests.
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
from fastapi import Body, FastAPI

from hubpass.aio import SignalRServiceClient

app = FastAPI()
credential = AzureKeyCredential(os.environ["SIGNALR_ACCESS_KEY"])
clients: dict[tuple[str, str | None], SignalRServiceClient] = {}


def client_of(hub: str, application: str | None) -> SignalRServiceClient:
    """One client for each hub and application, made once and with one credential, as applications do it."""
    if (hub, application) not in clients:
        clients[hub, application] = SignalRServiceClient(
            os.environ["SIGNALR_ENDPOINT"], hub, credential, application_name=application
        )
    return clients[hub, application]


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
    credential.update(key)


async def serve(listener: socket.socket) -> None:
    """Serve until the end of standard input."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))

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
        asyncio.run(serve(listener))
