"""What a process still has after a million negotiations and a thousand clients: threads, open files and memory.

Reproduce with ``make bench``, or with a release build of hubpass: ``python benches/leaks.py``. Each client of SignalR
gets a temporary key from the local Azure, which is a process of its own, signs with it and sends; each of Web PubSub
has a token generated. Then it is closed or dropped. The process fails if anything has grown beyond its bound.
Needs ``/proc`` (Linux).
"""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import hubpass
import hubpass.aio
from hubpass.emulator import Emulator

KEY = "bm90LWEta2V5LWJ1dC10aGUtc2hhcGUtb2Ytb25lLTEyMzQ1Njc4OTA="

# Allocators keep a little of what they had; a leak of 40 bytes at each of a million calls is ten times this.
MEGABYTES_MAX = 4.0

# The first part of each phase fills caches and pools and is not counted.
WARM_UP_SHARE = 0.1

WATCHDOG = 30.0


class Holdings(NamedTuple):
    """What a process has."""

    threads: int
    files: int
    megabytes: float


def holdings() -> Holdings:
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    kilobytes = int(status["VmRSS"].split()[0])
    return Holdings(int(status["Threads"]), sum(1 for _ in Path("/proc/self/fd").iterdir()), kilobytes / 1024)


def growth_is_bounded(name: str, count: int, work: Callable[[int], None]) -> bool:
    """Do the work, and print and judge what it leaves; sockets and threads may take a moment to end."""
    work(max(1, int(count * WARM_UP_SHARE)))
    before = holdings()
    begin = time.monotonic()
    work(count)
    seconds = time.monotonic() - begin
    after = holdings()
    while (
        after.threads > before.threads or after.files > before.files
    ) and time.monotonic() < begin + seconds + WATCHDOG:
        time.sleep(0.01)
        after = holdings()
    met = (
        after.threads <= before.threads
        and after.files <= before.files
        and after.megabytes - before.megabytes <= MEGABYTES_MAX
    )
    print(
        f"  {count:>9,} {name:<28} threads {before.threads} -> {after.threads}, open files {before.files} -> "
        f"{after.files}, memory {before.megabytes:.1f} -> {after.megabytes:.1f} MB in {seconds:.1f} s "
        f"({'met' if met else 'MISSED'})"
    )
    return met


def negotiate_often(client: hubpass.SignalRServiceClient) -> Callable[[int], None]:
    def work(count: int) -> None:
        for number in range(count):
            client.negotiate(f"user-{number}", claims={"role": ["reader", "writer"]})

    return work


def await_often(client: hubpass.aio.SignalRServiceClient) -> Callable[[int], None]:
    async def work(count: int) -> None:
        for number in range(count):
            await client.negotiate(f"user-{number}", claims={"role": ["reader", "writer"]})

    return lambda count: asyncio.run(work(count))


class Owner:
    """Has a client that tells it of events: a cycle, which only the collector ends."""

    def __init__(self, make: Callable[..., Any]) -> None:
        self.events = 0
        self.client = make(on_event=self.take)

    def take(self, _event: hubpass.Event) -> None:
        """Count events."""
        self.events += 1


def collect_now_and_then(number: int) -> None:
    # By itself the collector comes when there are many objects, whatever hangs on each of them.
    if number % 10 == 0:
        gc.collect()


AnyClient = hubpass.SignalRServiceClient | hubpass.WebPubSubServiceClient
AnyAsyncClient = hubpass.aio.SignalRServiceClient | hubpass.aio.WebPubSubServiceClient


def use_clients(make: Callable[..., AnyClient]) -> Callable[[int], None]:
    def work(count: int) -> None:
        for number in range(count):
            client = Owner(make).client
            client.negotiate("ada")
            if isinstance(client, hubpass.SignalRServiceClient):
                client.send_to_all("say", number)
            client.for_hub("news").negotiate(anonymous=True)
            # Every other client is dropped without a word.
            if number % 2:
                client.close()
            collect_now_and_then(number)

    return work


def use_aio_clients(make: Callable[..., AnyAsyncClient]) -> Callable[[int], None]:
    async def use(number: int) -> None:
        client = Owner(make).client
        await client.negotiate("ada")
        if isinstance(client, hubpass.aio.SignalRServiceClient):
            await client.send_to_all("say", number)
        await client.for_hub("news").negotiate(anonymous=True)
        if number % 2:
            await client.close()

    async def work(count: int) -> None:
        for number in range(count):
            await use(number)
            collect_now_and_then(number)

    return lambda count: asyncio.run(work(count))


def main() -> bool:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--negotiations", type=int, default=1_000_000)
    parser.add_argument("--awaits", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=1_000)
    counts = parser.parse_args()
    text = f"Endpoint=https://contoso.service.signalr.net;AccessKey={KEY};"
    print("what is left after")
    with Emulator() as azure, closing(hubpass.SignalRServiceClient.from_connection_string(text, "chat")) as client:
        options: dict[str, Any] = {"authority": azure.authority, "ca_file": azure.ca_file}

        def make(client_class: Any, entra: str) -> Callable[..., Any]:
            return partial(client_class.from_connection_string, entra, "chat", **options)

        signalr, web_pubsub = azure.entra_connection_string, azure.web_pubsub_entra_connection_string
        aio_client = hubpass.aio.SignalRServiceClient.from_connection_string(text, "chat")
        met = [
            growth_is_bounded("negotiations", counts.negotiations, negotiate_often(client)),
            growth_is_bounded("awaited negotiations", counts.awaits, await_often(aio_client)),
            growth_is_bounded("clients", counts.clients, use_clients(make(hubpass.SignalRServiceClient, signalr))),
            growth_is_bounded(
                "async clients", counts.clients, use_aio_clients(make(hubpass.aio.SignalRServiceClient, signalr))
            ),
            growth_is_bounded(
                "clients of Web PubSub", counts.clients, use_clients(make(hubpass.WebPubSubServiceClient, web_pubsub))
            ),
            growth_is_bounded(
                "async clients of Web PubSub",
                counts.clients,
                use_aio_clients(make(hubpass.aio.WebPubSubServiceClient, web_pubsub)),
            ),
        ]
    return all(met)


if __name__ == "__main__":
    sys.exit(not main())
