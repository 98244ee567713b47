"""A program of greenlets: ``python -m greenlets gevent`` (or ``eventlet``) and what it is to show.

Every library is patched, as these servers have it. A line on standard output for each thing that has happened.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201 - the interface


class Gevent:
    """What the program needs of gevent."""

    def __init__(self) -> None:
        from gevent import monkey  # type: ignore[import-untyped]

        monkey.patch_all()
        import gevent

        self.spawn: Callable[..., Any] = gevent.spawn
        self.start_thread = monkey.get_original("_thread", "start_new_thread")
        self.sleep_thread = monkey.get_original("time", "sleep")

    def in_pool(self, function: Callable[..., Any], *arguments: object) -> Any:
        import gevent

        return gevent.get_hub().threadpool.apply(function, arguments)


class Eventlet:
    """The same of eventlet."""

    def __init__(self) -> None:
        # It says so of itself, to everybody who imports it.
        warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
        import eventlet  # type: ignore[import-not-found]

        eventlet.monkey_patch()
        self.spawn: Callable[..., Any] = eventlet.spawn
        self.start_thread = eventlet.patcher.original("_thread").start_new_thread
        self.sleep_thread = eventlet.patcher.original("time").sleep

    def in_pool(self, function: Callable[..., Any], *arguments: object) -> Any:
        from eventlet import tpool

        return tpool.execute(function, *arguments)


library: Any = {"gevent": Gevent, "eventlet": Eventlet}[sys.argv[1]]()

import time  # noqa: E402 - only now is it the patched one

import hubpass  # noqa: E402 - as an application imports it

TICKS = 50


class Ticks:
    """Counts how often something had its turn, and says when it has had many."""

    def __init__(self, of: str, sleep: Callable[[float], object]) -> None:
        self.of, self.sleep = of, sleep
        self.count = 0

    def __call__(self) -> None:
        while True:
            self.sleep(0.002)
            self.count += 1
            if self.count == TICKS:
                say(ticked=self.of)


def connect(**options: Any) -> hubpass.SignalRServiceClient:
    return hubpass.SignalRServiceClient.from_connection_string(
        os.environ["SIGNALR_CONNECTION_STRING"],
        "chat",
        authority=os.environ["SIGNALR_AUTHORITY"],
        ca_file=os.environ["SIGNALR_CA_FILE"],
        timeout=30,
        **options,
    )


def wait(through: Callable[..., Any], call: str) -> None:
    """Make a call that the service does not answer yet, and say what had its turn meanwhile."""
    greenlet, thread = Ticks("greenlet", time.sleep), Ticks("thread", library.sleep_thread)
    library.spawn(greenlet)
    client = connect()
    arguments = {"negotiate": ("ada",), "warm_up": (), "send_to_all": ("say", "hello")}[call]
    time.sleep(0)
    # Before the thread begins, so that all of its time lies in what is measured.
    begun, before = time.monotonic(), greenlet.count
    library.start_thread(thread, ())
    through(getattr(client, call), *arguments)
    say(turns=greenlet.count - before, seconds=time.monotonic() - begun)


def renew() -> None:
    """Negotiate at each line of input, with a key that is due as soon as it is there."""
    now, soon = timedelta(0), timedelta(milliseconds=1)
    client = connect(key_policy=hubpass.KeyPolicy(renew_after=(now, now), retry_after=(soon, soon)))
    client.warm_up()
    say(warm=True)
    while sys.stdin.readline():
        say(token=client.negotiate("ada").access_token)


class Credential:
    """A credential that waits as credentials do: for something that is patched."""

    def get_token(self, *_: str, **__: object) -> Any:
        from azure.core.credentials import AccessToken

        time.sleep(0.01)
        return AccessToken(os.environ["ENTRA_TOKEN"], int(time.time()) + 3600)


def use_credential() -> None:
    """Negotiate with a token of a credential in Python, and with a callback that waits."""
    told: list[str] = []

    def on_event(event: hubpass.Event) -> None:
        time.sleep(0.01)
        told.append(event.name)

    client = hubpass.SignalRServiceClient(
        os.environ["SIGNALR_ENDPOINT"], "chat", Credential(), on_event=on_event, timeout=10
    )
    token = client.negotiate("ada").access_token
    while len(told) < 2:
        time.sleep(0.001)
    say(token=token, told=told)


def open_files() -> None:
    """Let many threads of the package wait, and say how many files stay open when they have ended."""
    from hubpass import _threads

    ended: list[None] = []

    def work() -> None:
        time.sleep(0.001)
        ended.append(None)

    def run(threads: int) -> None:
        ended.clear()
        for _ in range(threads):
            _threads.start(work, "hubpass-test")
        while len(ended) < threads:
            time.sleep(0.001)

    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    # The first hub of all is the main thread's, as in a server.
    time.sleep(0)
    run(20)
    before = count()
    run(20)
    # A thread closes its files after its work.
    ends = time.monotonic() + 10
    while count() > before and time.monotonic() < ends:
        time.sleep(0.001)
    say(left_open=max(count() - before, 0))


def directly(function: Callable[..., Any], *arguments: object) -> Any:
    return function(*arguments)


if __name__ == "__main__":
    {
        "a direct call": lambda: wait(directly, sys.argv[3]),
        "a call in the pool": lambda: wait(library.in_pool, sys.argv[3]),
        "a renewal": renew,
        "a credential": use_credential,
        "open files": open_files,
    }[sys.argv[2]]()
