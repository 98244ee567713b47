"""Calls that a forked child inherits in the middle: it leaves the tasks of its parent alone and waits for none."""

import signal
import sys

import pytest

from signalr.client_kind import ASYNC, KEY, SYNC
from signalr.scripts import Outcome, finish, start
from signalr.service_double import ServiceDouble

FAMILY = """
import asyncio, os, signal, sys, time, traceback, warnings
from {module} import SignalRServiceClient
warnings.simplefilter("ignore", DeprecationWarning)
client = SignalRServiceClient.from_connection_string(f"Endpoint={{sys.argv[1]}};AccessKey={key}", "chat")

def fork(life):
    child = os.fork()
    if child == 0:
        # A child that hangs, hangs inside native code, where no handler of Python's would run.
        signal.alarm(20)
        code = 1
        try:
            life()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

# A task is woken by a write to an eventfd, which parent and child share. The child puts a file in its place.
WAKES = """
def name_of(descriptor):
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except FileNotFoundError:
        return ""

def states_of_the_runtime():
    for number in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{number}/stat") as stat:
                name, _, rest = stat.read().rpartition(")")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name.endswith("(hubpass"):
            yield rest.split()[0]

def wait_until_the_runtime_sleeps():
    # A thread that is awake needs no waking.
    deadline = time.monotonic() + 30
    while set(states_of_the_runtime()) != {"S"}:
        assert time.monotonic() < deadline

def leave(ending):
    written = os.memfd_create("written")
    for descriptor in os.listdir("/proc/self/fd"):
        if name_of(descriptor) == "anon_inode:[eventfd]":
            os.dup2(written, int(descriptor))
    ending()
    assert os.fstat(written).st_size == 0, "the child has woken a task of its parent"
"""

# Which of the runtime's two threads is woken is chance, and only one of them sleeps at the eventfd.
ROUNDS = 20

# A call waits for a token, whose fetch is a task of the loop. When that ends, a callback tells the core of it.
WAITS = """
class Credential:
    async def get_token(self, *scopes):
        await asyncio.Event().wait()
waiting = SignalRServiceClient(sys.argv[1], "chat", Credential(), timeout=3600)
def fetches():
    return [task for task in asyncio.all_tasks() if task.get_coro().__name__ == "_fetch_token"]
async def main():
    call = waiting.warm_up()
    call.send(None)
    while not fetches():
        await asyncio.sleep(0)
    [fetch] = fetches()
    [(told, _)] = fetch._callbacks
    [delivery] = told.args
    # The threads may change places.
    await client.send_to_all("say")
    wait_until_the_runtime_sleeps()
    fork(lambda: leave({ending}))
    call.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows what a descriptor is")
@pytest.mark.parametrize("ending", ["call.close", "delivery.abandon"])
def test_a_child_that_ends_what_it_inherits_wakes_nobody(service: ServiceDouble, ending: str) -> None:
    preamble = FAMILY.format(module=ASYNC.module, key=KEY) + WAKES + WAITS.format(ending=ending)
    process = start(f"{preamble}\nfor _ in range({ROUNDS}): asyncio.run(main())", service.endpoint)
    assert finish(process) == Outcome(0, "", "")


def test_a_handler_of_a_signal_that_forks(service: ServiceDouble) -> None:
    """The child comes back from the handler into a call that goes on in the parent alone."""
    script = (
        FAMILY.format(module=SYNC.module, key=KEY)
        + """
def handle(*_):
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        return
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    print("ended", flush=True)
signal.signal(signal.SIGUSR1, handle)
try:
    client.send_to_all("say", timeout=3600)
except Exception as error:
    os._exit(0 if error.code == "client_closed" and "forked child" in error.hint else 1)
print("sent")
"""
    )
    held = service.hold()
    process = start(script, service.endpoint)
    held.wait_until_arrived()
    process.send_signal(signal.SIGUSR1)
    assert process.stdout is not None
    told = process.stdout.readline()
    held.release()
    assert (told, finish(process)) == ("ended\n", Outcome(0, "sent\n", ""))
