"""The way to the service: one connection for many tokens, and none that a forked child inherits."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any

import pytest
from typing_extensions import override

from signalr.scripts import finish, start
from signalr.service_double import ServiceDouble
from webpubsub.kinds import SIGNED_BY_THE_SERVICE, WebPubSubKind, token_answer

A_FEW = 8
"""A connection is back in the pool a moment after its answer; a caller that comes within that moment opens another."""


class Keeper:
    """A service that keeps its connections open, and knows on which one each request came."""

    def __init__(self) -> None:
        self.ports: list[int] = []
        lock = Lock()
        keeper, body = self, token_answer().body

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                with lock:
                    keeper.ports.append(self.client_address[1])
                self.rfile.read(int(self.headers["content-length"]))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output clean."""

        # The threads of connections that stay open end with the process.
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    found = Keeper()
    thread = Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_the_connection_of_the_warm_up_serves_all_hubs(kind: WebPubSubKind, keeper: Keeper) -> None:
    client = kind.make(keeper.endpoint, credential=kind.credential())
    client.warm_up()
    for number in range(15):
        client.for_hub(f"h{number}").negotiate("ada")
    assert len(keeper.ports) == 16
    assert len(set(keeper.ports)) <= A_FEW


def test_a_crowd_shares_connections(kind: WebPubSubKind, keeper: Keeper) -> None:
    """64 callers come at once, of whom 32 may send."""
    client = kind.make(keeper.endpoint, credential=kind.credential(), timeout=30)
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: client.negotiate("ada")["url"], range(256)))
    assert len(answers) == len(keeper.ports) == 256
    assert len(set(keeper.ports)) <= 32 + A_FEW


FORK = """
import asyncio, os, sys, threading, time, warnings
from types import SimpleNamespace
from {module} import WebPubSubServiceClient
from webpubsub.kinds import {name} as kind
# Python 3.12 warns of forks in programs with threads, which is what this one is about.
warnings.simplefilter("ignore", DeprecationWarning)
client = WebPubSubServiceClient(sys.argv[1], "chat", kind.credential(), timeout=3600)

def negotiate():
    answer = client.negotiate("ada")
    return answer if {is_async} is False else asyncio.run(wait_for(answer))

async def wait_for(coroutine):
    return await coroutine

for _ in range(32):
    threading.Thread(target=negotiate, daemon=True).start()
sys.stdin.readline()
child = os.fork()
if child == 0:
    print(negotiate()["url"], flush=True)
    os._exit(0)
_, status = os.waitpid(child, 0)
os._exit(os.waitstatus_to_exitcode(status))
"""


def test_a_forked_child_has_turns_of_its_own(kind: WebPubSubKind, service: ServiceDouble) -> None:
    """All turns of the parent are taken, and stay so: the child waits for none of them."""
    helds = [service.hold() for _ in range(32)]
    script = FORK.format(module=kind.module, name=kind.name.upper(), is_async=kind.name == "async")
    process = start(script, service.endpoint, environment={"PYTHONPATH": _path()}, with_input=True)
    for held in helds:
        held.wait_until_arrived()
    service.answer(token_answer())
    outcome = finish(process, "\n")
    assert (outcome.code, outcome.errors) == (0, "")
    assert outcome.output.rstrip().endswith(f"?access_token={SIGNED_BY_THE_SERVICE}")
    assert not any(held.is_released for held in helds)


def _path() -> str:
    """Where the program finds the package and these tests."""
    import sys

    return ":".join(path for path in sys.path if path)
