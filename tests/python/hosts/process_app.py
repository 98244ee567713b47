"""A program whose worker processes negotiate: ``python -m hosts.process_app fork`` (or ``spawn``).

Each line of its input is an order for one worker or for all, each line of its output the answer. It ends when its input
does, with the exit codes of its workers as its own.
"""

from __future__ import annotations

import json
import os
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from hosts.settings import connect
from hubpass import SignalRServiceClient

WORKERS = 2

Clients = dict[str, SignalRServiceClient]


def work(orders: Connection[Any, Any], clients: Clients | None) -> None:
    """Carry out orders until there are no more; ``clients`` are those of the parent, if they could be inherited."""
    own = connect(SignalRServiceClient) if clients is None else clients
    for name, argument in iter(orders.recv, None):
        if name == "negotiate":
            orders.send({"worker": str(os.getpid()), "token": own[argument].negotiate("ada").access_token})
        else:
            orders.send(own["chat"].invalidate_key(argument))


def main(method: str) -> int:
    context: Any = get_context(method)
    clients = None
    if method == "fork":
        clients = connect(SignalRServiceClient)
        clients["chat"].warm_up()
    workers: list[tuple[BaseProcess, Connection[Any, Any]]] = []
    for _ in range(WORKERS):
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(theirs, clients))
        process.start()
        workers.append((process, ours))
    for number, line in enumerate(sys.stdin):
        order = json.loads(line)
        _, chosen = workers[number % WORKERS]
        asked = [chosen] if order[0] == "negotiate" else [orders for _, orders in workers]
        for orders in asked:
            orders.send(order)
        print(json.dumps([orders.recv() for orders in asked][-1]), flush=True)  # noqa: T201 - the interface
    for process, orders in workers:
        orders.send(None)
        process.join()
    return max(abs(process.exitcode or 0) for process, _ in workers)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
