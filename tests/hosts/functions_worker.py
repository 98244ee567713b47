"""A worker like that of Azure Functions: sync functions run on a pool of threads, async ones on the main thread's loop.

``python -m functions_worker sync`` (or ``async``) takes an order a line and answers each with a line.
"""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import hubpass
import hubpass.aio
from hosts.settings import connect

sync_clients = connect(hubpass.SignalRServiceClient)
async_clients = connect(hubpass.aio.SignalRServiceClient)


def sync_function(name: str, argument: str) -> object:
    if name == "report":
        return sync_clients["chat"].invalidate_key(argument)
    return {"worker": str(os.getpid()), "token": sync_clients[argument].negotiate("ada").access_token}


async def async_function(name: str, argument: str) -> object:
    if name == "report":
        return await async_clients["chat"].invalidate_key(argument)
    return {"worker": str(os.getpid()), "token": (await async_clients[argument].negotiate("ada")).access_token}


async def main(kind: str) -> None:
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor() as pool:
        while line := await asyncio.to_thread(sys.stdin.readline):
            name, argument = json.loads(line)
            if kind == "sync":
                answer = await loop.run_in_executor(pool, sync_function, name, argument)
            else:
                answer = await async_function(name, argument)
            print(json.dumps(answer), flush=True)  # noqa: T201 - the interface


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
