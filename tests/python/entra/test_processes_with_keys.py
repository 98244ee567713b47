"""Exits and forks while a key or a token is on its way."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from emulator.support import Azure
from entra.clients import wait_until_held
from signalr.client_kind import ClientKind
from signalr.scripts import Outcome, finish, go_on, run, start

RUNS = 20

CLIENT = """
import asyncio, sys, threading, time
from {module} import SignalRServiceClient
from hubpass import _native
text, authority, ca_file, now = sys.argv[1:]
clock = _native.ManualClock(int(float(now)))
keywords = dict(authority=authority, ca_file=ca_file, clock=clock, timeout=30)
keywords.update(dict.fromkeys(["application_name", "key_policy", "on_event", "scope"]))
client = SignalRServiceClient.__new__(SignalRServiceClient)
client._native = _native.SignalRClient.from_connection_string(text, "chat", keywords, {is_async})

def negotiate():
    answer = client.negotiate("ada")
    return answer if {is_async} is False else asyncio.run(wait_for(answer))

async def wait_for(coroutine):
    return await coroutine
"""


def preamble(kind: ClientKind) -> str:
    return CLIENT.format(module=kind.module, is_async=kind.name == "async")


def arguments(azure: Azure) -> list[str]:
    emulator = azure.emulator
    return [
        emulator.entra_connection_string,
        emulator.authority,
        emulator.ca_file,
        str(azure.control.state().now),
    ]


def in_parallel(script: str, azure: Azure) -> list[Outcome]:
    given = arguments(azure)
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(lambda _: run(script, *given), range(RUNS)))


def assert_clean(outcomes: list[Outcome]) -> None:
    assert [(found.code, found.errors) for found in outcomes] == [(0, "")] * RUNS


def test_an_exit_while_the_first_key_hangs(client_kind: ClientKind, azure: Azure) -> None:
    """A thread that waits for it is a daemon, and is told that the interpreter exits, or nothing at all."""
    script = (
        preamble(client_kind)
        + """
threading.excepthook = lambda _: None
threading.Thread(target=negotiate, daemon=True).start()
while client.status()["counters"]["key_requests"] == 0:
    time.sleep(0.001)
"""
    )
    azure.control.fail_next("access_key", times=RUNS, hold=True)
    assert_clean(in_parallel(script, azure))


BUSY = """
import sys, threading, time
import hubpass
class Busy:
    def get_token(self, *scopes, **options):
        begun.set()
        while True:
            {body}
begun = threading.Event()
threading.excepthook = lambda _: None
client = hubpass.SignalRServiceClient("http://127.0.0.1:9", "chat", Busy())
threading.Thread(target=lambda: client.negotiate("ada"), daemon=True).start()
begun.wait()
"""


@pytest.mark.parametrize("body", ["time.sleep(0.001)", "pass", "time.sleep(3600)"], ids=["polls", "computes", "sleeps"])
def test_an_exit_while_a_sync_credential_is_at_work(azure: Azure, body: str) -> None:
    assert_clean(in_parallel(BUSY.format(body=body), azure))


def test_an_exit_while_a_callback_is_at_work(azure: Azure) -> None:
    script = """
import sys, threading, time
import hubpass
def work(event):
    begun.set()
    while True:
        time.sleep(0.001)
begun = threading.Event()
text = sys.argv[1]
client = hubpass.SignalRServiceClient.from_connection_string(
    text, "chat", authority="https://127.0.0.1:9", on_event=work
)
try:
    client.negotiate("ada")
except hubpass.ServiceError:
    begun.wait()
"""
    assert_clean(in_parallel(script, azure))


def test_a_fork_while_a_renewal_is_held(client_kind: ClientKind, azure: Azure) -> None:
    """The child signs at once with what it holds, renews for itself, and its parent does not notice."""
    script = (
        preamble(client_kind)
        + """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
old = negotiate().kid
print(old, flush=True)
sys.stdin.readline()
clock.advance(3400)
assert negotiate().kid == old
print("renewing", flush=True)
sys.stdin.readline()
child = os.fork()
if child == 0:
    ok = negotiate().kid == old
    deadline = time.monotonic() + 20
    while negotiate().kid == old and time.monotonic() < deadline:
        time.sleep(0.001)
    os._exit(0 if ok and negotiate().kid != old else 1)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
assert negotiate().kid == old
print("old", flush=True)
sys.stdin.readline()
while negotiate().kid == old:
    time.sleep(0.001)
print(negotiate().kid, flush=True)
"""
    )
    process = start(script, *arguments(azure), with_input=True)
    assert process.stdin is not None
    assert process.stdout is not None

    old = process.stdout.readline().strip()
    assert old in {key.kid for key in azure.control.temporary_keys()}
    new = azure.control.rotate_temporary_key()
    azure.control.fail_next("access_key", hold=True)
    go_on(process)
    assert process.stdout.readline() == "renewing\n"
    wait_until_held(azure, "access_key")
    go_on(process)
    assert process.stdout.readline() == "child 0\n"
    assert process.stdout.readline() == "old\n"
    assert len(azure.control.held()) == 1
    azure.control.release()
    go_on(process)
    assert process.stdout.readline() == f"{new}\n"
    outcome = finish(process)
    assert (outcome.code, outcome.errors) == (0, "")


def test_a_fork_while_the_first_key_is_held(client_kind: ClientKind, azure: Azure) -> None:
    """The flight of the parent will never end in the child, which begins its own."""
    script = (
        preamble(client_kind)
        + """
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
thread = threading.Thread(target=negotiate)
thread.start()
sys.stdin.readline()
child = os.fork()
if child == 0:
    os._exit(0 if negotiate().kid else 1)
print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
thread.join()
"""
    )
    azure.control.fail_next("access_key", hold=True)
    process = start(script, *arguments(azure), with_input=True)
    assert process.stdin is not None
    assert process.stdout is not None
    wait_until_held(azure, "access_key")
    go_on(process)
    assert process.stdout.readline() == "child 0\n"
    assert len(azure.control.held()) == 1
    azure.control.release()
    outcome = finish(process)
    assert (outcome.code, outcome.errors) == (0, "")
