"""A FastAPI application that negotiates. Each worker gets a key before it serves, and closes its clients at the end."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

from hosts.settings import WORKER, connect
from hubpass.aio import SignalRServiceClient

clients = connect(SignalRServiceClient)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await clients["chat"].warm_up()
    yield
    for client in clients.values():
        await client.close()


app = FastAPI(lifespan=lifespan)


@app.post("/{name}/negotiate")
async def negotiate(name: str, response: Response) -> dict[str, str]:
    response.headers[WORKER] = str(os.getpid())
    return await clients[name].negotiate("ada")


@app.delete("/chat/keys/{kid}")
async def invalidate_key(kid: str) -> bool:
    return await clients["chat"].invalidate_key(kid)
