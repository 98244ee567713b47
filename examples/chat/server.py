"""The whole server of a chat: it lets browsers into Azure SignalR Service and sends what one says to all."""

from datetime import timedelta
from os import environ
from pathlib import Path
from typing import Annotated

from fastapi import Body, FastAPI, Query
from fastapi.staticfiles import StaticFiles

from hubpass import KeyPolicy
from hubpass.aio import SignalRServiceClient

# In Azure temporary keys live for 90 minutes and need no policy; those of the demo live for 20 seconds.
s = timedelta(seconds=1)
keys = KeyPolicy(lifetime=20 * s, renew_after=(8 * s, 12 * s), margin=2 * s, retry_after=(1 * s, 4 * s))
client = SignalRServiceClient.from_connection_string(environ["AZURE_SIGNALR_CONNECTIONSTRING"], "chat", key_policy=keys)
app = FastAPI()


@app.post("/chat/negotiate")
async def negotiate(user: Annotated[str, Query(max_length=40, pattern=r"^\w[\w .-]*$")]) -> dict[str, str]:
    # Here people are who they say they are; an application with a login takes the user from there.
    return await client.negotiate(user)


@app.post("/messages", status_code=202)
async def say(user: Annotated[str, Body(max_length=40)], text: Annotated[str, Body(max_length=2000)]) -> None:
    await client.send_to_all("message", user, text)


@app.get("/health")
async def health() -> dict[str, object]:
    await client.warm_up()  # Like a negotiation it fails if no key is to be had, and begins to renew one that is due.
    return dict(client.status())


here = Path(__file__).parent
app.mount("/signalr", StaticFiles(directory=here / "node_modules/@microsoft/signalr/dist/browser"))
app.mount("/", StaticFiles(directory=here / "static", html=True))
