"""A Quart application that negotiates."""

import os

from quart import Quart, Response, jsonify  # type: ignore[import-not-found]

from hosts.settings import WORKER, connect
from hubpass.aio import SignalRServiceClient

clients = connect(SignalRServiceClient)
app = Quart(__name__)


@app.before_serving  # type: ignore[untyped-decorator]
async def warm_up() -> None:
    await clients["chat"].warm_up()


@app.after_serving  # type: ignore[untyped-decorator]
async def close() -> None:
    for client in clients.values():
        await client.close()


@app.post("/<name>/negotiate")  # type: ignore[untyped-decorator]
async def negotiate(name: str) -> Response:
    answer = jsonify(await clients[name].negotiate("ada"))
    answer.headers[WORKER] = str(os.getpid())
    return answer


@app.delete("/chat/keys/<kid>")  # type: ignore[untyped-decorator]
async def invalidate_key(kid: str) -> Response:
    return jsonify(await clients["chat"].invalidate_key(kid))
