"""What can only be seen from outside a process: signals, exits and forks, with calls under way.

As in the tests of waiting, the service lets go of its answer only after what is to be shown has happened.
"""

import signal

from signalr.client_kind import ASYNC, KEY, ClientKind
from signalr.scripts import finish, run, start
from signalr.service_double import ServiceDouble
from signalr.tokens import unverified

SEND = """
import asyncio, sys
from {module} import SignalRServiceClient
client = SignalRServiceClient.from_connection_string(f"Endpoint={{sys.argv[1]}};AccessKey={key}", "chat")
"""


def preamble(client_kind: ClientKind) -> str:
    return SEND.format(module=client_kind.module, key=KEY)


def test_ctrl_c_ends_a_call(client_kind: ClientKind, service: ServiceDouble) -> None:
    held = service.hold()
    call = 'client.send_to_all("say", timeout=3600)'
    script = preamble(client_kind) + (call if client_kind.name == "sync" else f"asyncio.run({call})")
    process = start(script, service.endpoint)
    held.wait_until_arrived()
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert not held.is_released
    assert outcome.errors.rstrip().endswith("KeyboardInterrupt")
    # A program that Python's default handler of the interrupt ends dies of the signal itself.
    assert outcome.code in (-signal.SIGINT, 130)


def test_a_handler_of_another_signal_runs_during_a_call(client_kind: ClientKind, service: ServiceDouble) -> None:
    held = service.hold()
    call = 'client.send_to_all("say", timeout=3600)'
    script = (
        preamble(client_kind)
        + "import signal\n"
        + "signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))\n"
        + (call if client_kind.name == "sync" else f"asyncio.run({call})")
        + "\nprint('sent')"
    )
    process = start(script, service.endpoint)
    held.wait_until_arrived()
    process.send_signal(signal.SIGUSR1)
    assert process.stdout is not None
    assert process.stdout.readline() == "handled\n"
    assert not held.is_released
    held.release()
    outcome = finish(process)
    assert (outcome.code, outcome.output, outcome.errors) == (0, "sent\n", "")


def test_a_loop_that_closes_with_a_call_pending_leaves_no_trace(service: ServiceDouble) -> None:
    held = service.hold()
    script = (
        preamble(ASYNC)
        + """
loop = asyncio.new_event_loop()
task = loop.create_task(client.send_to_all("say", timeout=3600))
loop.run_until_complete(asyncio.sleep(0))
print("started", flush=True)
sys.stdin.readline()
task.cancel()
loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
loop.close()
print("closed", flush=True)
sys.stdin.readline()
"""
    )
    process = start(script, service.endpoint, with_input=True)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "started\n"
    held.wait_until_arrived()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "closed\n"
    held.release()
    outcome = finish(process, "\n")
    assert (outcome.code, outcome.errors) == (0, "")


def test_a_value_that_comes_after_its_loop_has_closed_is_dropped(service: ServiceDouble) -> None:
    """The coroutine is still alive, so its flight is: the answer arrives and finds nobody."""
    held = service.hold()
    script = (
        preamble(ASYNC)
        + """
import threading
arrived = threading.Event()
async def begin():
    loop = asyncio.get_running_loop()
    deliver = loop.call_soon_threadsafe
    def noted(*args):
        try:
            return deliver(*args)
        finally:
            arrived.set()
    loop.call_soon_threadsafe = noted
    coroutine = client.send_to_all("say", timeout=3600)
    coroutine.send(None)
    return coroutine
coroutine = asyncio.run(begin())
print("closed", flush=True)
sys.stdin.readline()
assert arrived.wait(30)
asyncio.run(client.send_to_all("after"))
coroutine.close()
print("done")
"""
    )
    process = start(script, service.endpoint, with_input=True)
    assert process.stdout is not None
    held.wait_until_arrived()
    assert process.stdout.readline() == "closed\n"
    held.release()
    outcome = finish(process, "\n")
    assert (outcome.code, outcome.output, outcome.errors) == (0, "done\n", "")


def test_a_program_that_ends_during_a_call_ends_cleanly(client_kind: ClientKind, service: ServiceDouble) -> None:
    """A daemon thread is still waiting; nothing waits for it."""
    held = service.hold()
    call = 'client.send_to_all("say", timeout=3600)'
    script = preamble(client_kind) + (
        "import threading\n"
        "def work():\n"
        "    try:\n"
        f"        {call if client_kind.name == 'sync' else f'asyncio.run({call})'}\n"
        "    except Exception:\n"
        "        pass\n"
        "threading.Thread(target=work, daemon=True).start()\n"
        "sys.stdin.readline()\n"
    )
    process = start(script, service.endpoint, with_input=True)
    held.wait_until_arrived()
    outcome = finish(process, "\n")
    assert not held.is_released
    assert (outcome.code, outcome.errors) == (0, "")


def send_in(client_kind: ClientKind, text: str) -> str:
    call = f"client.send_to_all({text})"
    return call if client_kind.name == "sync" else f"asyncio.run({call})"


def test_a_forked_child_sends(client_kind: ClientKind, service: ServiceDouble) -> None:
    """The parent has threads and connections; the child inherits neither."""
    script = (
        preamble(client_kind)
        + f"""
import os, warnings
warnings.simplefilter("ignore", DeprecationWarning)
{send_in(client_kind, "'parent'")}
for name in ("first", "second"):
    child = os.fork()
    if child == 0:
        {send_in(client_kind, "name")}
        grandchild = os.fork()
        if grandchild == 0:
            {send_in(client_kind, "name + ' grandchild'")}
            os._exit(0)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise SystemExit("a child failed")
{send_in(client_kind, "'parent again'")}
"""
    )
    outcome = run(script, service.endpoint)
    assert (outcome.code, outcome.errors) == (0, "")
    requests = [service.take() for _ in range(6)]
    assert [request.json["Target"] for request in requests] == [
        "parent",
        "first",
        "first grandchild",
        "second",
        "second grandchild",
        "parent again",
    ]
    # Each process has a name of its own, and keeps it.
    senders = [unverified(request.bearer)["nameid"] for request in requests]
    assert senders[0] == senders[-1]
    assert len(set(senders)) == 5
