"""What can only be seen from outside a process: signals, exits and forks, with calls under way.

As in the tests of waiting, the service lets go of its answer only after what is to be shown has happened.
"""

import signal

import pytest

from signalr.client_kind import ASYNC, KEY, ClientKind
from signalr.scripts import finish, go_on, run, start
from signalr.service_double import Answer, ServiceDouble
from signalr.tokens import unverified
from webpubsub.kinds import token_answer

SEND = """
import asyncio, sys
from {module} import SignalRServiceClient
client = SignalRServiceClient.from_connection_string(f"Endpoint={{sys.argv[1]}};AccessKey={key}", "chat")
"""

# A client whose tokens the service signs: each call of it is a request.
GENERATE = """
import asyncio, sys
from {module} import WebPubSubServiceClient
class Credential:
    token, expires_on = "token", 4e9
    {define} get_token(self, *scopes):
        return self
client = WebPubSubServiceClient(sys.argv[1], "chat", Credential())
"""

CALLS = {
    "send_to_all": 'client.send_to_all("say", timeout=3600)',
    "add_user_to_group": 'client.add_user_to_group("ada", "readers", timeout=3600)',
    "generate": 'client.negotiate("ada", timeout=3600)',
    "generate for the other method": 'client.get_client_access_token(user_id="ada", timeout=3600)',
}


@pytest.fixture(params=CALLS)
def call(request: pytest.FixtureRequest) -> str:
    """Each call that the service answers."""
    name: str = request.param
    return name


def preamble(client_kind: ClientKind, call: str = "send_to_all") -> str:
    if call.startswith("generate"):
        define = "async def" if client_kind is ASYNC else "def"
        return GENERATE.format(module=client_kind.module, define=define)
    return SEND.format(module=client_kind.module, key=KEY)


def right_answer(call: str) -> Answer:
    """How the service answers a call."""
    return token_answer() if call.startswith("generate") else Answer(202 if call == "send_to_all" else 200)


def made(client_kind: ClientKind, call: str) -> str:
    """The call as a program makes it."""
    return CALLS[call] if client_kind.name == "sync" else f"asyncio.run({CALLS[call]})"


def test_ctrl_c_ends_a_call(client_kind: ClientKind, service: ServiceDouble, call: str) -> None:
    held = service.hold()
    process = start(preamble(client_kind, call) + made(client_kind, call), service.endpoint)
    held.wait_until_arrived()
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    assert not held.is_released
    assert outcome.errors.rstrip().endswith("KeyboardInterrupt")
    # A program that Python's default handler of the interrupt ends dies of the signal itself.
    assert outcome.code in (-signal.SIGINT, 130)


def test_a_handler_of_another_signal_runs_during_a_call(
    client_kind: ClientKind, service: ServiceDouble, call: str
) -> None:
    held = service.hold()
    service.answer(right_answer(call))
    script = (
        preamble(client_kind, call)
        + "import signal\n"
        + "signal.signal(signal.SIGUSR1, lambda *_: print('handled', flush=True))\n"
        + made(client_kind, call)
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


def test_a_loop_that_closes_with_a_call_pending_leaves_no_trace(service: ServiceDouble, call: str) -> None:
    held = service.hold()
    script = (
        preamble(ASYNC, call)
        + f"""
loop = asyncio.new_event_loop()
task = loop.create_task({CALLS[call]})
def go_on():
    print("started", flush=True)
    sys.stdin.readline()
loop.run_until_complete(asyncio.to_thread(go_on))
task.cancel()
loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
loop.run_until_complete(loop.shutdown_default_executor())
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
    go_on(process)
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


def test_a_program_that_ends_during_a_call_ends_cleanly(
    client_kind: ClientKind, service: ServiceDouble, call: str
) -> None:
    """A daemon thread is still waiting; nothing waits for it."""
    held = service.hold()
    script = preamble(client_kind, call) + (
        "import threading\n"
        "def work():\n"
        "    try:\n"
        f"        {made(client_kind, call)}\n"
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


def test_a_forked_child_makes_every_call(client_kind: ClientKind, service: ServiceDouble, call: str) -> None:
    """Also while the same call of its parent is under way, which another thread waits for."""
    script = (
        preamble(client_kind, call)
        + f"""
import os, signal, threading, warnings
warnings.simplefilter("ignore", DeprecationWarning)
def work():
    {made(client_kind, call)}
thread = threading.Thread(target=work)
thread.start()
sys.stdin.readline()
child = os.fork()
if child == 0:
    signal.alarm(20)
    {made(client_kind, call)}
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
print("child ended", flush=True)
thread.join()
print("ended")
"""
    )
    held = service.hold()
    for _ in range(2):
        service.answer(right_answer(call))
    process = start(script, service.endpoint, with_input=True)
    held.wait_until_arrived()
    assert process.stdin is not None
    assert process.stdout is not None
    go_on(process)
    told = process.stdout.readline()
    held.release()
    outcome = finish(process)
    assert (told, outcome.code, outcome.output, outcome.errors) == ("child ended\n", 0, "ended\n", "")
