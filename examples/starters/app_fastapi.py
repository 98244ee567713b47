"""A chat with Azure SignalR Service in FastAPI.

Without Azure: hubpass emulator run -- uvicorn app_fastapi:app
"""

from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from hubpass.aio import SignalRServiceClient
from hubpass.integrations.fastapi import negotiate_router

# Reads AZURE_SIGNALR_CONNECTIONSTRING. One client serves the whole process.
chat = SignalRServiceClient.from_env("chat")

# Your own authentication stands here.
USERS = {"the token of Ada": "ada", "the token of Bob": "bob"}


def current_user(
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> str | None:
    """Say who has sent a request; ``None`` is answered with 401."""
    return USERS.get(bearer.credentials) if bearer else None


app = FastAPI()
# Pages connect to /chat, with the token of the user as accessTokenFactory.
app.include_router(negotiate_router(chat, "/chat", authorize=current_user))


@app.post("/messages", status_code=202)
async def send(text: str, user: Annotated[str | None, Depends(current_user)]) -> None:
    """Send a text to everybody who is connected."""
    if user is None:
        raise HTTPException(401)
    await chat.send_to_all("message", user, text)
