"""An aiohttp application that negotiates."""

import os
from collections.abc import AsyncIterator

from aiohttp import web

from hosts.settings import WORKER, connect
from hubpass.aio import SignalRServiceClient

clients = connect(SignalRServiceClient)


async def lifespan(_: web.Application) -> AsyncIterator[None]:
    await clients["chat"].warm_up()
    yield
    for client in clients.values():
        await client.close()


async def negotiate(request: web.Request) -> web.Response:
    answer = await clients[request.match_info["name"]].negotiate("ada")
    return web.json_response(answer, headers={WORKER: str(os.getpid())})


async def invalidate_key(request: web.Request) -> web.Response:
    return web.json_response(await clients["chat"].invalidate_key(request.match_info["kid"]))


app = web.Application()
app.cleanup_ctx.append(lifespan)
app.router.add_post("/{name}/negotiate", negotiate)
app.router.add_delete("/chat/keys/{kid}", invalidate_key)
