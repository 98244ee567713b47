"""The whole server of a chat: it lets browsers into Azure SignalR Service and sends what one says to all."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

from fastapi import Body, FastAPI, Query
from fastapi.staticfiles import StaticFiles

from hubpass.aio import SignalRServiceClient

client = SignalRServiceClient.from_connection_string(os.environ["AZURE_SIGNALR_CONNECTIONSTRING"], "chat")


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with client:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/chat/negotiate")
async def negotiate(user: Annotated[str, Query(max_length=40, pattern=r"^\w[\w .-]*$")]) -> dict[str, str]:
    # Here people are who they say they are; an application with a login takes the user from there.
    return await client.negotiate(user)


@app.post("/messages", status_code=202)
async def say(user: Annotated[str, Body(max_length=40)], text: Annotated[str, Body(max_length=2000)]) -> None:
    await client.send_to_all("message", user, text)


here = Path(__file__).parent
app.mount("/signalr", StaticFiles(directory=here / "node_modules/@microsoft/signalr/dist/browser"))
app.mount("/", StaticFiles(directory=here / "static", html=True))
