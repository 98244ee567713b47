"""How the services read the path of a request."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send


class DecodePaths:
    """Decodes paths as the services do: all but `%2F`, so that a segment never becomes two.

    A server that asks for the group `a/b` thereby gets the one whose name is the text `a%2Fb`. Source: the cases of
    Microsoft's own emulator of Web PubSub (Azure/azure-webpubsub, `tools/emulator`); both services are web servers of
    the same make.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] in {"http", "websocket"}:
            raw = scope["raw_path"].partition(b"?")[0].decode("latin-1")
            kept = raw.replace("%2F", "%252F").replace("%2f", "%252f")
            scope = {**scope, "path": unquote(kept)}
        await self._app(scope, receive, send)
